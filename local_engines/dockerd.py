"""A Docker engine for the demo and the tests: this machine's own where one runs, else one from Debian's packages.

Docker from Debian's packages is not installed: it is unpacked under `.local/`, runs as root with a bridge of
its own, changes neither iptables nor the user's Docker configuration, and is gone when the `with` block ends,
or when the process is killed. Its data root stays, so that build cache and base images survive.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from local_engines import debian
from local_engines.checkout import LOCAL
from local_engines.supervisor import DaemonSpec, Supervisor

Store = Literal["containerd", "classic"]
Info = dict[str, object]
T = TypeVar("T")

# The client, the daemon and the containerd that Docker brings up must be of one suite.
_DOCKER_PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "containerd")
# Later suites' runc needs a newer glibc than Debian 12 has.
RUNC = ("bookworm", ("runc",))
_SECONDS_TO_START = 60


class EngineError(RuntimeError):
    """No container engine can be had on this machine; the message says why and what to do."""


@dataclass(frozen=True)
class DockerEngine:
    """A running Docker engine. Get one with `Engine.start`."""

    host: str
    """DOCKER_HOST"""
    config: Path
    """DOCKER_CONFIG, a folder of its own: `docker login` writes there and not into the user's"""
    client: Path
    """the docker command that goes with it"""
    store: Store
    """where images are kept: containerd's image store, or dockerd's classic one"""
    version: str
    """the server's version"""
    origin: str
    """"this machine" or the Debian suite that it comes from"""

    @classmethod
    @contextlib.contextmanager
    def start(
        cls, *, store: Store = "containerd", suites: tuple[str, ...] = ("sid", "trixie"), own: bool = False
    ) -> Iterator[DockerEngine]:
        """Give a running engine.

        Parameters
            store: the image store that it must have.
            suites: the Debian suites that Docker is taken from where it must be started: the first whose programs
                run on this machine. sid has a Docker of today, and may one day ask for a newer libc than there is;
                trixie has one that is old enough (26.1) for the tag race of incident 1.
            own: start Docker from Debian's packages also where this machine runs one.

        Raises `EngineError`.
        """
        docker = None if own else shutil.which("docker")
        with run_folder() as folder:
            engine = docker and _of_this_machine(Path(docker), folder, store)
            if engine:
                yield engine
                return
        with _of_debian(suites, store) as engine:
            yield engine

    def env(self) -> dict[str, str]:
        """What to add to an environment so that `docker`, and the CDK CLI, talk to this engine."""
        return {
            "DOCKER_HOST": self.host,
            "DOCKER_CONFIG": str(self.config),
            "CDK_DOCKER": str(self.client),
        }

    def docker(self, *arguments: str, env: dict[str, str] | None = None, stdin: bytes = b"") -> str:
        """Run `docker` with `arguments` and return what it printed. Raises `EngineError` with its words."""
        inherited = {key: value for key, value in os.environ.items() if not _steers_docker(key)}
        done = subprocess.run(
            [str(self.client), *arguments],
            env={**inherited, **self.env(), **(env or {})},
            input=stdin,
            capture_output=True,
        )
        if done.returncode != 0:
            said = (done.stderr + done.stdout).decode(errors="replace").strip()
            raise EngineError(f"docker {' '.join(arguments)} ended with {done.returncode}:\n{said}")
        return done.stdout.decode()


def _steers_docker(variable: str) -> bool:
    return variable.startswith(("DOCKER_", "BUILDX_", "BUILDKIT_", "CDK_DOCKER"))


def _describe(client: Path, env: dict[str, str]) -> Info | None:
    """What `docker info` says, or None where no engine answers."""
    try:
        done = subprocess.run([str(client), "info", "--format", "{{json .}}"], env=env, capture_output=True, timeout=20)
        info = json.loads(done.stdout or b"{}")
    except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError):
        return None
    return info if done.returncode == 0 and info.get("ServerVersion") else None


def _store(info: Info) -> Store:
    return "containerd" if "io.containerd.snapshotter" in str(info.get("DriverStatus")) else "classic"


def _of_this_machine(client: Path, config: Path, store: Store) -> DockerEngine | None:
    info = _describe(client, dict(os.environ))
    if info is None or _store(info) != store:
        return None
    context = subprocess.run(
        [str(client), "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"],
        capture_output=True,
        text=True,
    )
    plugins = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker")) / "cli-plugins"
    if plugins.is_dir():
        (config / "cli-plugins").symlink_to(plugins)
    return DockerEngine(
        host=context.stdout.strip() or os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"),
        config=config,
        client=client,
        store=store,
        version=str(info["ServerVersion"]),
        origin="this machine",
    )


@contextlib.contextmanager
def _of_debian(suites: tuple[str, ...], store: Store) -> Iterator[DockerEngine]:
    require_root(f"No Docker with the {store} image store answers on this machine; one")
    try:
        suite, docker = _docker_that_runs(suites)
        runc = debian.unpacked(*RUNC)
    except debian.DebianError as error:
        raise EngineError(f"{error} Install and start Docker instead.") from None

    with run_folder() as folder, own_data_root(f"docker-{suite}-{store}") as (data, lock):
        host, config = f"unix://{folder}/docker.sock", folder / "config"
        (config / "cli-plugins").mkdir(parents=True)
        buildx = docker / "usr/libexec/docker/cli-plugins/docker-buildx"
        (config / "cli-plugins" / buildx.name).symlink_to(buildx)
        (config / "config.json").write_text("{}")
        log = data.with_name(f"{data.name}.log")
        order = DaemonSpec(
            argv=[
                str(docker / "usr/sbin/dockerd"),
                f"--config-file={_daemon_json(folder, store)}",
                f"--data-root={data}",
                f"--exec-root={folder}/exec",
                f"--pidfile={folder}/docker.pid",
                f"--host={host}",
                f"--bridge={folder.name}",
                f"--cgroup-parent=/{folder.name}",
                # Nothing of the host's is changed: neither its iptables nor whether it forwards.
                "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
                "--log-level=warn",
            ],
            env={**os.environ, "PATH": with_programs(docker, runc)},
            log=str(log),
            folder=str(folder),
            # Written to whatever the folders given above; /run/containerd holds every shim's socket.
            covered=["/run/containerd", "/run/docker", "/run/runc"],
            bridge=(folder.name, *_free_network()),
            cgroup=folder.name,
        )  # fmt: skip
        keeper = Supervisor(order, hold=lock)
        try:
            client = docker / "usr/bin/docker"
            env = {**os.environ, "DOCKER_HOST": host, "DOCKER_CONFIG": str(config)}
            info = started(keeper, log, lambda: _describe(client, env))
            yield DockerEngine(host, config, client, store, str(info["ServerVersion"]), f"Debian {suite}")
        finally:
            keeper.close()


def _docker_that_runs(suites: tuple[str, ...]) -> tuple[str, Path]:
    """The first suite whose Docker runs here, and where that is unpacked. Raises `EngineError`."""
    said = []
    for suite in suites:
        tree = debian.unpacked(suite, _DOCKER_PACKAGES)
        tried = subprocess.run([str(tree / "usr/sbin/dockerd"), "--version"], capture_output=True, text=True)
        if tried.returncode == 0:
            return suite, tree
        said.append(f"{suite}: {tried.stderr.strip()}")
    raise EngineError("\n".join(["Docker from Debian's packages does not run on this machine:", *said]))


def _daemon_json(folder: Path, store: Store) -> Path:
    path = folder / "daemon.json"
    settings: dict[str, object] = {
        "features": {"containerd-snapshotter": store == "containerd"},
        "builder": {"gc": {"enabled": True, "defaultKeepStorage": "6GB"}},
    }
    if store == "classic":
        settings["storage-driver"] = "overlay2"
    path.write_text(json.dumps(settings))
    return path


def require_root(what: str) -> None:
    """Raise `EngineError` unless this is Linux and we are root."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        raise EngineError(f"{what} from Debian's packages takes Linux and root. Run this as root on Debian.")


def with_programs(*trees: Path) -> str:
    """A PATH that begins with the programs of unpacked packages."""
    folders = [str(tree / programs) for tree in trees for programs in ("usr/sbin", "usr/bin")]
    return os.pathsep.join([*folders, os.environ["PATH"]])


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """A folder for sockets and what goes with them: a short one, since a socket's path has 108 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="csi-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def own_data_root(name: str) -> Iterator[tuple[Path, int]]:
    """A data root that no other run uses now: the first of `name`, `name-2`, … and the lock that holds it.

    Whoever inherits the lock's descriptor goes on holding it.
    """
    parent = LOCAL / "engine"
    parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 100):
        data = parent / (name if number == 1 else f"{name}-{number}")
        with data.with_name(f"{data.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            data.mkdir(exist_ok=True)
            yield data, lock.fileno()
            return
    raise EngineError(f"All data roots under {parent} are in use. End the engines that use them.")


def _free_network() -> tuple[str, str]:
    """(address, netmask) of a private network that no route of this machine leads to."""
    taken = set()
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        _, destination, _, _, _, _, _, mask, *_ = line.split()
        network, netmask = (int.from_bytes(bytes.fromhex(part), "little") for part in (destination, mask))
        taken.add((network, netmask))
    start = secrets.randbelow(256)
    for offset in range(256):
        third = (start + offset) % 256
        network = (172 << 24) | (29 << 16) | (third << 8)
        if all(mask == 0 or (network & mask) != (other & 0xFFFFFF00 & mask) for other, mask in taken):
            return f"172.29.{third}.1", "255.255.255.0"
    raise EngineError("Routes of this machine cover all of 172.29.0.0/16; no network is left for a bridge.")


def started(keeper: Supervisor, log: Path, ask: Callable[[], T | None]) -> T:
    """Ask until the daemon answers, and return the answer. Raises `EngineError` with the end of its log."""
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and keeper.running():
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(0.1)
    said = keeper.close()
    tail = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
    raise EngineError("\n".join(["The container engine from Debian's packages did not start:", said, *tail]))
