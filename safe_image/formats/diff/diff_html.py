"""Two images side by side, as one page to look at: which runs where and why, layer beside layer, word beside word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, TextIO

from image_verifier.report import Verdict
from image_verifier.rules.remedies import Names, remedy
from image_verifier.rules.runtimes import RUNTIMES

from ...results.comparison import CHANGES, Change, Comparison, Field, LayerPair, Standing
from ...results.merge_runtimes import merge_runtimes
from ..html.html_page import page
from ..html.html_views import FindingView, finding_views, is_told_by, layer_view, tree

_SIGNS: Final[Mapping[Change, str]] = {
    "same": "=",
    "retyped": "≈",
    "recompressed": "≈",
    "changed": "≠",
    "added": "+",
    "removed": "−",
}
# The badge of each.
_WEIGHTS: Final[Mapping[Standing, Verdict]] = {"runs": "pass", "in doubt": "unknown", "refused": "fail"}
# What is told of findings, each with the look of it, and whether it is shown unasked beside others.
_TOLD: Final[Mapping[str, tuple[str, Verdict, bool]]] = {
    "broken": ("What refuses only the second", "fail", True),
    "mended": ("What refuses only the first", "pass", True),
    "common": ("What refuses both", "fail", False),
    "doubted": ("What lets doubt only the second", "unknown", False),
}
# So many shared layers in a row are drawn; longer rows are folded.
_MOST_DRAWN: Final = 3
# No engine takes as many layers, and a page must stay one that can be opened.
_MOST_PAIRS: Final = 1000


def report(comparison: Comparison, names: tuple[Names, Names], stream: TextIO) -> Iterator[str]:
    """The page.

    :param comparison: the images.
    :param names: the images' names, as which they are shown and with which commands are filled in.
    :param stream: what it is written to.
    """
    pairs = comparison.layers[::-1]
    rows = [row for pair in pairs for row in (pair.first, pair.second) if row]
    largest = max((row.layer.size for row in rows), default=0)
    second = [pair.second for pair in pairs if pair.second]
    told = {
        kind: finding_views(
            [(f, remedy(f, names[kind != "mended"])) for f in merge_runtimes(getattr(comparison, kind))],
            () if kind == "mended" else second,
            kind,
        )
        for kind in _TOLD
    }
    changes = Counter(pair.change for pair in pairs)
    images = comparison.first.image, comparison.second.image
    return page(
        "diff.html.j2",
        title=comparison.in_a_sentence.removesuffix("."),
        verdict="fail" if comparison.second.errors else "pass",
        names=[image.reference for image in names],
        runtimes=[(RUNTIMES[name].title, standings) for name, *standings in comparison.runtimes],
        weights=_WEIGHTS,
        told=[(*_TOLD[kind], _ids(findings), findings) for kind, findings in told.items() if findings],
        changes=[(changes[change], words) for change, words in CHANGES.items() if changes[change]],
        rows=[
            (is_folded, [_pair(pair, largest, told["broken"]) for pair in some])
            for is_folded, some in _folded(pairs[:_MOST_PAIRS])
        ],
        left_out=len(pairs[_MOST_PAIRS:]),
        fields=[_field(field, told["broken"]) for field in comparison.fields if field.first or field.second],
        trees=[(name, node) for name, image in zip(("first", "second"), images, strict=True) if (node := tree(image))],
    )


def _ids(findings: Sequence[FindingView]) -> str:
    return ", ".join(dict.fromkeys(view.finding.id for view in findings))


def _folded(pairs: Sequence[LayerPair]) -> Iterator[tuple[bool, list[LayerPair]]]:
    """The pairs in rows, and whether a row is one of shared layers that nobody needs to look at."""
    for is_shared, group in groupby(pairs, lambda pair: pair.change == "same" and not pair.breaks):
        some = list(group)
        yield is_shared and len(some) > _MOST_DRAWN, some


def _pair(pair: LayerPair, largest: int, broken: Sequence[FindingView]) -> Mapping[str, Any]:
    found = pair.second.findings if pair.second else ()
    return {
        "change": pair.change,
        "words": CHANGES[pair.change],
        "sign": _SIGNS[pair.change],
        "sides": [row and layer_view(row, largest, ()) for row in (pair.first, pair.second)],
        "marks": [(view.finding.id, view.place) for view in broken if is_told_by(view.finding, found)],
    }


def _field(field: Field, broken: Sequence[FindingView]) -> Mapping[str, Any]:
    lines = [text.splitlines() or ["(none)"] for text in (field.first, field.second)]
    places = {view.finding.id: view.place for view in reversed(broken)}
    return {
        "name": field.name,
        "differs": field.differs,
        "breaks": [(id_, places[id_]) for id_ in field.breaks],
        "sides": [
            # Of what has several lines, those that the other does not have are marked.
            [(line, len(one) > 1 and line not in other) for line in one]
            for one, other in (lines, lines[::-1])
        ],
    }
