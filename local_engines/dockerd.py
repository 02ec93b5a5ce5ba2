"""A Docker engine for the demo and the tests: the machine's own if it runs, otherwise one from Debian's packages.

Docker from Debian's packages is unpacked under `.local/` and not installed. It runs as root with a bridge of its own,
changes neither iptables nor the user's Docker configuration, and ends with the `with` block, or when the process is
killed. Its data root stays, so that the build cache and base images survive.
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

# The client, the daemon and the containerd that Docker starts must come from one suite.
_DOCKER_PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "containerd")
# Later suites' runc needs a newer glibc than Debian 12 has.
RUNC = ("bookworm", ("runc",))
_SECONDS_TO_START = 60


class EngineError(RuntimeError):
    """No container engine can run on this machine, or it failed; the message says why, and how to fix it."""


@dataclass(frozen=True)
class DockerEngine:
    """A running Docker engine. Get one with `DockerEngine.start`."""

    host: str
    """DOCKER_HOST"""
    config: Path
    """DOCKER_CONFIG: a folder of its own, so that `docker login` never changes the user's"""
    client: Path
    """the `docker` command of the same release"""
    store: Store
    """the image store: containerd's, or dockerd's classic one"""
    version: str
    """the server's version"""
    origin: str
    """"this machine" or the Debian suite that it comes from"""

    @classmethod
    @contextlib.contextmanager
    def start(
        cls, *, store: Store = "containerd", suites: tuple[str, ...] = ("sid", "trixie"), own: bool = False
    ) -> Iterator[DockerEngine]:
        """Yield a running engine.

        :param store: the image store that the engine must have.
        :param suites: the Debian suites for Docker from packages; the first whose programs run on this machine is used.
            sid has the newest Docker, and may one day require a newer libc than the machine's; trixie's (26.1) is old
            enough for the tag race of incident 1.
        :param own: always start Docker from Debian's packages, even if the machine runs one.
        :raises EngineError: when no such engine can run.
        """
        docker = None if own else shutil.which("docker")
        with run_folder() as folder:
            engine = docker and _running_on_this_machine(Path(docker), folder, store)
            if engine:
                yield engine
                return
        with _from_debian(suites, store) as engine:
            yield engine

    def env(self) -> dict[str, str]:
        """Variables that make `docker` and the CDK CLI use this engine."""
        return {
            "DOCKER_HOST": self.host,
            "DOCKER_CONFIG": str(self.config),
            "CDK_DOCKER": str(self.client),
        }

    def docker(self, *arguments: str, env: dict[str, str] | None = None, stdin: bytes = b"") -> str:
        """Run `docker` with `arguments`, and return its output.

        :raises EngineError: with the command's output, when it fails.
        """
        inherited = {key: value for key, value in os.environ.items() if not _configures_docker(key)}
        done = subprocess.run(
            [str(self.client), *arguments],
            env={**inherited, **self.env(), **(env or {})},
            input=stdin,
            capture_output=True,
        )
        if done.returncode != 0:
            output = (done.stderr + done.stdout).decode(errors="replace").strip()
            raise EngineError(f"docker {' '.join(arguments)} failed with exit code {done.returncode}:\n{output}")
        return done.stdout.decode()


def _configures_docker(variable: str) -> bool:
    return variable.startswith(("DOCKER_", "BUILDX_", "BUILDKIT_", "CDK_DOCKER"))


def _describe(client: Path, env: dict[str, str]) -> Info | None:
    """The output of `docker info`, or None where no engine answers."""
    try:
        done = subprocess.run([str(client), "info", "--format", "{{json .}}"], env=env, capture_output=True, timeout=20)
        info = json.loads(done.stdout or b"{}")
    except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError):
        return None
    return info if done.returncode == 0 and info.get("ServerVersion") else None


def _store(info: Info) -> Store:
    return "containerd" if "io.containerd.snapshotter" in str(info.get("DriverStatus")) else "classic"


def _running_on_this_machine(client: Path, config: Path, store: Store) -> DockerEngine | None:
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
def _from_debian(suites: tuple[str, ...], store: Store) -> Iterator[DockerEngine]:
    require_root(f"No Docker with the {store} image store runs on this machine. To run one")
    try:
        suite, docker = _first_runnable_docker(suites)
        runc = debian.unpacked(*RUNC)
    except debian.DebianError as error:
        raise EngineError(f"{error} Or install and start Docker.") from None

    with run_folder() as folder, exclusive_data_root(f"docker-{suite}-{store}") as (data, lock):
        host, config = f"unix://{folder}/docker.sock", folder / "config"
        (config / "cli-plugins").mkdir(parents=True)
        buildx = docker / "usr/libexec/docker/cli-plugins/docker-buildx"
        (config / "cli-plugins" / buildx.name).symlink_to(buildx)
        (config / "config.json").write_text("{}")
        log = data.with_name(f"{data.name}.log")
        spec = DaemonSpec(
            argv=[
                str(docker / "usr/sbin/dockerd"),
                f"--config-file={_daemon_json(folder, store)}",
                f"--data-root={data}",
                f"--exec-root={folder}/exec",
                f"--pidfile={folder}/docker.pid",
                f"--host={host}",
                f"--bridge={folder.name}",
                f"--cgroup-parent=/{folder.name}",
                # The host's iptables and IP forwarding stay unchanged.
                "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
                "--log-level=warn",
            ],
            env={**os.environ, "PATH": path_with_programs(docker, runc)},
            log=str(log),
            folder=str(folder),
            # Docker writes here despite the options above; /run/containerd has the socket of every shim.
            covered=["/run/containerd", "/run/docker", "/run/runc"],
            bridge=(folder.name, *_free_network()),
            cgroup=folder.name,
        )  # fmt: skip
        supervisor = Supervisor(spec, hold=lock)
        try:
            client = docker / "usr/bin/docker"
            env = {**os.environ, "DOCKER_HOST": host, "DOCKER_CONFIG": str(config)}
            info = wait_until_ready(supervisor, log, lambda: _describe(client, env))
            yield DockerEngine(host, config, client, store, str(info["ServerVersion"]), f"Debian {suite}")
        finally:
            supervisor.close()


def _first_runnable_docker(suites: tuple[str, ...]) -> tuple[str, Path]:
    """The first suite whose Docker runs on this machine, and the folder in which it is unpacked.

    :raises EngineError: with the error from each suite, when none runs.
    """
    errors = []
    for suite in suites:
        tree = debian.unpacked(suite, _DOCKER_PACKAGES)
        tried = subprocess.run([str(tree / "usr/sbin/dockerd"), "--version"], capture_output=True, text=True)
        if tried.returncode == 0:
            return suite, tree
        errors.append(f"{suite}: {tried.stderr.strip()}")
    raise EngineError("\n".join(["Docker from Debian's packages does not run on this machine:", *errors]))


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
    """Require Linux and root.

    :param what: beginning of the error message.
    :raises EngineError: otherwise.
    """
    if platform.system() != "Linux" or os.geteuid() != 0:
        raise EngineError(f"{what} from Debian's packages, run this command as root on Debian.")


def path_with_programs(*trees: Path) -> str:
    """PATH with the programs of unpacked packages at its beginning."""
    folders = [str(tree / programs) for tree in trees for programs in ("usr/sbin", "usr/bin")]
    return os.pathsep.join([*folders, os.environ["PATH"]])


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """A folder for sockets and configuration. Its path is short, since a socket's path has at most 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="csi-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def exclusive_data_root(name: str) -> Iterator[tuple[Path, int]]:
    """The first data root of `name`, `name-2`, … that no other run uses, and the descriptor of its lock.

    A process that inherits the descriptor keeps the lock.
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
    raise EngineError(f"All data roots under {parent} are in use. Stop the engines that use them.")


def _free_network() -> tuple[str, str]:
    """(address, netmask) of a private network to which this machine has no route."""
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
    raise EngineError("No network is free for a bridge: this machine's routes cover all of 172.29.0.0/16.")


def wait_until_ready(supervisor: Supervisor, log: Path, probe: Callable[[], T | None]) -> T:
    """Probe the daemon until it answers, and return the answer.

    :param probe: returns None where the daemon does not answer yet.
    :raises EngineError: with the end of the daemon's log, when it does not start.
    """
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and supervisor.running():
        answer = probe()
        if answer is not None:
            return answer
        time.sleep(0.1)
    errors = supervisor.close()
    tail = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
    raise EngineError("\n".join(["The container engine from Debian's packages did not start:", errors, *tail]))
