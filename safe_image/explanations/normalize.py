"""Finds the error in a text: consoles break lines inside words, escape, colour, quote and cut off."""

from __future__ import annotations

import html
import itertools
import re
from typing import Final

from image_verifier.image.references import Reference

# Of more, no console shows a single error; the end is where logs have theirs.
LARGEST: Final = 256 * 1024

# https://ecma-international.org/publications-and-standards/standards/ecma-48/ : colours, and the titles of terminals
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_UNICODE: Final = re.compile(r"\\{1,8}u([0-9a-fA-F]{4})")
_LINE_ENDS: Final = re.compile(r"\\{1,8}[rn]")
# A run of spaces is tried once, from its beginning: a log may have a hundred thousand.
_BREAKS: Final = re.compile(r"(?:(?<![ \t])[ \t]+)?\r?\n[ \t]*")
# Spaces, quotes, what tables are drawn with, and what cannot be seen: all that a console puts in or takes away.
_DROPPED: Final = re.compile(
    r"[\s\"'`\\|\u00ad\u200b-\u200f\u2018-\u201f\u2028-\u202e\u2500-\u257f\u2060\ufeff\x00-\x1f\x7f]+"
)
_CUT: Final = re.compile(r"(?:\.\.\.|…|\[?<?truncated>?\]?|[)\]},;])+$")
_GAP: Final = re.compile(r"\.{3,}|…|\[truncated\]|<truncated>|\[…\]")
# A text that was cut off without a mark ends where a paragraph, a quotation, a value of JSON or a line of a log does:
# one that is longer than a console breaks lines at.
_END: Final = re.compile(r"\n[ \t]*\r?\n|```|\"[ \t]*[\r\n]*[ \t]*[,}\]]|(?<=[^\n]{200})\r?\n")
# Of what was cut off, this much must be there; and so many pieces are looked at, of the end.
_LEAST_OF_A_PIECE: Final = 16
_MOST_PIECES: Final = 50
_NARROWEST: Final = 40
_LEAST_OF_FULL_LINES: Final = 2
# The marks of mail, chats and Markdown before each line that they quote.
# A `#` before a digit is BuildKit's number of a step.
_QUOTED: Final = re.compile(r"^[ \t]*(?:(?:[>|*-]|#(?!\d))[ \t]?)+", re.MULTILINE)
_DIGITS: Final = re.compile(r"\d")
# A prefix of each line, such as a time and a job's name, has at least this many characters, and ends as words do.
_LEAST_OF_A_PREFIX: Final = 4
_PREFIX_ENDS: Final = " \t|]:>"
_MOST_OF_A_PREFIX: Final = 120
# `||` is a shell's. A table that is drawn with another bar than `|` may have that one in its cells.
_BAR: Final = r"(?<!\|)\|(?!\|)"
_BARS: Final = re.compile(rf"{_BAR}|[│┃¦]")
_DRAWN_BARS: Final = re.compile(r"[│┃¦]")

_HOST: Final = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?::\d{1,5})?|localhost(?::\d{1,5})?"
_IMAGE: Final = re.compile(
    rf"(?<![\w./@-])(?:{_HOST})/[a-z0-9]+(?:[._/-]+[a-z0-9]+)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
# Registries' own addresses, under which an image is not pulled.
_NO_IMAGE: Final = re.compile(
    r"^[^/]+/(?:v2|token)(?:/|$)|^(?:docs|github|www|health|console)\.|/(?:issues|pull|wiki)/"
)


def readable(raw: bytes) -> str:
    """The text of bytes in an unknown encoding; undecodable ones are marked.

    :param raw: at most its last 256 KiB are read.
    """
    raw = raw[-LARGEST:]
    marked = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    return raw.decode("utf-16" if marked else "utf-8", errors="replace")


def unwrapped(text: str) -> str:
    """The text without colours and escapes, its line breaks still in it."""
    text = _ESCAPES.sub("", html.unescape(text))
    text = _UNICODE.sub(lambda match: chr(int(match[1], 16)), text)
    return _LINE_ENDS.sub("\n", text).replace("\\t", " ").replace("\\/", "/")


def squashed(text: str) -> str:
    """The text without everything that consoles change: what is left is compared."""
    return _DROPPED.sub("", text).lower()


def readings(text: str) -> tuple[str, ...]:
    """The ways in which a text can be read, squashed, each once.

    :param text: as it was shown.
    """
    return tuple(dict.fromkeys(map(squashed, plain_readings(text))))


def plain_readings(text: str) -> tuple[str, ...]:
    """The ways in which a text can be read.

    As it is; without the marks of a quotation; without what its lines begin with alike; last, each column of a table by
    itself.

    :param text: as it was shown.
    """
    plain = unwrapped(text)
    return plain, _QUOTED.sub("", plain), _without_prefixes(plain), _by_columns(plain)


def rejoined(text: str) -> str:
    """The text whose lines a console broke wherever they were full: all of those have the same width.

    :param text: without escapes.
    """
    lines = text.splitlines()
    width = max(map(len, lines), default=0)
    if width < _NARROWEST or sum(len(line) == width for line in lines) < _LEAST_OF_FULL_LINES:
        return text
    return "".join(line if len(line) == width else f"{line}\n" for line in lines)


def segments(text: str) -> tuple[str, ...]:
    """The parts of a text between which something was left out, squashed, without what stands in its place.

    :param text: as it was shown.
    """
    # The last is the whole text as it is. By columns, its lines are in another order, and may end anywhere.
    *readings_by_line, _ = plain_readings(text)
    pieces = [
        piece
        for reading in reversed(readings_by_line)
        for whole in (*_END.split(reading), reading)
        for piece in _GAP.split(whole)
    ]
    parts = dict.fromkeys(_CUT.sub("", squashed(piece)) for piece in pieces)
    return tuple(part for part in parts if len(part) >= _LEAST_OF_A_PIECE)[-_MOST_PIECES:]


def _without_prefixes(text: str) -> str:
    """The lines without what each has in common with the line before it or after it, digits apart."""
    lines = text.splitlines()
    masked = [_DIGITS.sub("0", line[:_MOST_OF_A_PREFIX]) for line in lines]
    common = [0, *(_common(one, other) for one, other in itertools.pairwise(masked)), 0]
    return "\n".join(line[max(common[i], common[i + 1]) :] for i, line in enumerate(lines))


def _common(one: str, other: str) -> int:
    """How many characters of two lines are a prefix that both have; lines that repeat each other have none."""
    if one == other:
        return 0
    alike = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    end = max(one.rfind(mark, 0, alike) for mark in _PREFIX_ENDS) + 1
    return end if end >= _LEAST_OF_A_PREFIX else 0


def _by_columns(text: str) -> str:
    """The cells of each column of a table, one after the other; lines without bars stay."""
    rest: list[str] = []
    columns: dict[int, list[str]] = {}
    for line in text.splitlines():
        drawn = line.lstrip()[:1] in ("│", "┃", "¦")
        cells = (_DRAWN_BARS if drawn else _BARS).split(line)
        if len(cells) <= 2:
            rest.append(line)
            continue
        for place, cell in enumerate(cells):
            columns.setdefault(place, []).append(cell.strip())
    return "\n".join([*rest, *("\n".join(cells) for cells in columns.values())])


def image_in(text: str) -> str:
    """The image that a text names, as it is pulled; empty where there is none.

    :param text: unwrapped.
    """
    lines = text.splitlines()
    widths = {len(line) for line in lines[:-1]}
    # Lines of one length are a console's, broken wherever they were full.
    hard = len(lines) > 1 and len(widths) == 1 and widths.pop() >= _NARROWEST
    joined = ("".join(lines), _BREAKS.sub(" ", text)) if hard else (_BREAKS.sub(" ", text), _BREAKS.sub("", text))
    found = [name for whole in joined for name in map(_image, _IMAGE.findall(whole)) if name]
    # Where it was named more than once, the fullest is the one that was not cut off.
    exact = [name for name in found if "@" in name or ":" in name.rpartition("/")[2]]
    return next(iter(exact or found), "")


def _image(text: str) -> str:
    if _NO_IMAGE.search(text):
        return ""
    text = text.rstrip(".-_")
    try:
        Reference.parse(text)
    except ValueError:
        return ""
    return text


# Which runtime says so; the first that fits.
_RUNTIMES: Final = (
    (
        "lambda",
        r"lambda|invalidimage\(|runtime\.invalidentrypoint|imagelayerfailure|media type for the source image"
        r"|source image .{1,300} (?:does not exist|is not valid)",
    ),
    ("sagemaker", r"sagemaker|unsupported manifest media type"),
    ("agentcore", r"agentcore"),
    ("app-runner", r"app ?runner"),
    ("eks", r"kubelet|errimagepull|imagepullbackoff|rpc error: code|back-?off pulling|crashloopbackoff"),
    ("ecs-ec2", r"error response from daemon"),
    ("batch", r"\bbatch\b"),
)


def runtime_in(text: str, default: str = "fargate") -> str:
    """The runtime that a text is of, as far as it shows.

    :param text: unwrapped.
    :param default: the runtime where nothing shows another.
    """
    spaced = _BREAKS.sub(" ", text).lower()
    return next((name for name, words in _RUNTIMES if re.search(words, spaced)), default)


# In squashed words: what was looked for, and not what was found.
_PLATFORM: Final = re.compile(
    r"(?:nomatchingmanifestfor|descriptormatchingplatform|adescriptorforplatform|detectedhostplatform\()"
    r"(linux/(?:amd64|arm64))"
)


def platform_in(text: str) -> str:
    """The platform that a text says an image was to be for; empty where it says none.

    :param text: unwrapped.
    """
    match = _PLATFORM.search(squashed(text))
    return match[1] if match else ""
