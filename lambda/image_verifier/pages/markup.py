"""Text in HTML: everything that is not our own markup goes through `escaped`."""

from __future__ import annotations

import html

from ..text import printable


def escaped(text: object) -> str:
    """A text as HTML shows it: markup in it is text, and control characters are visible.

    :param text: a text, or a number.
    """
    return html.escape(printable(str(text)))


def plural(count: int, noun: str) -> str:
    """A number with its noun: `1 image`, `12,000 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
