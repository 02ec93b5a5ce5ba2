"""The layout of a reason, which keeps it readable wherever the CDK CLI prints it.

The CLI prints a reason in the event's line, under the failed resources, and last in a block that it wraps again: it
cuts the text at the last space or newline of every 121 characters, and puts two columns before each piece. A newline
within a piece stays. So rows are put together to pieces that end where the CLI cuts, and are padded only so far: a row
that is padded beyond a terminal's width would show an empty row below it.
https://github.com/aws/aws-cdk-cli/blob/main/packages/%40aws-cdk/toolkit-lib/lib/api/diagnosing/format-utils.ts

This module imports nothing that could fail, so that a response can always be laid out.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from ..text import command_parts, printable

# Where the CLI cuts a piece at the latest, and the columns that it puts before each.
_CUT: Final = 120
_MARGIN: Final = "  "
_BETWEEN: Final = f"\n{_MARGIN}"
# The widths of terminals, with and without the margin. A sentence fits into the narrowest.
_TERMINALS: Final = (80, 100, 120)
COLUMNS: Final = _CUT - len(_MARGIN)
_NARROW: Final = _TERMINALS[0] - len(_MARGIN)
# A row that does not end a sentence is not shorter, unless a long word follows, or an empty row would.
_LEAST: Final = 30
_LEAST_BEFORE_AN_EMPTY_ROW: Final = 25
# Words that begin no row within a sentence if there is another way: one letter, before which much padding is needed,
# and the first words of our own sentences, which an image's text must not imitate.
_OPENINGS: Final = re.compile(r"\S$|(Image|To|Also:|And|Full|Construct:|\d+\.)$")
_wrapped: Final = partial(textwrap.wrap, break_long_words=False, break_on_hyphens=False)
# The length of CloudFormation's words before a reason.
_BEFORE: Final = len("Received response status [FAILED] from custom resource. Message returned: ")
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
        """The text in lines of at most 118 columns, those after the first indented by two more. No word is broken."""
        if self.is_whole:
            return [self.indent + self.text]
        return _wrapped(self.text, COLUMNS, initial_indent=self.indent, subsequent_indent=_MARGIN + self.indent)


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
    return [Paragraph(printable(line), is_whole=True) for line in lines]


def command(text: str, indent: str = "") -> list[Paragraph]:
    """A shell command, to be pasted, in its parts.

    A backslash would not work before the spaces that pad a line, nor where white space is collapsed.
    """
    return [Paragraph(line, indent, is_whole=True) for line in command_parts(printable(text))]


def page(reason: Reason) -> str:
    """The reason as it is sent to CloudFormation: in ASCII, in rows, every piece padded with spaces.

    It begins with a newline, since CloudFormation's own words nearly fill a row.
    """
    # The texts that no newline divides, words and whole commands, and whether a paragraph begins with each.
    words = [
        (part, number == 0)
        for paragraph in (*prose(reason.headline), *reason.paragraphs)
        for number, part in enumerate([paragraph.text] if paragraph.is_whole else paragraph.text.split())
    ]
    rows = _rows(words)
    text, piece = "", [""]
    for row, after in itertools.pairwise(rows):
        if len(after.piece) == 1:
            added = _padding(row.piece, _first(after.text))
            text += _BETWEEN.join(text + " " * more for text, more in zip(piece, added, strict=True)) + "\n"
            piece = []
        piece.append(after.text)
    text += _BETWEEN.join(piece)
    return text.encode("ascii", "replace").decode()


class _Row(NamedTuple):
    """The last of the rows that end before a word, and cost least.

    :param cost: what they cost, in no unit.
    :param piece: the lengths of the rows since the CLI's last cut. The row is the first one after a cut if it is alone.
    :param before: the row before, None for CloudFormation's own words.
    """

    cost: int
    text: str
    piece: tuple[int, ...]
    before: _Row | None


def _rows(words: Sequence[tuple[str, bool]]) -> list[_Row]:
    """The rows that cost least: few in a paragraph, as even as they can be, and no empty ones in a terminal."""
    # Every row ends before a word, so the words are the nodes of a graph without cycles.
    ways: list[dict[tuple[int, ...], _Row]] = [{} for _ in range(len(words) + 1)]
    begin = (_BEFORE,)
    ways[0][begin] = _Row(0, "", begin, None)
    for at in range(len(words)):
        first = _first(words[at][0])
        cheapest = sorted(ways[at].values(), key=lambda row: row.cost)[:_WAYS]
        cuts = [(row, _empty_rows(row.piece, first) * _EMPTY_ROW) for row in cheapest]
        for end, text, cost in _rows_from(words, at):
            for row, cut in cuts:
                joined = (*row.piece, len(text))
                for piece, more in ((joined, 0), ((_tail(text),), cut)):
                    other, total = ways[end].get(piece), row.cost + cost + more
                    if (other is None or total < other.cost) and (piece is not joined or _length(joined) <= COLUMNS):
                        ways[end][piece] = _Row(total, text, piece, row)
    rows = [min(ways[-1].values(), key=lambda row: row.cost)]
    while before := rows[-1].before:
        rows.append(before)
    return rows[::-1]


def _rows_from(words: Sequence[tuple[str, bool]], at: int) -> Iterator[tuple[int, str, int]]:
    """The rows that may begin with a word: the word after each, its text and its cost."""
    text = ""
    for end in range(at, len(words)):
        word, begins = words[end]
        limit = COLUMNS if _OPENINGS.match(word) else _NARROW
        if text and (begins or len(text) + 1 + len(word) > limit):
            return
        text = f"{text} {word}" if text else word
        after, ends = words[end + 1] if end + 1 < len(words) else ("", True)
        if ends:
            yield end + 1, text, 0 if words[at][1] else max(0, _LEAST - len(text)) ** 2
        elif len(text) >= _LEAST_BEFORE_AN_EMPTY_ROW or len(after) > _LEAST:
            opening = _OPENING * bool(_OPENINGS.match(after))
            short = _EMPTY_ROW // 2 * (len(text) < _LEAST and len(after) <= _LEAST)
            yield end + 1, text, _ROW + max(0, _NARROW - len(text)) ** 2 // 10 + opening + short


def _first(text: str) -> int:
    """The length of a row's first word, which must reach beyond the place where the CLI cuts before it."""
    return len(text.partition(" ")[0])


def _length(piece: Sequence[int]) -> int:
    """The characters of a piece, with its newlines and margins."""
    return sum(piece) + (1 + len(_MARGIN)) * (len(piece) - 1)


def _tail(text: str) -> int:
    """The length of a row's last part, as the CLI cuts a row that is too long."""
    return len(text) if len(text) <= _CUT else len(_wrapped(text, _CUT)[-1])


def _padding(piece: Sequence[int], first: int) -> list[int]:
    """The spaces behind each row of a piece, so that the CLI cuts behind the last; narrow rows are filled first.

    :param first: the length of the first word of the next row.
    """
    missing = max(0, _CUT - first - _length(piece))
    added = []
    for length in piece:
        added.append(max(0, min(missing, _NARROW - length)))
        missing -= added[-1]
    added[-1] += missing
    return added


def _empty_rows(piece: tuple[int, ...], first: int) -> int:
    """The empty rows that the padding of a piece shows in terminals of all widths."""
    lengths = [length + len(_MARGIN) for length in piece]
    padded = [length + more for length, more in zip(lengths, _padding(piece, first), strict=True)]
    return sum(-(-b // width) + -a // width for a, b in zip(lengths, padded, strict=True) for width in _TERMINALS)


def _one_line(text: str) -> str:
    """The text on one line: white space becomes one space, and an ellipsis three dots."""
    return printable(" ".join(text.split()).replace("…", "..."))
