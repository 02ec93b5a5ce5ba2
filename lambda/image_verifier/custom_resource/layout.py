"""The layout of a reason, which keeps it readable wherever the CDK CLI prints it.

The CLI prints a reason in the event's line, under the failed resources, and last in a block that is wrapped again at
120 columns, with newlines counted as ordinary characters. Lines of exactly 120 characters stay as they are, if the
first one ends at the 120th column of the text that CloudFormation puts before the reason.

This module imports nothing that could fail, so that a response can always be laid out.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..text import printable

COLUMNS: Final = 120
# The last block has two columns before each line, and should fit into a terminal of as many columns.
_TEXT_COLUMNS: Final = COLUMNS - 2
_ASSIGNMENT: Final = re.compile(r"[A-Z]+=[^\s$]+;")
_ASSIGNMENTS: Final = re.compile(rf"{_ASSIGNMENT.pattern}( {_ASSIGNMENT.pattern})*")
_BEFORE: Final = "Received response status [FAILED] from custom resource. Message returned: "


@dataclass(frozen=True)
class Reason:
    """A text for CloudFormation and for the log.

    :param headline: the most important sentence, complete in itself, with short words at its beginning.
    :param lines: the rest, each of at most 120 columns.
    """

    headline: str
    lines: Sequence[str] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """The headline and the other lines as they are printed, without control characters."""
        return printable(_joined(self.headline)), *map(printable, self.lines)


def page(reason: Reason) -> str:
    """The reason as it is sent to CloudFormation: in ASCII, every line padded with spaces."""
    width = COLUMNS - len(_BEFORE)
    headline, *lines = reason.shown
    first = textwrap.wrap(headline, width, break_on_hyphens=False, break_long_words=False)[0]
    rest = wrapped(headline[len(first) :])
    # The space between the two is where the CLI's last block breaks the line.
    opening = first.ljust(width) + (" " + rest[0].ljust(COLUMNS) if rest else "")
    text = "\n".join([opening, *(line.ljust(COLUMNS) for line in (*rest[1:], *lines))])
    return text.encode("ascii", "replace").decode()


def wrapped(text: str, indent: str = "") -> list[str]:
    """The text in lines of at most 118 columns, those after the first indented by two more.

    A name that needs 120 columns, such as the reference of an image in CDK's repository, stays whole.
    """
    one_line = printable(_joined(text))
    longest = max(map(len, one_line.split()), default=0) + len(indent) + 2
    return textwrap.wrap(
        one_line,
        COLUMNS if _TEXT_COLUMNS < longest <= COLUMNS else _TEXT_COLUMNS,
        initial_indent=indent,
        subsequent_indent="  " + indent,
        break_on_hyphens=False,
    )


def command(text: str, indent: str = "") -> list[str]:
    """A shell command in lines of at most 118 columns, to be pasted.

    It is broken only behind `;` and `&&`: a backslash would not work before the spaces that pad a line, nor where white
    space is collapsed. Assignments share a line, and every other part has a line of its own.
    """
    lines: list[str] = []
    for part in re.split(r"(?<=;) (?!\})|(?<=&&) ", text):
        share = lines and _ASSIGNMENT.fullmatch(part) and len(lines[-1]) + 1 + len(part) <= _TEXT_COLUMNS
        if share and _ASSIGNMENTS.fullmatch(lines[-1].strip()):
            lines[-1] += f" {part}"
        else:
            lines.append(indent + part)
    return lines


def _joined(text: str) -> str:
    """The text on one line: white space becomes one space, and an ellipsis three dots."""
    return " ".join(text.split()).replace("…", "...")
