"""The real engines: containerd 1.6, 1.7 and 2.1 through CRI, and dockerd with each of its image stores."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol
from urllib.parse import quote

from image_verifier.image.choices import BY_CONTAINERD_2_3
from image_verifier.rules.engines import (
    CONTAINERD_1_6,
    CONTAINERD_1_7,
    CONTAINERD_2_1,
    DOCKERD_28,
    DOCKERD_CONTAINERD_STORE,
    Engine,
)

from local_engines.containerd import Containerd, PullError, Release
from local_engines.dockerd import DockerEngine, Store
from release.engines.permissive_registry import PermissiveRegistry

# Debian builds containerd 2.1 with a newer package `platforms` than its own, v1.0.0-rc.4 instead of rc.2, which
# compares `os.features`. And CRI fetches no manifest of another platform; the corpus was recorded with
# `ctr image pull`, which does.
_CONTAINERD_2_1_OF_DEBIAN: Final = replace(CONTAINERD_2_1, choices=(BY_CONTAINERD_2_3,), whole_index=False)
# Our row for each engine that Debian has.
ROWS: Final[Mapping[str, Engine]] = {
    row.name: row
    for row in (
        CONTAINERD_1_6,
        CONTAINERD_1_7,
        _CONTAINERD_2_1_OF_DEBIAN,
        DOCKERD_28,
        DOCKERD_CONTAINERD_STORE,
    )
}
# They pull an image without an error of which they know no layer, or cannot read the config, and fail at its start.
PULL_ANYTHING: Final = frozenset({CONTAINERD_2_1.name, DOCKERD_CONTAINERD_STORE.name})
_RELEASES: Final[Mapping[Release, Engine]] = {"1.6": CONTAINERD_1_6, "1.7": CONTAINERD_1_7, "2.1": CONTAINERD_2_1}
_STORES: Final[Mapping[Store, Engine]] = {"classic": DOCKERD_28, "containerd": DOCKERD_CONTAINERD_STORE}
# What is compared: each engine by itself, and runtimes, which accept an image if each of these engines does. Debian has
# no Docker 25.0: 28.5 stands for it, and the corpus has its results.
# containerd 2.1 stands for the releases after it.
REQUIRED_ENGINES: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: (name,) for name in ROWS},
    "fargate": (CONTAINERD_1_7.name, CONTAINERD_2_1.name),
    "eks": (CONTAINERD_2_1.name,),
    "batch": (CONTAINERD_1_7.name, CONTAINERD_2_1.name, DOCKERD_28.name),
    "ecs-ec2": (DOCKERD_28.name,),
    "ecs-managed-instances": (DOCKERD_CONTAINERD_STORE.name,),
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
    pullers: dict[str, Puller] = {}
    versions: list[str] = []
    with contextlib.ExitStack() as stack:
        for release, row in _RELEASES.items():
            containerd = stack.enter_context(Containerd.start(release, registries))
            pullers[row.name] = ContainerdPuller(containerd)
            versions.append(f"containerd {containerd.version}")
        for store, row in _STORES.items():
            docker = stack.enter_context(DockerEngine.start(store=store, own=True))
            pullers[row.name] = DockerdPuller(docker.host.removeprefix("unix://"))
            versions.append(f"dockerd {docker.version} ({store} store)")
        print(", ".join(versions))
        yield pullers
