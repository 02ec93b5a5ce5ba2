"""What every page that the command writes has in common: its frame, its style, and that it is safe to open.

A page is complete in itself: it asks for nothing over a network, and its content needs no script. Whatever comes from
an image is text in it: the templates write out its control characters and escape it, and a content security policy lets
nothing run but what the page itself brings.
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

from ...errors import UsageError

try:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
except ImportError:
    # Before anything is asked: whoever writes a page imports this first.
    raise UsageError("--format html needs jinja2: pip install 'cdk-safe-image[cli]'") from None

_FOLDER: Final = Path(__file__).parent


def page(template: str, **content: Any) -> Iterator[str]:
    """A page, piece by piece.

    :param template: the name of its template, which extends `page.html.j2`.
    :param content: what the template shows, beside its `title`.
    """
    style, script = ((_FOLDER / f"report.{name}").read_text(encoding="utf-8") for name in ("css", "js"))
    yield from (
        _templates()
        .get_template(template)
        .generate(
            version=__version__,
            style=Markup(style),  # noqa: S704 - a file of our own; all else is escaped
            script=Markup(script),  # noqa: S704 - as well
            style_hash=_hash(style),
            script_hash=_hash(script),
            **content,
        )
    )


def part(template: str, **content: Any) -> Markup:
    """A part of a page, to be put into one as it is.

    :param template: the name of its template.
    :param content: what the template shows.
    """
    return made(_templates().get_template(template).render(**content))


def made(text: str) -> Markup:
    """A part that `part` has made, and that was kept as text since.

    :param text: the part; its template has escaped what it shows.
    """
    return Markup(text)  # noqa: S704 - a template has escaped it


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: object) -> object:
    """What a template shows of a value: text without control characters; what is markup already is left alone."""
    return printable(value) if type(value) is str else value


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
