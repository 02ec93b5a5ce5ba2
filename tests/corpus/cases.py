"""Reads the corpus: each case's image, and the recorded results of real engines and other tools."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.rules.engines import (
    ANY,
    CONTAINERD_1_6,
    CONTAINERD_1_7,
    CONTAINERD_2_1,
    CONTAINERD_2_2,
    CONTAINERD_2_3,
    DOCKERD_25,
    DOCKERD_28,
    DOCKERD_CONTAINERD_STORE,
    Engine,
)
from image_verifier.rules.runtimes import RUNTIMES, Share
from image_verifier.verify import verify

from safe_image.sources.oci_layout import LayoutFolder, OciLayout
from tests.corpus.differences import ACCEPTED_BY_CRI

ARCHIVE: Final = Path(__file__).with_name("corpus.tar.xz")
PLATFORM: Final = Platform.parse("linux/amd64")

# The engine of each row that was measured. containerd 2.2 and 2.3 cannot be had as packages; 2.1 stands for them, as
# far as these images go.
RECORDED: Final[Mapping[Engine, str]] = {
    CONTAINERD_1_6: "containerd-1.6.20",
    CONTAINERD_1_7: "containerd-1.7.24",
    CONTAINERD_2_1: "containerd-2.1.9",
    CONTAINERD_2_2: "containerd-2.1.9",
    CONTAINERD_2_3: "containerd-2.1.9",
    DOCKERD_25: "docker-25.0.16-classic",
    DOCKERD_28: "docker-28.5.2-classic",
    DOCKERD_CONTAINERD_STORE: "docker-28.5.2-containerd-store",
}


def _recorded(runtime: str, *shares: Share) -> tuple[str, ...]:
    hosts = (host for host in RUNTIMES[runtime].on_hosts if host.share in shares)
    return tuple(dict.fromkeys(RECORDED[host.engine] for host in hosts))


# The engines of a runtime that all of its hosts have. It accepts an image if each pulled and started the image.
ENGINES: Final[Mapping[str, tuple[str, ...]]] = {
    name: _recorded(name, Share.ALL) for name, runtime in RUNTIMES.items() if ANY not in runtime.engines
}
# The engines that some or old hosts have.
OTHER_ENGINES: Final = {name: _recorded(name, Share.SOME, Share.OLD) for name in ENGINES}
# The engines whose messages a runtime quotes.
QUOTED: Final = {name: _recorded(name, Share.WORDS, Share.ALL) for name in ENGINES}


@dataclass(frozen=True)
class Case:
    """One image of the corpus, unpacked into a folder."""

    folder: Path
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The case's name, which is also its folder's."""
        return self.folder.name

    def runs(self, runtime: str) -> bool:
        """Whether every engine of the runtime pulled the image, and started it where the case has a start."""
        if RUNTIMES[runtime].pulls_by_cri and self.name in ACCEPTED_BY_CRI:
            return True
        return all(map(self.runs_on, ENGINES[runtime]))

    def runs_on(self, engine: str) -> bool:
        """Whether this engine pulled the image, and started it where the case has a start."""
        outcome = self.facts["engines"][engine]
        return bool(outcome["pulls"] and outcome.get("starts", True))

    def errors(self, runtime: str) -> list[str]:
        """The error texts of the runtime's engines, normalized."""
        outcomes = [self.facts["engines"][engine] for engine in QUOTED[runtime]]
        errors = [outcome.get("error") or outcome.get("start_error") for outcome in outcomes]
        return [normalized(error) for error in errors if error is not None]

    def report(self, *runtimes: str, layers: bool = False) -> Report:
        """Our own report on the image."""
        return _report(self.folder, runtimes, layers)


@cache
def _report(folder: Path, runtimes: tuple[str, ...], layers: bool) -> Report:
    return verify(OciLayout(LayoutFolder(folder)), Policy(runtimes, PLATFORM, verify_layers=layers))


def unpack(folder: Path) -> Sequence[Case]:
    """Unpack the corpus into a folder, and read it."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    paths = sorted(folder.glob("corpus/*/case.json"))
    return [Case(path.parent, json.loads(path.read_text())) for path in paths]


# Parts of an error that depend on the run, on the engine's folders, or on the client.
_NOISE: Final = (
    (re.compile(r"^Cannot(Pull|Start)ContainerError: "), ""),
    (re.compile(r"^ResourceInitializationError: failed to create new container runtime task: "), ""),
    (re.compile(r"^ResourceInitializationError: unable to create new container: "), ""),
    (re.compile(r"^rc=\d+ (docker|ctr): "), ""),
    (re.compile(r"^Error response from daemon: "), ""),
    # The call of containerd's that failed before the shim; every client has its own wording.
    (re.compile(r"^(failed to create task for container: )?(failed to create shim task: )(?=OCI runtime)"), ""),
    (re.compile(r"^error pulling image configuration: (download failed after attempts=\d+: )?"), ""),
    (re.compile(r"content at \S*/manifests/"), "content at /manifests/"),
    (re.compile(r'apply layer error for "[^"]*"'), "apply layer error"),
    (re.compile(r"mount callback failed on \S+ ?"), ""),
    (re.compile(r"\S*/snapshots/\d+/fs/"), ""),
    (re.compile(r'failed to extract layer \(\S+ (\S+)\) to overlayfs as "[^"]*"'), r"failed to extract layer \1"),
    # A path of the host, as we and as the corpus abbreviate it.
    (re.compile(r"(…/?:?|<tmp>) ?"), ""),
    # containerd 1.6 quotes a time twice.
    (re.compile(r'\\"'), ""),
    (re.compile(r" Suggest the author of .*$"), ""),
    (re.compile(r": unknown$"), ""),
)
_NOTHING_SAID: Final = "pull reports success but nothing was unpacked"


def normalized(error: str) -> str:
    """An engine's error without the parts that differ between two runs of the same engine."""
    if error == _NOTHING_SAID:
        return ""
    for pattern, replacement in _NOISE:
        error = pattern.sub(replacement, error)
    return error
