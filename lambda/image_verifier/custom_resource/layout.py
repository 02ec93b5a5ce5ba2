"""The layout of a reason, which keeps it readable wherever the CDK CLI prints it.

The CLI prints a reason in the event's line, under the failed resources, and last in a block that it wraps again: it
cuts the text at the last space or newline of every 121 characters, and puts two columns before each piece. A newline
within a piece stays. So rows are put together to pieces that end where the CLI cuts, and are padded only so far: a row
that is padded beyond a terminal's width would show an empty row below it.

This module imports nothing that could fail, so that a response can always be laid out.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..text import printable

# Where the CLI cuts a piece at the latest, and the columns that it puts before each.
_CUT: Final = 120
_MARGIN: Final = "  "
# A piece that fits into a terminal of 120 columns, a row that fits into one of 80, and one that fills one of 100.
COLUMNS: Final = _CUT - len(_MARGIN)
_NARROW: Final = 80 - len(_MARGIN)
_WIDE: Final = 100 - len(_MARGIN)
# A shorter beginning of a text is not put at the end of a piece.
_LEAST: Final = 24
_ASSIGNMENT: Final = re.compile(r"[A-Z]+=[^\s$]+;")
_ASSIGNMENTS: Final = re.compile(rf"{_ASSIGNMENT.pattern}( {_ASSIGNMENT.pattern})*")
# Words that do not begin a row within a sentence: one letter, before which much padding is needed, and the first words
# of our own sentences, which an image's text must not imitate.
_OPENINGS: Final = re.compile(r"(?:\S|Image|To|Also:|And|Full|Construct:|\d+\.)(?: |$)")
_BEFORE: Final = "Received response status [FAILED] from custom resource. Message returned: "


@dataclass(frozen=True)
class Paragraph:
    """A part of a reason.

    :param text: the text, on one line.
    :param indent: the columns before it in the log and in messages; CloudFormation's reason has none.
    :param is_whole: whether it is never broken, as a command that is pasted.
    """

    text: str
    indent: str = ""
    is_whole: bool = False

    @property
    def lines(self) -> list[str]:
        """The text in lines of at most 118 columns, those after the first indented by two more.

        A name that needs 120 columns, such as the reference of an image in CDK's repository, stays whole.
        """
        if self.is_whole:
            return [self.indent + printable(self.text)]
        longest = max(map(len, self.text.split()), default=0) + len(self.indent) + len(_MARGIN)
        return textwrap.wrap(
            self.text,
            _CUT if COLUMNS < longest <= _CUT else COLUMNS,
            initial_indent=self.indent,
            subsequent_indent=_MARGIN + self.indent,
            break_on_hyphens=False,
        )


@dataclass(frozen=True)
class Reason:
    """A text for CloudFormation and for the log.

    :param headline: the most important sentence, complete in itself, with short words at its beginning.
    :param paragraphs: the rest.
    """

    headline: str
    paragraphs: Sequence[Paragraph] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """The headline and the other lines as they are logged, without control characters."""
        return _one_line(self.headline), *(line for paragraph in self.paragraphs for line in paragraph.lines)


def prose(text: str, indent: str = "") -> list[Paragraph]:
    """A text that may be broken; none where it is empty."""
    return [Paragraph(_one_line(text), indent)] if text.strip() else []


def verbatim(lines: Iterable[str]) -> list[Paragraph]:
    """Lines that are not broken, such as those of a traceback."""
    return [Paragraph(line, is_whole=True) for line in lines]


def command(text: str, indent: str = "") -> list[Paragraph]:
    """A shell command, to be pasted.

    It is broken only behind `;` and `&&`: a backslash would not work before the spaces that pad a line, nor where white
    space is collapsed. Assignments share a line, and every other part has a line of its own.
    """
    lines: list[str] = []
    for part in re.split(r"(?<=;) (?!\})|(?<=&&) ", text):
        share = lines and _ASSIGNMENT.fullmatch(part) and len(indent) + len(lines[-1]) + 1 + len(part) <= COLUMNS
        if share and _ASSIGNMENTS.fullmatch(lines[-1]):
            lines[-1] += f" {part}"
        else:
            lines.append(part)
    return [Paragraph(line, indent, is_whole=True) for line in lines]


def page(reason: Reason) -> str:
    """The reason as it is sent to CloudFormation: in ASCII, every piece padded with spaces."""
    pieces = list(_pieces((Paragraph(_one_line(reason.headline)), *reason.paragraphs)))
    padded = [
        piece.padded(after.rows[0], len(_BEFORE) if piece is pieces[0] else 0)
        for piece, after in itertools.pairwise(pieces)
    ]
    return "".join([*padded, pieces[-1].text]).encode("ascii", "replace").decode()


@dataclass(frozen=True)
class _Piece:
    """Rows between two cuts of the CLI.

    :param rows: the rows. The CLI's margin is only before the first, so the others have their own.
    :param is_prose: whether the last row may be broken.
    :param end: the character at which the CLI cuts: a newline, or the space within a sentence or a long command.
    """

    rows: tuple[str, ...]
    is_prose: bool = True
    end: str = "\n"

    @property
    def text(self) -> str:
        return "\n".join(self.rows)

    def padded(self, after: str, before: int) -> str:
        """The piece with its end, padded so that the CLI cuts there; narrow rows are filled first.

        :param after: the row after it, whose first word must reach beyond the place where the CLI cuts at the latest.
        :param before: the number of characters before the first row.
        """
        missing = _CUT - len(after.partition(" ")[0]) - before - len(self.text)
        rows, filled = self.rows, []
        if (
            self.is_prose
            and not before
            and len(rows) == 1
            and len(self.text) <= _WIDE
            and len(self.text) + missing > _NARROW
        ):
            rows = _in_two(rows[0])
            missing -= len("\n".join(rows)) - len(self.text)
        for number, row in enumerate(rows):
            added = max(0, min(missing, _NARROW - len(row) - (0 if number else before)))
            missing -= added
            filled.append(row + " " * added)
        return "\n".join(filled) + " " * missing + self.end


def _pieces(paragraphs: Sequence[Paragraph]) -> Iterator[_Piece]:
    """The pieces of a text. CloudFormation's own words stand before the first."""
    rows: list[str] = []
    room = COLUMNS - len(_BEFORE)
    is_prose = True
    for paragraph in paragraphs:
        text = whole = printable(paragraph.text)
        while text:
            row = _beginning(text, room - len(_MARGIN) * bool(rows), is_whole=paragraph.is_whole)
            if not row or (rows and row != text and len(row) < _LEAST):
                is_one_line = text != whole and (paragraph is paragraphs[0] or paragraph.is_whole)
                yield _Piece(tuple(rows), is_prose, " " if is_one_line else "\n")
                rows, room = [], COLUMNS
                row = _beginning(text, room, is_whole=paragraph.is_whole) or _longer(text)
            rows.append(_MARGIN * bool(rows) + row)
            room -= len(rows[-1]) + 1
            is_prose = not paragraph.is_whole
            text = text[len(row) :].lstrip()
    yield _Piece(tuple(rows))


def _beginning(text: str, room: int, *, is_whole: bool = False) -> str:
    """The words of a text that fit into a row, unless the next row would then begin with one of `_OPENINGS`."""
    if len(text) <= room:
        return text
    end = -1 if is_whole else text.rfind(" ", 0, max(0, room + 1))
    while end > 0 and _OPENINGS.match(text, end + 1):
        end = text.rfind(" ", 0, end)
    return text[: max(end, 0)]


def _longer(text: str) -> str:
    """The first row of a text that does not fit into a piece, as the CLI cuts it."""
    end = text.rfind(" ", 0, _CUT + 1)
    return text[:end] if end > 0 else text.partition(" ")[0]


def _in_two(row: str) -> tuple[str, ...]:
    """A row that would be padded beyond a terminal into which it fits, in two."""
    first = _beginning(row, min(len(row) - 1, COLUMNS // 2))
    return (first, _MARGIN + row[len(first) + 1 :]) if first else (row,)


def _one_line(text: str) -> str:
    """The text on one line: white space becomes one space, and an ellipsis three dots."""
    return printable(" ".join(text.split()).replace("…", "..."))
