"""How values and sentences are written for people: sizes, printable text, sentences."""

from __future__ import annotations


def readable_size(size: int) -> str:
    """A number of bytes as people read it, such as `12.3 MiB`."""
    value, unit = float(size), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def printable(text: str) -> str:
    """The text with its control characters written out: what an image says of itself commands no terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def in_sentences(message: str, advice: str) -> str:
    """What failed and what to do about it, as one line.

    :param message: a sentence, with or without its full stop.
    :param advice: whole sentences; empty where there is none.
    """
    end = "" if message.endswith(("?", "!", ".")) else "."
    return f"{message}{end} {advice}".rstrip()
