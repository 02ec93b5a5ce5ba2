"""The container engine of this machine, asked by its own command: what it is, and the images that CDK keeps in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

from image_verifier.faults import Fault

from .versions import Version

_SECONDS: Final = 20
# To write an image of some GB takes its time.
_SECONDS_TO_SAVE: Final = 600
# How CDK names what it builds; what is not a name to Docker is none.
_NAME: Final = re.compile(r"cdkasset-[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
# How docker, podman and nerdctl (finch) say it; the CDK CLI goes by exit codes that say less.
_MISSING: Final = re.compile(r"no such (?:image|object)|image not known", re.IGNORECASE)
# So many images are looked at in one call.
_BATCH: Final = 100


@dataclass(frozen=True)
class DockerEngine:
    """What builds and pushes.

    :param version: the server's version, as it says it.
    :param is_containerd_store: whether images are kept in containerd's image store, or in dockerd's classic one.
    """

    version: str
    is_containerd_store: bool

    @property
    def races(self) -> bool | None:
        """Whether a push can leave an image's tag on its attestation; None where the version does not tell.

        With containerd's image store, every manifest of a build was pushed to the tag itself, until
        https://github.com/moby/moby/pull/49949 (28.2.0) and its backport to 25.0.16.
        """
        if not self.is_containerd_store:
            return False
        version = Version.parse(self.version)
        if version is None:
            return None
        return version < Version(25, 0, 16) or Version(25, 1, 0) <= version < Version(28, 2, 0)


@dataclass(frozen=True)
class LocalImage:
    """An image that CDK has built and keeps here; it pushes it again without building it.

    :param name: such as `cdkasset-…`.
    :param media_type: what a push sends; empty where the engine does not say: the classic image store, and Docker
        before 28.
    """

    name: str
    media_type: str = ""

    @property
    def is_index(self) -> bool:
        """Whether a push sends an index: an image and its attestation, as BuildKit builds them by default."""
        return self.media_type.endswith(("image.index.v1+json", "manifest.list.v2+json"))


class Docker:
    """The engine behind `docker`, or behind what `CDK_DOCKER` names.

    :param command: the command.
    """

    def __init__(self, command: str = "") -> None:
        self.command = command or os.environ.get("CDK_DOCKER") or "docker"
        self._saving = Lock()

    @property
    def name(self) -> str:
        """Which engine's command it is: `docker`, `podman`, `finch`, …"""
        return Path(self.command).stem

    @property
    def is_installed(self) -> bool:
        """Whether there is such a command."""
        return shutil.which(self.command) is not None

    def engine(self) -> DockerEngine:
        """What answers.

        :raises Fault: if nothing does.
        """
        said = self._json("info", "--format", "{{json .}}")
        if not isinstance(said, dict) or not said.get("ServerVersion"):
            errors = said.get("ServerErrors") if isinstance(said, dict) else None
            why = "; ".join(map(str, errors or ())) or "no server answers"
            raise Fault(f"{self.command} has no engine: {why}", "Start it, or look at DOCKER_HOST.")
        # How dockerd tells that its images lie in containerd:
        # https://docs.docker.com/engine/storage/containerd/#enable-containerd-image-store-on-docker-engine
        return DockerEngine(str(said["ServerVersion"]), "io.containerd.snapshotter" in str(said.get("DriverStatus")))

    def cdk_images(self) -> list[LocalImage]:
        """The images that CDK keeps here, newest first.

        :raises Fault: if the engine cannot be asked.
        """
        lines = self.run("image", "ls", "--format", "{{.Repository}}", "--filter", "reference=cdkasset-*").split()
        names = [name for name in dict.fromkeys(lines) if _NAME.fullmatch(name)]
        batches = (names[start : start + _BATCH] for start in range(0, len(names), _BATCH))
        return [image for batch in batches for image in self._inspected(batch)]

    def image(self, name: str) -> LocalImage | None:
        """One image that CDK keeps here; None where there is none of that name.

        :raises Fault: if the engine cannot be asked.
        """
        try:
            (image,) = self._inspected([name])
        except Missing:
            return None
        return image

    def _inspected(self, names: Sequence[str]) -> list[LocalImage]:
        said = self._json("image", "inspect", "--", *names)
        if not isinstance(said, list) or len(said) != len(names) or not all(isinstance(one, dict) for one in said):
            raise self._strange("image inspect")
        return [LocalImage(name, _media_type(one)) for name, one in zip(names, said, strict=True)]

    @contextmanager
    def saved(self, name: str) -> Iterator[Path]:
        """An image as `docker save` writes it, in a file that is gone afterwards; one at a time, for the disk's sake.

        :raises Fault: if it cannot be written.
        """
        with self._saving, tempfile.TemporaryDirectory(prefix="safe-image-") as folder:
            path = Path(folder) / "image.tar"
            self.run("image", "save", "--output", str(path), "--", name, seconds=_SECONDS_TO_SAVE)
            yield path

    def remove(self, name: str) -> None:
        """Remove the image of a name; that it is gone already is fine.

        :raises Fault: if it stays.
        """
        try:
            self.run("image", "rm", "--", name)
        except Missing:
            return

    def run(self, *arguments: str, seconds: int = _SECONDS) -> str:
        """What a command prints.

        :raises Missing: if it says that there is no such image.
        :raises Fault: if it cannot be run, fails, or does not end.
        """
        return run([self.command, *arguments], seconds)

    def _json(self, *arguments: str) -> Any:
        said = self.run(*arguments)
        try:
            return json.loads(said)
        except (ValueError, RecursionError):
            raise self._strange(arguments[0]) from None

    def _strange(self, words: str) -> Fault:
        return Fault(f"{self.command} {words} does not answer as docker does", "Look at CDK_DOCKER.")


def _media_type(said: Mapping[str, Any]) -> str:
    descriptor = said.get("Descriptor")
    return str(descriptor.get("mediaType", "")) if isinstance(descriptor, dict) else ""


class Missing(Fault):
    """There is no image of that name."""


def run(command: Sequence[str], seconds: int = _SECONDS) -> str:
    """What a program of this machine prints.

    :param command: the program and its arguments; no shell reads them.
    :param seconds: how long it may take.
    :raises Missing: if it says that there is no such image.
    :raises Fault: if it cannot be run, fails, or does not end.
    """
    words = " ".join(command[:3])
    try:
        code, said, complaint = _communicated(command, seconds)
    except FileNotFoundError:
        raise Fault(f"{command[0]} is not installed", "Install it, or look at PATH.") from None
    except subprocess.TimeoutExpired:
        raise Fault(f"{words} did not answer in {seconds} s", "Look at what it waits for.") from None
    except (OSError, ValueError) as e:
        raise Fault(f"{words} cannot be run: {getattr(e, 'strerror', None) or e}") from e
    if code:
        lines = (complaint or said).strip().splitlines() or [f"exit code {code}"]
        raise (Missing if _MISSING.search(lines[-1]) else Fault)(f"{words} failed: {lines[-1]}")
    return said


def _communicated(command: Sequence[str], seconds: int) -> tuple[int, str, str]:
    """A program's exit code and what it prints; nothing of it is left behind, whatever happens."""
    # In a session of its own, it asks nobody at the terminal, and goes with all that it has started: docker's plugins
    # would go on and hold its output open.
    with subprocess.Popen(  # noqa: S603 - a list of words, and no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            said, complaint = process.communicate(timeout=seconds)
        except BaseException:
            _kill(process)
            raise
        return process.returncode, said, complaint


def _kill(process: subprocess.Popen[str]) -> None:
    if not hasattr(os, "killpg"):
        process.kill()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
