"""The parts that several pages have: the facts at the head, and the filter by verdict."""

from __future__ import annotations

from collections.abc import Iterable

from .markup import escaped
from .page_facts import Fact


def about(facts: Iterable[Fact]) -> str:
    """The facts at the head of a page.

    :param facts: as `page_facts` gives them.
    """
    shown = (f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>" for name, value in facts)
    return f'<dl class="about">{"".join(shown)}</dl>\n'


def choices(images: int, tally: Iterable[tuple[str, int, str]]) -> str:
    """The filter by verdict. It needs no script: the style sheet hides every other listed element.

    :param images: the number of all images.
    :param tally: each choice with its value, its number of images, and its name.
    """
    buttons = "".join(
        f'<label class="badge {escaped(look)}"><input type="radio" name="shown" value="{escaped(look)}">'
        f"{count} {escaped(word)}</label>"
        for look, count, word in tally
    )
    every = f'<label class="badge"><input type="radio" name="shown" value="all" checked>all {images}</label>'
    return f'<fieldset class="filter"><legend>Show</legend>{every}{buttons}</fieldset>\n'
