"""Two images side by side, as one page to look at: which runs where and why, layer beside layer, word beside word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from image_verifier.checks.size import readable_size
from image_verifier.findings import Finding
from image_verifier.runtimes import RUNTIMES

from ..comparison import CHANGES, Change, Comparison, Field, LayerPair
from .alike import alike
from .html_page import page
from .html_views import FindingView, finding_views, is_told_by, layer_view, tree

_SIGNS: Final[Mapping[Change, str]] = {
    "same": "=",
    "retyped": "≈",
    "recompressed": "≈",
    "changed": "≠",
    "added": "+",
    "removed": "−",
}


def diff_page(comparison: Comparison, names: tuple[str, str]) -> Iterator[str]:
    """The page.

    :param comparison: the images.
    :param names: what they are called.
    """
    pairs = comparison.layers[::-1]
    rows = [row for pair in pairs for row in (pair.first, pair.second) if row]
    largest = max((row.layer.size for row in rows), default=0)
    second = [pair.second for pair in pairs if pair.second]
    broken = finding_views(alike(comparison.broken), second, "broken")
    changes = Counter(pair.change for pair in pairs)
    images = comparison.first.image, comparison.second.image
    return page(
        "diff.html.j2",
        title=_headline(comparison),
        verdict="fail" if comparison.broken else "pass",
        names=names,
        runtimes=[(RUNTIMES[name].title, runs) for name, *runs in comparison.runtimes],
        broken=broken,
        mended=finding_views(alike(comparison.mended), (), "mended"),
        changes=[(changes[change], words) for change, words in CHANGES.items() if changes[change]],
        pairs=[_pair(pair, largest, broken) for pair in pairs],
        fields=[_field(field, comparison, broken) for field in comparison.fields],
        trees=[(name, node) for name, image in zip(("first", "second"), images, strict=True) if (node := tree(image))],
    )


def _headline(comparison: Comparison) -> str:
    broken = [RUNTIMES[name].title for name, first, second in comparison.runtimes if first and not second]
    if broken:
        return f"Only the first runs on {' and '.join(filter(None, (', '.join(broken[:-1]), broken[-1])))}"
    if comparison.mended:
        return "Nothing that ran is refused, and what was refused runs"
    return "Nothing that differs is refused anywhere"


def _pair(pair: LayerPair, largest: int, broken: Sequence[FindingView]) -> Mapping[str, Any]:
    return {
        "change": pair.change,
        "words": CHANGES[pair.change],
        "sign": _SIGNS[pair.change],
        "sides": [row and layer_view(row, largest, ()) for row in (pair.first, pair.second)],
        "marks": _marks(broken, pair.second.findings if pair.second else ()),
    }


def _marks(broken: Sequence[FindingView], findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """The ids of what breaks the second image there, each with its finding's place in the page."""
    return [(view.finding.id, view.place) for view in broken if is_told_by(view.finding, findings)]


def _field(field: Field, comparison: Comparison, broken: Sequence[FindingView]) -> Mapping[str, Any]:
    lines = [_lines(field.name, text) for text in (field.first, field.second)]
    return {
        "name": field.name,
        "differs": field.differs,
        "breaks": _marks(broken, comparison.breaks(field)),
        "sides": [
            # Of what has several lines, those that the other does not have are marked.
            [(line, len(one) > 1 and line not in other) for line in one]
            for one, other in (lines, lines[::-1])
        ],
    }


def _lines(name: str, text: str) -> list[str]:
    if name == "compressed size":
        return [readable_size(int(text.split()[0]))]
    return text.splitlines() or ["(none)"]
