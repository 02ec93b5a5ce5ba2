"""The abilities of a stream: only a terminal has columns, colours and a progress that changes in place."""

from __future__ import annotations

import os
import sys
from typing import Final, TextIO

# Longer lines are hard to read.
_MOST_COLUMNS: Final = 120


def columns(stream: TextIO) -> int | None:
    """The columns of a terminal, at most 120; None for a stream that is not a terminal.

    `COLUMNS` overrides what the terminal says.

    :param stream: such as `sys.stdout`.
    """
    # shutil would do the same, but costs a tenth of the command's start.
    text = os.environ.get("COLUMNS", "")
    if not stream.isatty():
        return None
    try:
        found = int(text) if text.isdecimal() else os.get_terminal_size(stream.fileno()).columns
    except OSError:
        found = 0
    return min(found or _MOST_COLUMNS, _MOST_COLUMNS)


def shows_colours(stream: TextIO) -> bool:
    """Whether a stream shows colours: a terminal does, unless NO_COLOR (https://no-color.org) is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def shows_progress() -> bool:
    """Whether standard error can show a progress that changes in place."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
