"""What of a text is the error: consoles break lines inside words, escape, colour, quote and cut off."""

from __future__ import annotations

import html
import re
from typing import Final

from image_verifier.image.references import Reference

# Of more, no console shows a single error; the end is where logs have theirs.
LARGEST: Final = 256 * 1024

# https://ecma-international.org/publications-and-standards/standards/ecma-48/ : colours, and the titles of terminals
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_UNICODE: Final = re.compile(r"\\{1,8}u([0-9a-fA-F]{4})")
_LINE_ENDS: Final = re.compile(r"\\{1,8}[rn]")
_BREAKS: Final = re.compile(r"[ \t]*\r?\n[ \t]*")
# Spaces, quotes, what tables are drawn with, and what cannot be seen: all that a console puts in or takes away.
_DROPPED: Final = re.compile(
    r"[\s\"'`\\|\u00ad\u200b-\u200f\u2018-\u201f\u2028-\u202e\u2500-\u257f\u2060\ufeff\x00-\x1f\x7f]+"
)
_CUT: Final = re.compile(r"(?:\.\.\.|…|\[truncated\]|[)\]},;])+$")
_NARROWEST: Final = 40

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
    """The text of bytes of which nobody knows what they are; undecodable ones are marked.

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


def uncut(text: str) -> str:
    """A squashed text without what stands where it was cut off."""
    return _CUT.sub("", text)


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


def runtime_in(text: str) -> str:
    """The runtime that a text is of, as far as it tells: Fargate, where nothing says another.

    :param text: unwrapped.
    """
    spaced = _BREAKS.sub(" ", text).lower()
    return next((name for name, words in _RUNTIMES if re.search(words, spaced)), "fargate")


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
