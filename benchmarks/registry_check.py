"""A check at default depth against an OCI registry, beside `crane validate --remote --fast` and `skopeo inspect`.

The registry is Debian's docker-registry on this machine, reached directly and through a proxy that delays every answer
as a network does. `verify` is a check in a process that has started and has a session with the registry. The commands
are measured with their start-up, as a user runs them. skopeo does not check the layers at all.
"""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from image_verifier.image.model import Platform
from image_verifier.image.references import Reference
from image_verifier.policy import Policy
from image_verifier.retry import RetryBudget
from image_verifier.verify import verify

from local_engines import debian
from safe_image.sources.distribution import Distribution
from safe_image.sources.registry_image import RegistryImage
from tests.unit.images import GZIP, Layout

RUNS: Final = 5
LAYERS: Final = (1, 8, 30, 125)
DELAY: Final = 0.020
_MANY: Final = 32
_PEERS: Final = ("sid", ("crane", "docker-registry"))
_SKOPEO: Final = (
    "trixie",
    ("skopeo", "libassuan9", "libc6", "libgpg-error0", "libgpgme11t64", "libsqlite3-0", "libsubid5"),
)
_COMMAND: Final = Path(sys.executable).with_name("safe-image")
_ENVIRONMENT: Final = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

Tool = Callable[[str], Sequence[str]]


def main() -> None:
    """Print the tables."""
    programs = debian.unpacked(*_PEERS) / "usr/bin"
    tools: Mapping[str, Tool] = {
        "safe-image check": lambda name: [str(_COMMAND), "check", "--format", "json", name],
        "crane validate --fast": lambda name: [str(programs / "crane"), "validate", "--fast", "--remote", name],
        "skopeo inspect": _skopeo(debian.unpacked(*_SKOPEO)),
    }
    with tempfile.TemporaryDirectory() as folder, registry(programs, Path(folder)) as host, _slow(host) as far:
        for layers in LAYERS:
            layout = Layout(Path(folder) / f"image{layers}")
            layout.path.mkdir()
            layout.source(layout.image(layer_types=(GZIP,) * layers))
            for number in range(_MANY if layers == 8 else 1):
                push = [str(programs / "crane"), "push", str(layout.path), f"{host}/bench:{layers}-{number}"]
                subprocess.run(push, check=True, capture_output=True)
        print(f"One image, median of {RUNS} runs side by side, {os.cpu_count()} cores: ms, and times ours")
        for place, where in (("on this machine", host), (f"{DELAY * 1000:.0f} ms away", far)):
            for layers in LAYERS:
                _one(f"{layers} layers, {place}", f"{where}/bench:{layers}-0", tools)
        print(f"{_MANY} images of 8 layers, ours in one process, the others {_MANY} processes at once")
        for place, where in (("on this machine", host), (f"{DELAY * 1000:.0f} ms away", far)):
            _many(place, [f"{where}/bench:8-{number}" for number in range(_MANY)], tools)


def _one(title: str, name: str, tools: Mapping[str, Tool]) -> None:
    distribution = Distribution()
    runs: dict[str, Callable[[], object]] = {
        "verify": lambda: _verify(distribution, name),
        **{tool: partial(_run, command(name)) for tool, command in tools.items()},
    }
    _print(title, runs, "verify")


def _many(title: str, names: Sequence[str], tools: Mapping[str, Tool]) -> None:
    def at_once(tool: Tool) -> None:
        running = [subprocess.Popen(tool(name), stdout=subprocess.DEVNULL, env=_ENVIRONMENT) for name in names]
        failed = [process.args for process in running if process.wait()]
        assert not failed, failed

    ours, *others = tools
    runs: dict[str, Callable[[], object]] = {
        ours: lambda: _run([*tools[ours](names[0]), *names[1:]]),
        **{tool: partial(at_once, tools[tool]) for tool in others},
    }
    _print(title, runs, ours)


def _print(title: str, runs: Mapping[str, Callable[[], object]], ours: str) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(RUNS):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    columns = "   ".join(f"{name} {m * 1000:.0f} ({m / medians[ours]:.1f})" for name, m in medians.items())
    print(f"  {title:27} {columns}", flush=True)


def _verify(distribution: Distribution, name: str) -> None:
    source = RegistryImage(distribution, Reference.parse(name), name, RetryBudget.of(30))
    report = verify(source, Policy(("fargate",), Platform.parse("linux/amd64")))
    assert report.verdict == "pass", report.findings


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, stdout=subprocess.DEVNULL, env=_ENVIRONMENT, check=True)


def _skopeo(tree: Path) -> Tool:
    """skopeo of another Debian release, with its own libraries."""
    (loader,) = tree.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*")
    program = [str(loader), "--library-path", str(loader.parent), str(tree / "usr/bin/skopeo")]
    return lambda name: [*program, "--insecure-policy", "inspect", "--tls-verify=false", f"docker://{name}"]


@contextlib.contextmanager
def registry(programs: Path, folder: Path) -> Iterator[str]:
    """Run Debian's docker-registry on a free port, and yield its host."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "registry.yml"
    config.write_text(
        "version: 0.1\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\n"
        f'http: {{addr: "{host}"}}\n'
    )
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            [str(programs / "docker-registry"), "serve", str(config)], env=environment, stdout=log, stderr=log
        )
    try:
        for _ in range(100):
            with contextlib.suppress(urllib.error.URLError):
                urllib.request.urlopen(f"http://{host}/v2/", timeout=5).close()
                break
            time.sleep(0.05)
        yield host
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _slow(host: str) -> Iterator[str]:
    """Run a proxy that delays the server's answers by `DELAY`, and yield its host."""
    command = [sys.executable, str(Path(__file__).with_name("_delay_proxy.py")), host, str(DELAY)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield f"127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
