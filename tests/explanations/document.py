"""The tables at the end of docs/commands/explain.md, made from the wordings and the causes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from image_verifier.rules.catalog import CATALOG

from safe_image.explanations.causes import OUTSIDE
from safe_image.explanations.patterns import wordings

PATH: Final = Path(__file__).resolve().parents[2] / "docs" / "commands" / "explain.md"
MARK: Final = "<!-- From here on made by python -m tests.explanations -->"


def tables() -> str:
    """What follows the mark."""
    return "\n".join([MARK, "", *_recognised(), "", *_outside(), ""])


def _recognised() -> Iterator[str]:
    yield "## What it recognises"
    yield ""
    yield "`{name}` and `…` stand for what differs each time. What is not the image is in *italics*."
    yield ""
    yield "| Text | Causes, likeliest first | Known from |"
    yield "| --- | --- | --- |"
    for wording in wordings():
        yield f"| `{_cell(wording.text)}` | {', '.join(map(_cause, wording.causes))} | {_source(wording.source)} |"


def _outside() -> Iterator[str]:
    yield "## What is not the image"
    yield ""
    yield "| Cause | Meaning |"
    yield "| --- | --- |"
    for cause, outside in OUTSIDE.items():
        yield f"| *{cause}* | {_cell(outside.meaning)} |"


def _cause(cause: str) -> str:
    return f"[{cause}](../checks.md#{cause})" if cause in CATALOG else f"*{cause}*"


def _source(source: str) -> str:
    if not source.startswith("https://"):
        return source
    return f"[{source.removeprefix('https://').split('/')[0]}]({source})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
