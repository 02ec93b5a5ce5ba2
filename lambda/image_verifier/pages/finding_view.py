"""A finding as every page shows it: what is wrong, the runtime's own words, and the steps that fix it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..report import Finding, Severity
from ..rules.citations import citation
from ..rules.runtimes import RUNTIMES
from ..text import command_parts
from .markup import escaped

# More layers are only counted.
_MAX_LAYERS: Final = 12


@dataclass(frozen=True)
class FindingView:
    """A finding as it is shown.

    :param remedy: the lines of its remedy; one that begins with `$ ` is a command.
    :param place: its anchor in the page.
    :param layers: the numbers of the layers that it is about.
    """

    finding: Finding
    remedy: Sequence[str]
    place: str
    layers: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """Its severity, or `acknowledged`."""
        return "acknowledged" if self.finding.acknowledged else self.finding.severity.value

    @property
    def steps(self) -> Sequence[str]:
        """The lines of its remedy; none for information and for an acknowledged finding."""
        return () if self.finding.acknowledged or self.finding.severity is Severity.INFO else self.remedy


def titles(runs_on: Iterable[str]) -> str:
    """The titles of runtimes, in one line."""
    return ", ".join(RUNTIMES[name].title for name in runs_on)


def finding_article(view: FindingView, level: int) -> str:
    """The finding in HTML.

    :param view: the finding.
    :param level: the level of its heading.
    """
    return "".join(_article(view, level))


def _article(view: FindingView, level: int) -> Iterator[str]:
    finding, label = view.finding, view.label
    yield f'<article class="finding is-{label}" id="{escaped(view.place)}">\n'
    yield f'<h{level} class="what"><span class="badge {label}">{label}</span> '
    yield f'<span class="id">{escaped(finding.id)}</span> '
    yield f'<span class="soft">{escaped(titles(finding.runs_on))}</span></h{level}>\n'
    yield f'<p class="wrap">{escaped(finding.message)}</p>\n'
    if finding.acknowledged:
        yield f'<p class="soft wrap">Acknowledged: {escaped(finding.acknowledged)}</p>\n'
    facts = [(name, value) for name, value in _facts(view) if value]
    if facts:
        yield f"<dl>\n{''.join(f'<dt>{name}</dt><dd>{escaped(value)}</dd>{chr(10)}' for name, value in facts)}</dl>\n"
    if finding.runtime_error:
        cite, words = escaped(citation(finding)), escaped(finding.runtime_error)
        yield f'<div class="quote"><cite>{cite}</cite>{words}</div>\n'
    if view.steps:
        yield f'<h{level + 1} class="caption">To fix it</h{level + 1}>{"".join(map(_step, view.steps))}\n'
    yield "</article>\n"


def _facts(view: FindingView) -> Iterator[tuple[str, str]]:
    yield "expected", view.finding.expected
    yield "found", view.finding.found
    numbers = ", ".join(f"#{number}" for number in view.layers[:_MAX_LAYERS])
    more = len(view.layers) - _MAX_LAYERS
    layers = f"layer{'' if len(view.layers) == 1 else 's'} {numbers}" + (f" and {more} more" if more > 0 else "")
    yield "on", layers if view.layers else ""


def _step(line: str) -> str:
    if not line.startswith("$ "):
        return f'<p class="wrap">{escaped(line)}</p>\n'
    return f'<div class="command"><pre><code>{_parts(line[2:])}</code></pre></div>\n'


def _parts(command: str) -> str:
    # A part begins a line, as in a terminal. Without style, the command is one line.
    *parts, last = command_parts(command)
    return "".join(f'<span class="part">{_words(part)} </span>' for part in parts) + _words(last)


def _words(text: str) -> str:
    # A word is kept whole where it fits: a line must not break at an option's hyphens.
    return " ".join(f'<span class="word">{escaped(word)}</span>' for word in text.split(" "))
