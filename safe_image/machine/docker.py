"""This machine's container engine, through its own command: its version, its image store, and CDK's images in it."""

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
# An image of some GB is slow to write.
_SECONDS_TO_SAVE: Final = 600
# The names of the images that CDK builds; anything else that Docker lists is left alone.
_NAME: Final = re.compile(r"cdkasset-[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
# The words of docker, podman and nerdctl (finch); the CDK CLI relies on exit codes, which say less.
_MISSING: Final = re.compile(r"no such (?:image|object)|image not known", re.IGNORECASE)
# The number of images that one call inspects.
_BATCH: Final = 100


@dataclass(frozen=True)
class BuildEngine:
    """The engine that builds and pushes.

    :param version: the server's version, as the server reports it.
    :param is_containerd_store: whether images are kept in containerd's image store, or in dockerd's classic one.
    """

    version: str
    is_containerd_store: bool

    @property
    def races(self) -> bool | None:
        """Whether a push can leave an image's tag on its attestation; None where the version is unknown.

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
class DockerImage:
    """An image that CDK has built on this machine, and pushes again without a build.

    :param name: such as `cdkasset-…`.
    :param media_type: the media type that a push sends; empty where the engine does not report it: the classic image
        store, and Docker before 28.
    """

    name: str
    media_type: str = ""

    @property
    def is_index(self) -> bool:
        """Whether a push sends an index: an image and its attestation, as BuildKit builds them by default."""
        return self.media_type.endswith(("image.index.v1+json", "manifest.list.v2+json"))


class Docker:
    """The engine behind `docker`, or behind the command that `CDK_DOCKER` sets.

    :param command: the command.
    """

    def __init__(self, command: str = "") -> None:
        self.command = command or os.environ.get("CDK_DOCKER") or "docker"
        self._saving = Lock()

    @property
    def name(self) -> str:
        """The command's own name: `docker`, `podman`, `finch`, …"""
        return Path(self.command).stem

    @property
    def is_installed(self) -> bool:
        """Whether the command exists on this machine."""
        return shutil.which(self.command) is not None

    def engine(self) -> BuildEngine:
        """The engine that answers.

        :raises Fault: if no engine answers.
        """
        info = self._json("info", "--format", "{{json .}}")
        if not isinstance(info, dict) or not info.get("ServerVersion"):
            errors = info.get("ServerErrors") if isinstance(info, dict) else None
            why = "; ".join(map(str, errors or ())) or "no server answers"
            raise Fault(f"{self.command} has no engine: {why}", "Start it, or check DOCKER_HOST.")
        # The sign of dockerd that its images lie in containerd:
        # https://docs.docker.com/engine/storage/containerd/#enable-containerd-image-store-on-docker-engine
        return BuildEngine(str(info["ServerVersion"]), "io.containerd.snapshotter" in str(info.get("DriverStatus")))

    def cdk_images(self) -> list[DockerImage]:
        """The images that CDK keeps on this machine, newest first.

        :raises Fault: if the engine does not answer.
        """
        lines = self.run("image", "ls", "--format", "{{.Repository}}", "--filter", "reference=cdkasset-*").split()
        names = [name for name in dict.fromkeys(lines) if _NAME.fullmatch(name)]
        batches = (names[start : start + _BATCH] for start in range(0, len(names), _BATCH))
        return [image for batch in batches for image in self._inspect(batch)]

    def image(self, name: str) -> DockerImage | None:
        """One image that CDK keeps on this machine; None where there is none of that name.

        :raises Fault: if the engine does not answer.
        """
        try:
            (image,) = self._inspect([name])
        except Missing:
            return None
        return image

    def _inspect(self, names: Sequence[str]) -> list[DockerImage]:
        answers = self._json("image", "inspect", "--", *names)
        if (
            not isinstance(answers, list)
            or len(answers) != len(names)
            or not all(isinstance(one, dict) for one in answers)
        ):
            raise self._unexpected("image inspect")
        return [DockerImage(name, _media_type(one)) for name, one in zip(names, answers, strict=True)]

    @contextmanager
    def saved(self, name: str) -> Iterator[Path]:
        """An image as `docker save` writes it, in a temporary file. One image at a time, to spare the disk.

        :raises Fault: if the image cannot be written.
        """
        with self._saving, tempfile.TemporaryDirectory(prefix="safe-image-") as folder:
            path = Path(folder) / "image.tar"
            self.run("image", "save", "--output", str(path), "--", name, seconds=_SECONDS_TO_SAVE)
            yield path

    def remove(self, name: str) -> None:
        """Remove the image of a name; an image that is already gone is fine.

        :raises Fault: if the image stays.
        """
        try:
            self.run("image", "rm", "--", name)
        except Missing:
            return

    def run(self, *arguments: str, seconds: int = _SECONDS) -> str:
        """Run a command of the engine, and return its output.

        :param seconds: the timeout.
        :raises Missing: if the engine has no such image.
        :raises Fault: if the command cannot be run, fails, or times out.
        """
        return run([self.command, *arguments], seconds)

    def _json(self, *arguments: str) -> Any:
        output = self.run(*arguments)
        try:
            return json.loads(output)
        except (ValueError, RecursionError):
            raise self._unexpected(arguments[0]) from None

    def _unexpected(self, words: str) -> Fault:
        return Fault(f"{self.command} {words} does not answer as docker does", "Check CDK_DOCKER.")


def _media_type(image: Mapping[str, Any]) -> str:
    descriptor = image.get("Descriptor")
    return str(descriptor.get("mediaType", "")) if isinstance(descriptor, dict) else ""


class Missing(Fault):
    """The engine has no image of that name."""


def run(command: Sequence[str], seconds: int = _SECONDS) -> str:
    """Run a program of this machine, and return its output.

    :param command: the program and its arguments; no shell interprets them.
    :param seconds: the timeout.
    :raises Missing: if the program reports that there is no such image.
    :raises Fault: if the program cannot be run, fails, or times out.
    """
    words = " ".join(command[:3])
    try:
        code, output, errors = _run_to_end(command, seconds)
    except FileNotFoundError:
        raise Fault(f"{command[0]} is not installed", "Install it, or check PATH.") from None
    except subprocess.TimeoutExpired:
        raise Fault(f"{words} did not answer in {seconds} s", "Run it by hand to see what it waits for.") from None
    except (OSError, ValueError) as e:
        raise Fault(f"{words} cannot be run: {getattr(e, 'strerror', None) or e}") from e
    if code:
        lines = (errors or output).strip().splitlines() or [f"exit code {code}"]
        raise (Missing if _MISSING.search(lines[-1]) else Fault)(f"{words} failed: {lines[-1]}")
    return output


def _run_to_end(command: Sequence[str], seconds: int) -> tuple[int, str, str]:
    """A program's exit code, output and error output. No process of it survives a timeout or an interrupt."""
    # In a session of its own it cannot prompt at the terminal, and is killed with all processes that it has started:
    # docker's plugins would go on and hold its output open.
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
            output, errors = process.communicate(timeout=seconds)
        except BaseException:
            _kill(process)
            raise
        return process.returncode, output, errors


def _kill(process: subprocess.Popen[str]) -> None:
    if not hasattr(os, "killpg"):
        process.kill()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
