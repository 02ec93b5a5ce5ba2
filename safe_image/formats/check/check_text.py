"""The text report of `check`: each image with its layers, its findings and their remedies, and a tally.

Everything that comes from an image or a registry is printed without control characters: a media type must not be
able to move a terminal's cursor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TextIO

from image_verifier.image.model import Image
from image_verifier.report import Finding, Report
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.text import printable, readable_size

from ...results.layer_rows import LayerRow, layer_rows
from ..text.finding_text import fault_line, finding_label, finding_lines
from ..text.table import table
from ..text.text_page import TextPage

if TYPE_CHECKING:
    from ...results.check_runner import Outcome

# A longer table shows its ends, and every layer that has a finding.
_MAX_ROWS: Final = 30
_END_ROWS: Final = 10
_DIGEST: Final = len("sha256:") + 12
_HEADS: Final = ("#", "size", "type", "compression", "digest")
_TYPE: Final = _HEADS.index("type")
_INDENT: Final = "      "
_VERDICTS: Final = {"pass": "passed", "fail": "refused", "unknown": "unknown", "skipped": "skipped"}


def report(outcomes: Iterable[Outcome], stream: TextIO, *, quiet: bool = False) -> Iterator[str]:
    """The report, image by image, and its tally.

    :param outcomes: the outcomes of the checks.
    :param stream: the stream that the report is written to. A terminal gets colours.
    :param quiet: whether images that pass are left out, and the tally where all pass.
    """
    page = TextPage.of(stream)
    verdicts: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    for outcome in outcomes:
        verdicts[outcome.verdict] += 1
        if outcome.report and quiet and outcome.verdict == "pass":
            continue
        if outcome.report:
            labels.update(map(finding_label, outcome.report.findings))
            yield "\n".join(_image(outcome, outcome.report, page)) + "\n\n"
        elif outcome.fault:
            unknown = _headed("unknown", fault_line(outcome.label, outcome.fault), page)
            yield "\n".join((*unknown, *_places(outcome))) + "\n\n"
        elif outcome.skipped and not quiet:
            skipped = _headed("skipped", f"{outcome.label}: {outcome.skipped}", page)
            yield "\n".join((*skipped, *_places(outcome))) + "\n\n"
    if not quiet or verdicts.keys() - {"pass", "skipped"}:
        yield _tally(verdicts, labels, page) + "\n"


def _headed(verdict: str, text: str, page: TextPage) -> Iterator[str]:
    """A line that begins with a verdict; a terminal gets several, whose text is indented."""
    first, *others = page.wrap(text, " " * 9)
    yield page.paint(verdict, verdict.upper()) + first[len(verdict) :]
    yield from others


def _tally(verdicts: Counter[str], labels: Counter[str], page: TextPage) -> str:
    parts = [page.paint(v, f"{verdicts[v]} {word}") for v, word in _VERDICTS.items() if verdicts[v]]
    found = [_number(labels[label], label) for label in ("error", "warning", "info") if labels[label]]
    if labels["acknowledged"]:
        found.append(f"{labels['acknowledged']} acknowledged")
    images = _number(verdicts.total(), "image")
    return (f"{images}: {', '.join(parts)}" if parts else images) + (f" ({', '.join(found)})" if found else "")


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 or word == "info" else f"{count} {word}s"


def _image(outcome: Outcome, report: Report, page: TextPage) -> Iterator[str]:
    image, verdict = report.image, report.verdict
    yield f"{page.paint(verdict, verdict.upper())}  {page.paint('head', printable(outcome.label))}"
    if outcome.construct:
        yield f"      {printable(outcome.reference)}"
    yield from _places(outcome)
    titles = ", ".join(RUNTIMES[name].title for name in report.runs_on)
    yield from page.wrap(f"{image.platform} on {titles}", _INDENT)
    if image.top:
        yield from page.wrap(f"{image.top.digest}  {_type(image)}", _INDENT)
    if image.layers:
        layers = _number(len(image.layers), "layer")
        yield f"      {readable_size(image.size)} compressed, {layers}"
        yield ""
        yield from _table(image, report.findings, page)
    for finding in report.findings:
        yield ""
        yield from finding_lines(finding, outcome.names, page)


def _places(outcome: Outcome) -> Iterator[str]:
    return (f"      {printable(str(place))}" for place in outcome.places)


def _type(image: Image) -> str:
    top = image.top
    assert top
    through = f", through {_number(len(image.indexes), 'index')}" if image.indexes else ""
    return printable(top.media_type.removeprefix("application/vnd.")) + through


def _table(image: Image, findings: Sequence[Finding], page: TextPage) -> Iterator[str]:
    layers = layer_rows(image, findings)
    width = page.width and page.width - len(_INDENT)
    rows = [_HEADS, *map(_cells, layers)]
    if width is not None and max(map(_length, rows)) > width:
        # The type says nearly the same.
        rows = [(*row[:3], row[4]) for row in rows]
    head, *lines = table(rows, _TYPE, width, right=(0, 1))
    yield page.paint("dim", _INDENT + head)
    hidden = 0
    for number, (row, line) in enumerate(zip(layers, lines, strict=True)):
        marks = ", ".join(dict.fromkeys(finding.id for finding in row.findings))
        if len(layers) > _MAX_ROWS and _END_ROWS <= number < len(layers) - _END_ROWS and not marks:
            hidden += 1
            continue
        if hidden:
            yield page.paint("dim", f"{_INDENT}... {_number(hidden, 'layer')}")
            hidden = 0
        yield from _row(line, marks, page)


def _row(line: str, marks: str, page: TextPage) -> Iterator[str]:
    """A layer's line with its findings, which get lines of their own where the terminal is too narrow."""
    if not marks:
        yield _INDENT + line
        return
    whole = f"{_INDENT}{line}  <- {marks}"
    if page.width is None or len(whole) <= page.width:
        yield page.paint("error", whole)
        return
    yield page.paint("error", _INDENT + line)
    yield from (page.paint("error", text) for text in page.wrap(f"<- {marks}", _INDENT + "  "))


def _length(row: Sequence[str]) -> int:
    return len("  ".join(row))


def _cells(row: LayerRow) -> tuple[str, ...]:
    return (
        str(row.number),
        readable_size(row.layer.size),
        printable(row.short_type),
        row.compression,
        printable(row.layer.digest[:_DIGEST]),
    )
