"""The tables at the end of docs/commands/explain.md, made from the knowledge base."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from safe_image.explanations.cause import Cause
from safe_image.explanations.knowledge import KNOWLEDGE

PATH: Final = Path(__file__).resolve().parents[2] / "docs" / "commands" / "explain.md"
MARK: Final = "<!-- From here on made by python -m tests.explanations -->"


def tables() -> str:
    """The text after the mark."""
    return "\n".join([MARK, "", *_causes(), "", *_frames(), ""])


def _causes() -> Iterator[str]:
    yield "## Causes"
    yield ""
    yield from _table(cause for cause in KNOWLEDGE if cause.specificity == "cause")


def _frames() -> Iterator[str]:
    yield "## Texts that do not name a cause"
    yield ""
    yield "`explain` reports these only where the text says nothing else."
    yield ""
    yield from _table(cause for cause in KNOWLEDGE if cause.specificity in ("frame", "wrapper"))


def _table(causes: Iterable[Cause]) -> Iterator[str]:
    yield "| Cause | Event | Stage | To blame | Sources |"
    yield "| --- | --- | --- | --- | --- |"
    for cause in causes:
        sources = ", ".join(map(_source, cause.sources))
        yield f"| `{cause.id}` | {_cell(cause.title)} | {cause.stage} | {', '.join(cause.blame)} | {sources} |"


def _source(source: str) -> str:
    return f"[{source.removeprefix('https://').split('/')[0]}]({source})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
