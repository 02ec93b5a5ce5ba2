"""Text for people: readable sizes, printable characters, whole sentences."""

from __future__ import annotations

import re
from collections.abc import Collection


def readable_size(size: int) -> str:
    """Format a number of bytes, such as `12.3 MiB`."""
    value, unit = float(size), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def printable(text: str) -> str:
    """Escape the control characters in a text, so that a text from an image cannot control a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def command_parts(command: str) -> list[str]:
    """The parts of a shell command that can stand on lines of their own: it is broken only behind `;` and `&&`.

    :param command: the command, on one line.
    """
    return re.split(r"(?<=;) (?!\})|(?<=&&) ", command)


def shortened(text: str, limit: int = 1000) -> str:
    """Bound a text that somebody else has written: where it is too long, its middle is left out.

    :param text: the text.
    :param limit: the most characters of the result.
    """
    if len(text) <= limit:
        return text
    begins, ends = limit * 7 // 10, limit * 2 // 10
    return f"{text[:begins]} [... {len(text) - begins - ends} characters ...] {text[-ends:]}"


def in_sentences(message: str, advice: str) -> str:
    """Join a message and its advice to one line.

    :param message: a sentence, with or without its full stop.
    :param advice: whole sentences; empty where there is none.
    """
    end = "" if message.endswith(("?", "!", ".")) else "."
    return f"{message}{end} {advice}".rstrip()


def nearest(word: str, known: Collection[str]) -> str:
    """The known words that were probably meant, as `a or b`; where none is close, `one of a, b, c`.

    :param word: the word that is not known.
    :param known: the words that are; of more than twelve, only the closest are listed.
    """
    # Imported here, since nearly all words are known.
    from difflib import get_close_matches as close

    for spelling in (word, word.lower().replace("_", "-")):
        if found := close(spelling, known, 2, 0.7):
            return " or ".join(found)
    return f"one of {', '.join(known)}" if len(known) < 13 else f"one such as {', '.join(close(word, known, 3, 0))}"
