"""The page that text reports are written on: colours and line breaks on a terminal, neither in a file or a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TextIO

from image_verifier.text import printable

from ...terminal import columns, shows_colours

# https://en.wikipedia.org/wiki/ANSI_escape_code#Select_Graphic_Rendition_parameters
_COLOURS: Final = {
    "pass": "1;32",
    "fail": "1;31",
    "unknown": "1;33",
    "skipped": "2",
    "error": "31",
    "warning": "33",
    "info": "36",
    "acknowledged": "2",
    "command": "36",
    "dim": "2",
    "head": "1",
}


@dataclass(frozen=True)
class TextPage:
    """The page that a report is written on.

    :param colour: whether it shows colours.
    :param width: its columns; None does not break lines, so that a log can be searched.
    """

    colour: bool
    width: int | None

    @classmethod
    def of(cls, stream: TextIO) -> TextPage:
        """The page of a stream. Only a terminal has colours, unless NO_COLOR (https://no-color.org) is set."""
        return cls(shows_colours(stream), columns(stream))

    def paint(self, style: str, text: str) -> str:
        """The text in the colour of a style.

        :param style: a verdict, a severity, `acknowledged`, `command`, `dim` or `head`.
        :param text: the text; it must be printable already.
        """
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if self.colour else text

    def wrap(self, text: str, indent: str) -> list[str]:
        """The text in lines, each with the indent and without control characters."""
        text = printable(text)
        if self.width is None:
            return [indent + text]
        # Imported here, since most runs have no terminal, and the command must start quickly.
        import textwrap

        return textwrap.wrap(
            text,
            self.width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
