"""The frame of every HTML page: its head, its style, its script, and the rules that make it safe to open.

A page is self-contained: it makes no network requests, and its content needs no script. Everything that comes from an
image is escaped text, without control characters, and a content security policy allows only the page's own style and
script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from .. import __version__
from .markup import escaped

_FOLDER: Final = Path(__file__).parent


def page(title: str, content: Iterable[str]) -> Iterator[str]:
    """A page, piece by piece.

    :param title: its title, as text.
    :param content: its content, as HTML in which every text is escaped.
    """
    style, script = ((_FOLDER / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    allowed = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    yield f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{allowed}; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="safe-image {__version__}">
<title>{escaped(title)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main>
"""
    yield from content
    yield f"""\
</main>
<footer><p>This page is self-contained: it makes no network requests.</p></footer>
<script>{script}</script>
</body>
</html>
"""


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
