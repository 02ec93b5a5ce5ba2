"""The text report of `diff`: the findings that break the second image, then the fields that differ, then the layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TextIO

from image_verifier.policy import Policy
from image_verifier.report import Finding
from image_verifier.rules.names import Names
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.text import printable, readable_size

from ...results.comparison import LAYER_CHANGES, ComparedField, Comparison, LayerPair
from ...results.layer_rows import LayerRow
from ...results.merge_runtimes import merge_runtimes
from ..text.finding_text import finding_lines
from ..text.table import squeezed
from ..text.text_page import TextPage

_COLOURS: Final = {"same": "dim", "retyped": "warning", "recompressed": "warning"}
_STANDINGS: Final = {"runs": "pass", "in doubt": "unknown", "refused": "fail"}
_DIGEST: Final = 19
_STEP: Final = 60
_FEWEST: Final = 12


def report(comparison: Comparison, names: tuple[Names, Names], policy: Policy, stream: TextIO) -> Iterator[str]:
    """The report, line by line.

    :param comparison: the comparison of the images.
    :param names: each image's names, which title it and fill in its remedies' commands.
    :param policy: the policy that the images were checked by.
    :param stream: the stream that the report is written to; a terminal gets colours.
    """
    for line in _lines(comparison, names, TextPage.of(stream)):
        yield line + "\n"


def _lines(comparison: Comparison, names: tuple[Names, Names], page: TextPage) -> Iterator[str]:
    yield f"{page.paint('head', '1')}  {printable(names[0].reference)}"
    yield f"{page.paint('head', '2')}  {printable(names[1].reference)}"
    yield ""
    yield from page.wrap(comparison.summary, "")
    yield ""
    yield from _runtimes(comparison, page)
    for title, findings, own_names in (
        ("findings that refuse only image 2", comparison.broken, names[1]),
        ("findings that refuse only image 1", comparison.mended, names[0]),
    ):
        if findings:
            yield ""
            yield page.paint("head", title)
            for finding in merge_runtimes(findings):
                yield from finding_lines(finding, own_names, page)
    for title, findings in (
        ("findings that refuse both images", comparison.common),
        ("warnings for image 2 only", comparison.doubted),
    ):
        if findings:
            yield ""
            yield page.paint("head", title)
            for finding in merge_runtimes(findings):
                yield from _short_finding_lines(finding, page)
    yield ""
    differing = [field for field in comparison.fields if field.differs]
    yield page.paint("head", f"{len(differing)} of {len(comparison.fields)} fields differ")
    for field in differing:
        yield from _field(field, page)
    yield ""
    yield from _layers(comparison.layers, page)


def _short_finding_lines(finding: Finding, page: TextPage) -> Iterator[str]:
    where = page.paint("dim", f"({', '.join(finding.runs_on)})")
    yield f"  {page.paint(finding.severity.value, finding.id)} {where}"
    yield from page.wrap(finding.message, "    ")


def _runtimes(comparison: Comparison, page: TextPage) -> Iterator[str]:
    width = max(len(RUNTIMES[name].title) for name, _, _ in comparison.runtimes)
    yield page.paint("dim", f"{'':{width}}  {'1':8} 2")
    for name, first, second in comparison.runtimes:
        one, other = (page.paint(_STANDINGS[standing], standing) for standing in (first, second))
        yield f"{RUNTIMES[name].title:{width}}  {one}{' ' * (8 - len(first))} {other}"


def _field(field: ComparedField, page: TextPage) -> Iterator[str]:
    marks = page.paint("error", f"  <- {', '.join(field.breaks)}") if field.breaks else ""
    yield f"  {field.name}{marks}"
    one, other = field.first.splitlines(), field.second.splitlines()
    for sign, colour, lines, without in (("-", "fail", one, other), ("+", "pass", other, one)):
        for line in lines or ["(none)"]:
            if line not in without:
                yield f"    {page.paint(colour, sign)} {printable(line)}"


def _layers(pairs: Sequence[LayerPair], page: TextPage) -> Iterator[str]:
    shared = sum(pair.change == "same" for pair in pairs)
    yield page.paint("head", f"{shared} of {len(pairs)} layers are shared")
    hidden = 0
    for number, pair in enumerate(pairs):
        # A shared layer between shared layers is hidden.
        around = pairs[max(0, number - 1) : number + 2]
        if all(one.change == "same" for one in around) and not pair.breaks:
            hidden += 1
            continue
        if hidden:
            yield page.paint("dim", f"  ... {hidden} shared")
            hidden = 0
        yield from _pair(pair, page)
    if hidden:
        yield page.paint("dim", f"  ... {hidden} shared")


def _pair(pair: LayerPair, page: TextPage) -> Iterator[str]:
    colour = "error" if pair.breaks else _COLOURS.get(pair.change, "head")
    title = LAYER_CHANGES[pair.change] + (f"  <- {', '.join(pair.breaks)}" if pair.breaks else "")
    yield f"  {page.paint(colour, title)}"
    rows = [("1", pair.first), ("2", pair.second)]
    if pair.change == "same":
        rows = [("=", pair.second)]
    for sign, row in rows:
        if row is not None:
            yield f"    {sign} {_row(row, page)}"


def _row(row: LayerRow, page: TextPage) -> str:
    """A layer in one line; a narrow terminal gets less of the build step, and of the type."""
    start = f"#{row.number:<3} {readable_size(row.layer.size):>10}"
    digest = printable(row.layer.digest[:_DIGEST])
    kind, step = printable(row.short_type), printable(row.step[:_STEP])
    if page.width is not None:
        left = page.width - len(f"    1 {start}    {digest}")
        kind = squeezed(kind, max(left, _FEWEST))
        room = left - len(kind) - 2
        step = step[:room] if room >= _FEWEST else ""
    return f"{start}  {kind}  {digest}" + (f"  {step}" if step else "")
