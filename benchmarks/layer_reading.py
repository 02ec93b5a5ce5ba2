"""Reading every layer, compared with the least possible work and with `crane validate --remote`.

The least possible work is to inflate the same bytes with the fastest installed decoder and to hash the compressed and
the unpacked bytes with SHA-256, on all cores and from memory. On a busy machine the CPU seconds are the
ones to compare: nothing else that runs counts in them. The walk of the tars is also measured separately. The
last table is the Lambda's own configuration: Python 3.14 with its standard library alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import image_verifier
from image_verifier.layers import decompression, decompressors, tar
from image_verifier.layers.stream import Stream
from image_verifier.layers.unpacking import UnpackedLayer

from benchmarks.registry_check import registry
from benchmarks.sample_image import architecture, layout
from local_engines import debian
from local_engines.checkout import LOCAL, ROOT

RUNS: Final = 5
_STEP: Final = 1 << 20
_PEERS: Final = ("sid", ("crane", "docker-registry"))
_PYTHON: Final = (
    "sid",
    (
        "python3.14", "python3.14-minimal", "libpython3.14-minimal", "libpython3.14-stdlib", "libc6", "libzstd1",
        "libssl3t64", "libexpat1", "zlib1g", "libffi8", "libbz2-1.0", "liblzma5",
    ),
)  # fmt: skip
_COMMAND: Final = Path(sys.executable).with_name("safe-image")
_CORES: Final = len(os.sched_getaffinity(0))


def main() -> None:
    """Print the tables."""
    image = layout(LOCAL / "bench")
    blobs = _blobs(image)
    facts = _once([sys.executable], image, _CORES)
    print(f"load {os.getloadavg()[0]:.1f}")
    print(
        f"{len(blobs)} layers, {sum(map(len, blobs)) / 1e6:.0f} MB, unpacked {facts['unpacked'] / 1e6:.0f} MB in "
        f"{facts['entries']} entries; {_CORES} cores, median of {RUNS} runs side by side"
    )
    _beside_the_floor(image, blobs)
    _beside_crane(image)
    _as_the_lambda(image, facts["unpacked"])


def _beside_the_floor(image: Path, blobs: Sequence[bytes]) -> None:
    memory: list[int] = []
    cpu: dict[str, list[float]] = {"floor": [], "ours": []}

    def floor() -> float:
        began = time.process_time()
        seconds = _timed(lambda: _floor(blobs))
        cpu["floor"].append(time.process_time() - began)
        return seconds

    def ours() -> float:
        once = _once([sys.executable], image, _CORES)
        memory.append(once["memory"])
        cpu["ours"].append(once["cpu_seconds"])
        return float(once["seconds"])

    medians = _interleaved({"floor": floor, "ours": ours, "walk": lambda: _walk(blobs)})
    used = {name: statistics.median(seconds) for name, seconds in cpu.items()}
    times, cpu_times = medians["ours"] / medians["floor"], used["ours"] / used["floor"]
    most = max(memory) / 1e6
    print(f"  floor                      {medians['floor']:6.2f} s   {used['floor']:.2f} s of CPU")
    print(f"  reading the layers         {medians['ours']:6.2f} s   {used['ours']:.2f} s of CPU")
    print(f"                             {times:6.2f}     {cpu_times:.2f} times the floor")
    print(f"  the walk of the tars alone {medians['walk']:6.2f} s   on one core, which is in the line above")
    print(f"  most memory                {most:6.0f} MB")


def _beside_crane(image: Path) -> None:
    programs = debian.unpacked(*_PEERS) / "usr/bin"
    with tempfile.TemporaryDirectory() as folder, registry(programs, Path(folder)) as host:
        name = f"{host}/bench:layers"
        subprocess.run([str(programs / "crane"), "push", str(image), name], check=True, capture_output=True)
        platform = f"linux/{architecture()}"
        commands = {
            "safe-image check --layers": [str(_COMMAND), "check", "--layers", "--platform", platform, name],
            "crane validate --remote": [str(programs / "crane"), "validate", "--remote", name],
        }
        medians = _interleaved({title: _command(command) for title, command in commands.items()})
    ours = medians["safe-image check --layers"]
    for title, seconds in medians.items():
        print(f"  {title:26} {seconds:6.2f} s   {seconds / ours:.1f} times ours")


def _as_the_lambda(image: Path, unpacked: int) -> None:
    tree = debian.unpacked(*_PYTHON)
    (loader,) = tree.glob("usr/lib*/ld-linux-*.so.*")
    (libraries,) = tree.glob("usr/lib/*-linux-gnu")
    python = [str(loader), "--library-path", str(libraries), str(tree / "usr/bin/python3.14")]
    cpu: dict[str, list[float]] = {}

    def run(cores: int) -> float:
        once = _once(python, image, cores)
        cpu.setdefault(f"{cores}", []).append(once["cpu_seconds"])
        return float(once["seconds"])

    medians = _interleaved({f"{n}": partial(run, n) for n in sorted({1, _CORES})})
    for cores, seconds in medians.items():
        speed = f"{unpacked / seconds / 1e6:.0f} MB/s unpacked, {statistics.median(cpu[cores]):.2f} s of CPU"
        times = f"{medians['1'] / seconds:.2f} times 1 core"
        print(f"  Python 3.14, standard library, cores: {cores}   {seconds:6.2f} s   {speed}, {times}")


def _blobs(image: Path) -> list[bytes]:
    def read(descriptor: Mapping[str, Any]) -> bytes:
        return image.joinpath("blobs", *descriptor["digest"].split(":")).read_bytes()

    manifest = json.loads(read(json.loads((image / "index.json").read_text())["manifests"][0]))
    return sorted(map(read, manifest["layers"]), key=len, reverse=True)


def _once(python: Sequence[str], image: Path, cores: int) -> dict[str, Any]:
    code = (ROOT, Path(image_verifier.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, code))}
    command = [*python, "-m", "benchmarks._one_reading", str(image), f"linux/{architecture()}", str(cores)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def _floor(blobs: Sequence[bytes]) -> None:
    with ThreadPoolExecutor(_CORES) as pool:
        list(pool.map(_inflate_and_hash, blobs))


def _inflate_and_hash(blob: bytes) -> None:
    inflater = decompressors.inflater(exact=decompressors.EXACT)
    compressed, unpacked = hashlib.sha256(), hashlib.sha256()
    # The gzip header of benchmarks.sample_image has ten bytes.
    for at in range(10, len(blob), _STEP):
        piece = blob[at : at + _STEP]
        compressed.update(piece)
        while piece:
            unpacked.update(inflater.decompress(piece, _STEP))
            piece = inflater.unconsumed_tail


def _walk(blobs: Sequence[bytes]) -> float:
    seconds = 0.0
    for blob in blobs:
        pieces = list(decompression.unpacked(decompression.ByteStream([blob]), "gzip"))
        seconds += _timed(lambda pieces=pieces: _walk_one(pieces))
    return seconds


def _walk_one(pieces: Sequence[bytes]) -> None:
    stream, layer = Stream(pieces), UnpackedLayer()
    for entry in tar.entries(stream):
        layer.add(entry, stream)


def _command(command: Sequence[str]) -> Callable[[], float]:
    return lambda: _timed(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True))


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _interleaved(runs: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(RUNS):
        for name, run in runs.items():
            seconds[name].append(run())
    return {name: statistics.median(times) for name, times in seconds.items()}


if __name__ == "__main__":
    main()
