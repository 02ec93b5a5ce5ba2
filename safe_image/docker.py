"""The container engine of this machine, asked by its own command: what it is, and the images that CDK keeps in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from image_verifier.findings import Fault

_SECONDS: Final = 20
# To write an image of some GB takes its time.
_SECONDS_TO_SAVE: Final = 600
# How CDK names what it builds.
_NAME: Final = re.compile(r"cdkasset-[0-9a-z]+")


@dataclass(frozen=True)
class LocalImage:
    """An image that CDK has built and keeps here; it pushes it again without building it.

    :param name: such as `cdkasset-…`.
    :param platform: for which platform it is; empty where it does not say.
    :param media_type: what a push sends; empty where the image store does not say, which is the classic one.
    :param created: when it was made, as the engine says it.
    """

    name: str
    platform: str
    media_type: str
    created: str

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

    @property
    def is_installed(self) -> bool:
        """Whether there is such a command."""
        return shutil.which(self.command) is not None

    def info(self) -> dict[str, Any]:
        """What `docker info` says of the server.

        :raises Fault: if none answers.
        """
        said: dict[str, Any] = self._json("info", "--format", "{{json .}}")
        if not said.get("ServerVersion"):
            why = "; ".join(map(str, said.get("ServerErrors") or ())) or "no server answers"
            raise Fault(f"{self.command} has no engine: {why}", "Start it, or look at DOCKER_HOST.")
        return said

    def cdk_images(self) -> list[LocalImage]:
        """The images that CDK keeps here, newest first.

        :raises Fault: if the engine cannot be asked.
        """
        lines = self.run("image", "ls", "--format", "{{.Repository}}", "--filter", "reference=cdkasset-*").split()
        names = [name for name in dict.fromkeys(lines) if _NAME.fullmatch(name)]
        return [image for name in names if (image := self.image(name))]

    def image(self, name: str) -> LocalImage | None:
        """One image that CDK keeps here; None where there is none of that name.

        :raises Fault: if the engine cannot be asked.
        """
        try:
            (said,) = self._json("image", "inspect", "--", name)
        except Missing:
            return None
        platform = "/".join(filter(None, (said.get("Os"), said.get("Architecture"), said.get("Variant"))))
        descriptor = said.get("Descriptor") or {}
        return LocalImage(name, platform, str(descriptor.get("mediaType", "")), str(said.get("Created", "")))

    @contextmanager
    def saved(self, name: str) -> Iterator[Path]:
        """An image as `docker save` writes it, in a file that is gone afterwards.

        :raises Fault: if it cannot be written.
        """
        with tempfile.TemporaryDirectory(prefix="safe-image-") as folder:
            path = Path(folder) / "image.tar"
            self.run("image", "save", "--output", str(path), "--", name, seconds=_SECONDS_TO_SAVE)
            yield path

    def remove(self, name: str) -> None:
        """Remove the image of a name.

        :raises Fault: if it stays.
        """
        self.run("image", "rm", "--", name)

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
        except ValueError:
            raise Fault(f"{self.command} {arguments[0]} does not answer as docker does") from None


class Missing(Fault):
    """There is no image of that name."""


def run(command: Sequence[str], seconds: int = _SECONDS) -> str:
    """What a program of this machine prints.

    :param command: the program and its arguments; no shell reads them.
    :param seconds: how long it may take.
    :raises Fault: if it cannot be run, fails, or does not end.
    """
    words = " ".join(command[:3])
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, and no shell
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise Fault(f"{command[0]} is not installed", "Install it, or look at PATH.") from None
    except subprocess.TimeoutExpired:
        raise Fault(f"{words} did not answer in {seconds} s", "Look at what it waits for.") from None
    except OSError as e:
        raise Fault(f"{words} cannot be run: {e.strerror or e}") from e
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        if "no such image" in said[-1].lower() or "no such object" in said[-1].lower():
            raise Missing(said[-1])
        raise Fault(f"{words} failed: {said[-1]}")
    return done.stdout
