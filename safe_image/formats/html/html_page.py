"""The frame and the style of every HTML report, and the rules that make a page safe to open.

A page is self-contained: it makes no network requests, and its content needs no script. Everything that comes from an
image is escaped text, without control characters, and a content security policy allows only the page's own style and
script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from image_verifier import __version__
from image_verifier.text import printable
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_FOLDER: Final = Path(__file__).parent


def render_page(template: str, **content: Any) -> Iterator[str]:
    """A page, piece by piece.

    :param template: the name of its template, which extends `page.html.j2`.
    :param content: the template's variables; `title` is one of them.
    """
    style, script = ((_FOLDER / f"report.{name}").read_text(encoding="utf-8") for name in ("css", "js"))
    yield from (
        _templates()
        .get_template(template)
        .generate(
            version=__version__,
            style=Markup(style),  # noqa: S704 - our own file; everything else is escaped
            script=Markup(script),  # noqa: S704 - our own file
            style_hash=_hash(style),
            script_hash=_hash(script),
            **content,
        )
    )


def render_part(template: str, **content: Any) -> Markup:
    """A part of a page, which a page contains unescaped.

    :param template: the name of its template.
    :param content: the template's variables.
    """
    return as_markup(_templates().get_template(template).render(**content))


def as_markup(text: str) -> Markup:
    """A rendered part that was stored as text, as markup again.

    :param text: the part, as `render_part` rendered it.
    """
    return Markup(text)  # noqa: S704 - its template has escaped it


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        finalize=_printable_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _printable_text(value: object) -> object:
    """A template's value: text loses its control characters, markup stays as it is."""
    return printable(value) if type(value) is str else value


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
