"""The values of a file with their places, and the limits of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ..sources.place import Place, dotted

MAX_DEPTH: Final = 200
MAX_VALUES: Final = 1_000_000


@dataclass(frozen=True)
class Values:
    """The values of a document.

    :param value: a text, a list, a mapping or None; numbers and booleans only from JSON.
    :param file: its file, as the user passed it.
    :param line_of: the line of a path, from 1.
    """

    value: Any
    file: str
    line_of: Callable[[tuple[str | int, ...]], int]

    def place(self, path: tuple[str | int, ...]) -> Place:
        """The place of a value.

        :param path: its keys and positions.
        """
        return Place(self.file, self.line_of(path), dotted(path))
