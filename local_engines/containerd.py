"""Real containerd, in the releases that runtimes on AWS use, which pulls and starts an image as they do.

It pulls through the Kubernetes runtime interface (CRI), since that fetches and unpacks in one step, as ECS's messages
show; `ctr image pull` does not. It starts images with `ctr run`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import grpc

from local_engines import debian
from local_engines.dockerd import (
    RUNC,
    EngineError,
    exclusive_data_root,
    path_with_programs,
    require_root,
    run_folder,
    wait_until_ready,
)
from local_engines.supervisor import DaemonSpec, Supervisor

Release = Literal["1.6", "1.7", "2.1"]

_SUITES: dict[Release, str] = {"1.6": "bookworm", "1.7": "trixie", "2.1": "sid"}
_PACKAGES = ("containerd",)
_NAMESPACE = "k8s.io"  # where CRI keeps its images
_SECONDS_TO_PULL = 300

_CONFIG = """version = 2
root = "{data}"
state = "{folder}/state"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{folder}/containerd.sock"
[ttrpc]
  address = "{folder}/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{folder}/hosts"
"""
# Both: without a [host] these releases ignore hosts.toml, and without a server they use the real host.
_HOSTS = """server = "{url}"
[host."{url}"]
"""


class PullError(Exception):
    """containerd failed to pull the image; the message is containerd's own."""


class StartError(Exception):
    """containerd failed to start the image; the message is containerd's and runc's own."""


@dataclass(frozen=True)
class Containerd:
    """A running containerd with an empty content store. Get one with `Containerd.start`."""

    version: str
    """as the server reports it, such as "1.7.24~ds1\""""
    _address: Path
    _ctr: Path

    @classmethod
    @contextlib.contextmanager
    def start(cls, release: Release, registries: Mapping[str, str] | None = None) -> Iterator[Containerd]:
        """Start containerd of `release` from Debian's packages.

        :param registries: the URL that replaces a registry's host, as {host: URL}.
        :raises EngineError: when containerd cannot run on this machine.
        """
        require_root(f"To run containerd {release}")
        try:
            programs = debian.unpacked(_SUITES[release], _PACKAGES)
            runc = debian.unpacked(*RUNC)
        except debian.DebianError as error:
            raise EngineError(str(error)) from None
        with run_folder() as folder, exclusive_data_root(f"containerd-{release}") as (data, lock):
            shutil.rmtree(data)  # containerd would not fetch and check the content of an earlier run again
            config = folder / "config.toml"
            config.write_text(_CONFIG.format(data=data, folder=folder))
            for host, url in (registries or {}).items():
                hosts = folder / "hosts" / host / "hosts.toml"
                hosts.parent.mkdir(parents=True)
                hosts.write_text(_HOSTS.format(url=url))
            log = data.with_name(f"{data.name}.log")
            spec = DaemonSpec(
                argv=[str(programs / "usr/bin/containerd"), f"--config={config}", "--log-level=warn"],
                env={**os.environ, "PATH": path_with_programs(programs, runc)},
                log=str(log),
                folder=str(folder),
                covered=["/run/containerd", "/run/runc"],
                cgroup=folder.name,
            )
            supervisor = Supervisor(spec, hold=lock)
            try:
                address, ctr = folder / "containerd.sock", programs / "usr/bin/ctr"
                yield cls(wait_until_ready(supervisor, log, lambda: _version(ctr, address)), address, ctr)
            finally:
                supervisor.close()
                shutil.rmtree(data, ignore_errors=True)

    def pull(self, reference: str, user: str = "", password: str = "") -> None:
        """Pull and unpack `reference`, over HTTP where its host is localhost.

        :raises PullError: with containerd's message.
        """
        credentials = _field(2, _field(1, user.encode()) + _field(2, password.encode())) if user else b""
        try:
            self._call("PullImage", _field(1, _field(1, reference.encode())) + credentials)
        except grpc.RpcError as error:
            raise PullError(error.details()) from None

    def remove(self, reference: str) -> None:
        """Remove an image and the content that only this image uses; does nothing where it was never pulled."""
        self._call("RemoveImage", _field(1, _field(1, reference.encode())))

    def _call(self, method: str, request: bytes) -> None:
        # containerd refuses the authority that grpc derives from a socket's path.
        options = [("grpc.default_authority", "localhost")]
        with grpc.insecure_channel(f"unix://{self._address}", options=options) as channel:
            method_call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                f"/runtime.v1.ImageService/{method}"
            )
            method_call(request, timeout=_SECONDS_TO_PULL)

    @contextlib.contextmanager
    def run(self, reference: str, env: Mapping[str, str] | None = None) -> Iterator[Container]:
        """Run a pulled image in the host's network.

        :param env: additions to the image's environment.
        :raises StartError: with containerd's message.
        """
        name = secrets.token_hex(8)  # not a temporary file's name: that can end in "_", which containerd refuses
        settings = [f"--env={key}={value}" for key, value in (env or {}).items()]
        cgroup = f"--cgroup=/{self._address.parent.name}/{name}"
        # A file, since ctr's fifos would be in /run/containerd, outside the daemon's mount namespace.
        log = self._address.parent / f"{name}.log"
        self._run("run", "--detach", "--net-host", cgroup, f"--log-uri=file://{log}", *settings, reference, name)
        try:
            yield Container(self, name, log)
        finally:
            self._run("task", "delete", "--force", name)
            self._run("container", "delete", name)

    def is_running(self, name: str) -> bool:
        """Whether the task of that name is running."""
        tasks = [line.split() for line in self._run("task", "list").splitlines()]
        return any(task[0] == name and task[-1] == "RUNNING" for task in tasks)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(self._ctr), f"--address={self._address}", f"--namespace={_NAMESPACE}", *arguments],
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise StartError(done.stderr.strip())
        return done.stdout


@dataclass(frozen=True)
class Container:
    """A started image. Get one with `Containerd.run`."""

    _containerd: Containerd
    _name: str
    _log: Path

    def ends_within(self, seconds: float) -> bool:
        """Wait up to `seconds` for the container to end, and return whether it ended."""
        deadline = time.monotonic() + seconds
        while self._containerd.is_running(self._name):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def output(self) -> str:
        """The container's output so far, both streams in order, with the error of an `exec` that fails."""
        return self._log.read_text(errors="replace").strip() if self._log.exists() else ""


def _version(ctr: Path, address: Path) -> str | None:
    """The server's version, or None where the server does not answer yet."""
    if not address.exists():
        return None
    done = subprocess.run([str(ctr), f"--address={address}", "version"], capture_output=True, text=True)
    lines = [line.strip() for line in done.stdout.partition("Server:")[2].splitlines()]
    versions = [line.partition(":")[2].strip() for line in lines if line.startswith("Version:")]
    return versions[0] if versions else None


def _field(number: int, value: bytes) -> bytes:
    """A length-delimited field of a protobuf message: https://protobuf.dev/programming-guides/encoding/"""
    length = len(value)
    encoded = bytearray([number << 3 | 2])
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded) + value
