"""The page that a reason is written on: 120 columns, every line padded to them.

Apart from everything else, so that an answer can be laid out whatever else cannot be imported.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Final

COLUMNS: Final = 120


def padded(lines: Iterable[str]) -> str:
    """The lines as CloudFormation's reason, in ASCII and each padded with spaces.

    The CDK CLI re-wraps its last block at 120 columns and counts newlines as ordinary characters; lines of exactly
    that length come out as they went in.
    """
    text = (line.encode("ascii", "replace").decode() for line in lines)
    return "\n".join(line.ljust(COLUMNS) for line in text)


def wrapped(text: str, indent: str = "") -> list[str]:
    """The text in lines of at most 120 columns, those after the first indented by two more."""
    return textwrap.wrap(text, COLUMNS, initial_indent=indent, subsequent_indent="  " + indent)
