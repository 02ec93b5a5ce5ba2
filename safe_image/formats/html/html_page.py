"""The pages whose content has templates: `check` and `diff`. Their frame and their findings are every page's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, wraps
from pathlib import Path
from typing import Any, Final

from image_verifier.pages import frame
from image_verifier.pages.finding_view import finding_article
from image_verifier.pages.parts import about, choices
from image_verifier.text import printable
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_FOLDER: Final = Path(__file__).parent


def render_page(template: str, *, title: str, **content: Any) -> Iterator[str]:
    """A page, piece by piece.

    :param template: the name of the template of its content.
    :param title: its title.
    :param content: the template's variables; the title is another.
    """
    return frame.page(title, _templates().get_template(template).generate(title=title, **content))


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
    return Markup(text)  # noqa: S704 - its texts are escaped


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        finalize=_printable_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {"about": _markup(about), "choices": _markup(choices), "finding": _markup(finding_article)}
    return templates


def _markup(part: Callable[..., str]) -> Callable[..., Markup]:
    """A function whose HTML a template contains unescaped."""
    return wraps(part)(lambda *arguments: as_markup(part(*arguments)))


def _printable_text(value: object) -> object:
    """A template's value: text loses its control characters, markup stays as it is."""
    return printable(value) if type(value) is str else value
