"""The real engines: containerd 1.7 and 2.1 through CRI, and dockerd with each of its image stores."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from local_engines.containerd import Containerd, PullError
from local_engines.dockerd import DockerEngine
from release.engines.permissive_registry import PermissiveRegistry

# A runtime accepts an image if each of these engines does.
REQUIRED_ENGINES: Mapping[str, tuple[str, ...]] = {
    "fargate": ("containerd 1.7", "containerd 2.1"),
    "ecs-ec2": ("dockerd",),
    "ecs-managed-instances": ("dockerd, containerd store",),
}


class Puller(Protocol):
    """An engine that pulls and unpacks."""

    def pull(self, reference: str) -> str:
        """Pull an image and remove it again. Returns the engine's error, or an empty text."""


@dataclass(frozen=True)
class ContainerdPuller:
    """containerd, through CRI."""

    containerd: Containerd

    def pull(self, reference: str) -> str:
        """Pull an image and remove it again."""
        try:
            self.containerd.pull(reference)
        except PullError as error:
            return str(error)
        finally:
            self.containerd.remove(reference)
        return ""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class DockerdPuller:
    """dockerd, through its API: https://docs.docker.com/reference/api/engine/"""

    path: str

    def pull(self, reference: str) -> str:
        """Pull an image and remove it again."""
        name, _, tag = reference.rpartition(":")
        try:
            status, answer = self._request("POST", f"/images/create?fromImage={quote(name, safe='')}&tag={tag}")
        except http.client.HTTPException:
            # dockerd panics at an empty digest, which ends this one request.
            return "dockerd closed the connection"
        lines = [json.loads(line) for line in answer.splitlines() if line.strip()]
        if status != 200:
            return str(lines[0]["message"])
        self._request("DELETE", f"/images/{reference}?force=1")
        return next((str(line["error"]) for line in lines if "error" in line), "")

    def _request(self, method: str, path: str) -> tuple[int, bytes]:
        with contextlib.closing(_UnixConnection(self.path)) as connection:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()


@contextlib.contextmanager
def start_engines(registry: PermissiveRegistry) -> Iterator[Mapping[str, Puller]]:
    """Start the engines from Debian's packages.

    :raises EngineError: when they cannot run on this machine.
    """
    registries = {registry.host: f"http://{registry.host}"}
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(Containerd.start("1.7", registries))
        new = stack.enter_context(Containerd.start("2.1", registries))
        classic = stack.enter_context(DockerEngine.start(store="classic", own=True))
        store = stack.enter_context(DockerEngine.start(store="containerd", own=True))
        print(f"containerd {old.version}, containerd {new.version}, dockerd {classic.version} (both stores)")
        yield {
            "containerd 1.7": ContainerdPuller(old),
            "containerd 2.1": ContainerdPuller(new),
            "dockerd": DockerdPuller(classic.host.removeprefix("unix://")),
            "dockerd, containerd store": DockerdPuller(store.host.removeprefix("unix://")),
        }
