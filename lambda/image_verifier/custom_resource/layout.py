"""The layout of a reason, which keeps it readable wherever the CDK CLI prints it.

The CLI prints a reason in the event's line, under the failed resources, and last in a block that it wraps again: it
cuts the text at the last space or newline of every 121 characters, and puts two columns before each piece. A newline
within a piece stays. So rows are put together to pieces that end where the CLI cuts, and are padded only so far: a row
that is padded beyond a terminal's width would show an empty row below it.
https://github.com/aws/aws-cdk-cli/blob/main/packages/%40aws-cdk/toolkit-lib/lib/api/diagnosing/format-utils.ts

This module imports nothing that could fail, so that a response can always be laid out.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from ..text import printable

# Where the CLI cuts a piece at the latest, and the columns that it puts before each.
_CUT: Final = 120
_MARGIN: Final = "  "
# The limit of a response: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-customresource.html
MAX_BYTES: Final = 4096
# The widths of terminals, with and without the margin. A sentence fits into the narrowest.
_TERMINALS: Final = (80, 100, 120)
COLUMNS: Final = _CUT - len(_MARGIN)
_NARROW: Final = _TERMINALS[0] - len(_MARGIN)
# A row that does not end a sentence is not shorter, unless a long word follows.
_LEAST: Final = 30
# Words that begin no row within a sentence if there is another way: one letter, before which much padding is needed,
# and the first words of our own sentences, which an image's text must not imitate.
_OPENINGS: Final = re.compile(r"\S$|(Image|To|Also:|And|Full|Construct:|\d+\.)$")
# CloudFormation's words before a reason.
_BEFORE: Final = "Received response status [FAILED] from custom resource. Message returned: "
# What it costs that a row begins with such a word, that a terminal shows an empty row, and that a row ends within a
# sentence, beside the square of what it lacks.
_OPENING: Final = 100_000
_EMPTY_ROW: Final = 1000
# The ways to a word that are followed, so that a text of one-letter words takes no longer than another.
_WAYS: Final = 8
_ROW: Final = 100


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
    def is_short(self) -> bool:
        """Whether the reason may fit into a response: its text alone is below CloudFormation's limit."""
        return len(self.headline) + sum(len(paragraph.text) for paragraph in self.paragraphs) < MAX_BYTES

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
    space is collapsed.
    """
    return [Paragraph(line, indent, is_whole=True) for line in re.split(r"(?<=;) (?!\})|(?<=&&) ", text)]


def page(reason: Reason) -> str:
    """The reason as it is sent to CloudFormation: in ASCII, in rows, every piece padded with spaces.

    It begins with a newline, since CloudFormation's own words nearly fill a row.
    """
    words = [
        word
        for paragraph in (Paragraph(_one_line(reason.headline)), *reason.paragraphs)
        for word in _words(printable(paragraph.text), is_whole=paragraph.is_whole)
    ]
    text = "".join(_padded(_rows(words)))
    return text[len(_BEFORE) :].encode("ascii", "replace").decode()


class _Word(NamedTuple):
    """A text that no newline divides: a word of a sentence, or a whole command.

    :param begins: whether a paragraph begins with it.
    """

    text: str
    begins: bool


class _Row(NamedTuple):
    """A row, and whether the CLI cuts before it. Otherwise it has a margin of its own."""

    text: str
    begins_piece: bool


def _words(text: str, *, is_whole: bool) -> list[_Word]:
    parts = [text] if is_whole and text.strip() else text.split()
    return [_Word(part, begins=number == 0) for number, part in enumerate(parts)]


class _Way(NamedTuple):
    """The cheapest rows up to a word.

    :param cost: what they cost, in no unit.
    :param piece: the lengths of the rows since the CLI's last cut.
    :param rows: the way before the last row, None for CloudFormation's own, and the last row.
    """

    cost: int
    piece: tuple[int, ...]
    before: _Way | None
    row: _Row


def _rows(words: Sequence[_Word]) -> list[_Row]:
    """The rows that cost least: few in a paragraph, as even as they can be, and no empty ones in a terminal."""
    # Every row ends before a word, so the words are the nodes of a graph without cycles.
    ways: list[dict[tuple[int, ...], _Way]] = [{} for _ in range(len(words) + 1)]
    begin = (len(_BEFORE),)
    ways[0][begin] = _Way(0, begin, None, _Row(_BEFORE, begins_piece=True))
    for at in range(len(words)):
        first = len(words[at].text.partition(" ")[0])
        cheapest = sorted(ways[at].values(), key=lambda way: way.cost)[:_WAYS]
        for end, text, cost in _rows_from(words, at):
            for way in cheapest:
                joined = (*way.piece, len(text))
                for piece, more in ((joined, 0), ((_tail(text),), _empty_rows(way.piece, first) * _EMPTY_ROW)):
                    if piece is joined and _length(joined) > COLUMNS:
                        continue
                    total, other = way.cost + cost + more, ways[end].get(piece)
                    if other is None or total < other.cost:
                        ways[end][piece] = _Way(total, piece, way, _Row(text, begins_piece=piece is not joined))
    best: _Way | None = min(ways[-1].values(), key=lambda way: way.cost)
    rows = []
    while best:
        rows.append(best.row)
        best = best.before
    return rows[::-1]


def _rows_from(words: Sequence[_Word], at: int) -> Iterator[tuple[int, str, int]]:
    """The rows that may begin with a word: the word after each, its text and its cost."""
    text = ""
    for end in range(at, len(words)):
        limit = COLUMNS if _OPENINGS.match(words[end].text) else _NARROW
        if text and (words[end].begins or len(text) + 1 + len(words[end].text) > limit):
            return
        text = f"{text} {words[end].text}" if text else words[end].text
        ends = end + 1 == len(words) or words[end + 1].begins
        if ends:
            yield end + 1, text, 0 if words[at].begins else max(0, _LEAST - len(text)) ** 2
        elif len(text) >= _LEAST or len(words[end + 1].text) > _LEAST:
            opening = _OPENING * bool(_OPENINGS.match(words[end + 1].text))
            yield end + 1, text, _ROW + max(0, _NARROW - len(text)) ** 2 // 10 + opening


def _length(piece: Sequence[int]) -> int:
    """The characters of a piece, with its newlines and margins."""
    return sum(piece) + (1 + len(_MARGIN)) * (len(piece) - 1)


def _tail(text: str) -> int:
    """The length of a row's last part, as the CLI cuts a row that is too long."""
    while len(text) > _CUT:
        end = text.rfind(" ", 0, _CUT + 1)
        if end < 0 and (end := text.find(" ")) < 0:
            return len(text)
        text = text[end + 1 :]
    return len(text)


def _padding(piece: Sequence[int], first: int) -> list[int]:
    """The spaces behind each row of a piece, so that the CLI cuts behind the last; narrow rows are filled first.

    :param first: the length of the first word of the next row, which must reach beyond the place where the CLI cuts.
    """
    missing = max(0, _CUT - first - _length(piece))
    added = []
    for length in piece:
        added.append(max(0, min(missing, _NARROW - length)))
        missing -= added[-1]
    added[-1] += missing
    return added


@lru_cache(maxsize=4096)
def _empty_rows(piece: tuple[int, ...], first: int) -> int:
    """The empty rows that the padding of a piece shows in terminals of all widths."""
    lengths = [length + len(_MARGIN) for length in piece]
    padded = [length + more for length, more in zip(lengths, _padding(piece, first), strict=True)]
    return sum(-(-b // width) + -a // width for a, b in zip(lengths, padded, strict=True) for width in _TERMINALS)


def _padded(rows: Sequence[_Row]) -> Iterator[str]:
    """The padded rows, with the newlines between them."""
    piece: list[str] = []
    for row in rows:
        if row.begins_piece and piece:
            lengths = [*map(len, piece[:-1]), _tail(piece[-1])]
            added = _padding(lengths, len(row.text.partition(" ")[0]))
            yield f"\n{_MARGIN}".join(text + " " * more for text, more in zip(piece, added, strict=True)) + "\n"
            piece = []
        piece.append(row.text)
    yield f"\n{_MARGIN}".join(piece)


def _one_line(text: str) -> str:
    """The text on one line: white space becomes one space, and an ellipsis three dots."""
    return printable(" ".join(text.split()).replace("…", "..."))
