"""The HTML report of `diff`: runtimes, findings, layers and fields of two images side by side, on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, TextIO

from image_verifier.pages.finding_view import FindingView
from image_verifier.pages.page_facts import account_of, page_facts, policy_words
from image_verifier.policy import Policy
from image_verifier.report import Verdict
from image_verifier.rules.names import Names
from image_verifier.rules.remedies import remedy
from image_verifier.rules.runtimes import RUNTIMES

from ...results.comparison import LAYER_CHANGES, ComparedField, Comparison, LayerChange, LayerPair, Standing
from ...results.merge_runtimes import merge_runtimes
from ...results.report_facts import report_time
from ..html.html_page import render_page
from ..html.html_views import finding_views, is_same_finding, layer_view, tree

_SIGNS: Final[Mapping[LayerChange, str]] = {
    "same": "=",
    "retyped": "≈",
    "recompressed": "≈",
    "changed": "≠",
    "added": "+",
    "removed": "−",
}
# Each standing's badge.
_BADGES: Final[Mapping[Standing, Verdict]] = {"runs": "pass", "in doubt": "unknown", "refused": "fail"}
# The sections of findings, each with its title, its badge, and whether it is open below another section.
_SECTIONS: Final[Mapping[str, tuple[str, Verdict, bool]]] = {
    "broken": ("Findings that refuse only the second image", "fail", True),
    "mended": ("Findings that refuse only the first image", "pass", True),
    "common": ("Findings that refuse both images", "fail", False),
    "doubted": ("Warnings for the second image only", "unknown", False),
}
# A longer run of shared layers is folded.
_MAX_DRAWN: Final = 3
# No engine accepts as many layers, and a browser must be able to open the page.
_MAX_PAIRS: Final = 1000


def report(comparison: Comparison, names: tuple[Names, Names], policy: Policy, stream: TextIO) -> Iterator[str]:
    """The page, piece by piece.

    :param comparison: the comparison of the images.
    :param names: each image's names, which title it and fill in its remedies' commands.
    :param policy: the policy that the images were checked by.
    :param stream: the stream that the report is written to.
    """
    pairs = comparison.layers[::-1]
    rows = [row for pair in pairs for row in (pair.first, pair.second) if row]
    largest = max((row.layer.size for row in rows), default=0)
    second = [pair.second for pair in pairs if pair.second]
    sections = {
        kind: finding_views(
            [(f, remedy(f, names[kind != "mended"])) for f in merge_runtimes(getattr(comparison, kind))],
            () if kind == "mended" else second,
            kind,
        )
        for kind in _SECTIONS
    }
    changes = Counter(pair.change for pair in pairs)
    images = comparison.first.image, comparison.second.image
    return render_page(
        "diff.html.j2",
        title=comparison.summary.removesuffix("."),
        facts=page_facts(report_time(), map(account_of, names), f"{policy.platform}; {policy_words(policy)}"),
        verdict="fail" if comparison.second.errors else "pass",
        names=[image.reference for image in names],
        runtimes=[(RUNTIMES[name].title, standings) for name, *standings in comparison.runtimes],
        badges=_BADGES,
        sections=[(*_SECTIONS[kind], _ids(findings), findings) for kind, findings in sections.items() if findings],
        changes=[(changes[change], words) for change, words in LAYER_CHANGES.items() if changes[change]],
        rows=[
            (is_folded, [_pair(pair, largest, sections["broken"]) for pair in some])
            for is_folded, some in _folded(pairs[:_MAX_PAIRS])
        ],
        left_out=len(pairs[_MAX_PAIRS:]),
        fields=[_field(field, sections["broken"]) for field in comparison.fields if field.first or field.second],
        trees=[(name, node) for name, image in zip(("first", "second"), images, strict=True) if (node := tree(image))],
    )


def _ids(findings: Sequence[FindingView]) -> str:
    return ", ".join(dict.fromkeys(view.finding.id for view in findings))


def _folded(pairs: Sequence[LayerPair]) -> Iterator[tuple[bool, list[LayerPair]]]:
    """The pairs in runs, each with whether it is a run of shared layers, which is folded."""
    for is_shared, group in groupby(pairs, lambda pair: pair.change == "same" and not pair.breaks):
        some = list(group)
        yield is_shared and len(some) > _MAX_DRAWN, some


def _pair(pair: LayerPair, largest: int, broken: Sequence[FindingView]) -> Mapping[str, Any]:
    found = pair.second.findings if pair.second else ()
    return {
        "change": pair.change,
        "words": LAYER_CHANGES[pair.change],
        "sign": _SIGNS[pair.change],
        "sides": [row and layer_view(row, largest, ()) for row in (pair.first, pair.second)],
        "marks": [(view.finding.id, view.place) for view in broken if is_same_finding(view.finding, found)],
    }


def _field(field: ComparedField, broken: Sequence[FindingView]) -> Mapping[str, Any]:
    lines = [text.splitlines() or ["(none)"] for text in (field.first, field.second)]
    places = {view.finding.id: view.place for view in reversed(broken)}
    return {
        "name": field.name,
        "differs": field.differs,
        "breaks": [(id_, places[id_]) for id_ in field.breaks],
        "sides": [
            # In a list, the items that the other image does not have are marked.
            [(line, len(one) > 1 and line not in other) for line in one]
            for one, other in (lines, lines[::-1])
        ],
    }
