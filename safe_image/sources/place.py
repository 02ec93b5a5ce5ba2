"""The place in a file that names an image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A place in a file.

    :param file: the file's path, as the user passed it.
    :param line: the line, from 1.
    :param path: the value's path in the file: `Resources.Task.Properties.ContainerDefinitions[0].Image`.
    """

    file: str
    line: int
    path: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.path}"


def dotted(path: tuple[str | int, ...]) -> str:
    """A path in the form of a `Place`.

    :param path: the keys and the positions.
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
