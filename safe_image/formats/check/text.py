"""The report as people read it: each image with its layers, what was found and how it is mended, and a tally.

Everything that comes from an image or a registry is printed without control characters: a media type must not be
able to move a terminal's cursor.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

from image_verifier.faults import Fault
from image_verifier.image.model import Image
from image_verifier.report import Finding, Report, Severity
from image_verifier.rules.remedies import Names, remedy
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.text import printable, readable_size

from ...layer_rows import LayerRow, layer_rows

if TYPE_CHECKING:
    from ...check_runner import Outcome

# Longer tables show their ends, and every layer that something was found on.
_MOST_ROWS: Final = 30
_END_ROWS: Final = 10
_WIDEST: Final = 110
_DIGEST: Final = len("sha256:") + 12

_COLOURS: Final = {
    "pass": "1;32",
    "fail": "1;31",
    "unknown": "1;33",
    "error": "31",
    "warning": "33",
    "info": "36",
    "acknowledged": "2",
    "command": "36",
    "dim": "2",
    "head": "1",
}
_VERDICTS: Final = {"pass": "passed", "fail": "refused", "unknown": "unknown"}


@dataclass(frozen=True)
class Page:
    """What the report is written on.

    :param colour: whether it takes colours.
    :param width: its columns; None does not break lines, so that a log can be searched.
    """

    colour: bool
    width: int | None

    @classmethod
    def of(cls, stream: TextIO) -> Page:
        """A terminal takes colours, unless NO_COLOR (https://no-color.org) says otherwise; nothing else does."""
        terminal = stream.isatty()
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return cls(terminal and not plain, _columns(stream) if terminal else None)

    def paint(self, name: str, text: str) -> str:
        """The text in the colour that belongs to a name."""
        return f"\x1b[{_COLOURS[name]}m{text}\x1b[0m" if self.colour else text

    def wrap(self, text: str, indent: str) -> list[str]:
        """The text in lines, each with the indent."""
        text = printable(text)
        if self.width is None:
            return [indent + text]
        # Imported here, since most runs have no terminal, and a run is to be as short as it can.
        import textwrap

        return textwrap.wrap(
            text,
            self.width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _columns(terminal: TextIO) -> int:
    try:
        return min(os.get_terminal_size(terminal.fileno()).columns or _WIDEST, _WIDEST)
    except OSError:
        return _WIDEST


def one_line(reference: str, fault: Fault) -> str:
    """What could not be told, why, and what to do."""
    return printable(f"{reference}: {fault.text}")


def report(outcomes: Iterable[Outcome], stream: TextIO) -> Iterator[str]:
    """The report, image by image, and its tally.

    :param outcomes: what became of the images.
    :param stream: what it is written to; a terminal gets colours. Faults are told there unless it is one, where
        standard error shows them.
    """
    page = Page.of(stream)
    verdicts: Counter[str] = Counter()
    severities: Counter[str] = Counter()
    for outcome in outcomes:
        verdicts[outcome.verdict] += 1
        if outcome.report:
            severities.update(_weight(f) for f in outcome.report.findings)
            yield "\n".join(_image(outcome, outcome.report, page)) + "\n\n"
        elif outcome.fault and not stream.isatty():
            yield f"{'UNKNOWN':9}{one_line(outcome.reference, outcome.fault)}\n\n"
    yield _tally(verdicts, severities, page) + "\n"


def _tally(verdicts: Counter[str], severities: Counter[str], page: Page) -> str:
    parts = [page.paint(v, f"{verdicts[v]} {word}") for v, word in _VERDICTS.items() if verdicts[v]]
    found = [_number(severities[s], s) for s in ("error", "warning", "info") if severities[s]]
    if severities["acknowledged"]:
        found.append(f"{severities['acknowledged']} acknowledged")
    images = _number(verdicts.total(), "image")
    return (f"{images}: {', '.join(parts)}" if parts else images) + (f" ({', '.join(found)})" if found else "")


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 or word == "info" else f"{count} {word}s"


def _weight(finding: Finding) -> str:
    return "acknowledged" if finding.acknowledged else finding.severity.value


def _image(outcome: Outcome, report: Report, page: Page) -> Iterator[str]:
    image, verdict = report.image, report.verdict
    yield f"{page.paint(verdict, verdict.upper())}  {page.paint('head', printable(outcome.reference))}"
    titles = ", ".join(RUNTIMES[name].title for name in report.runs_on)
    yield f"      {image.platform} on {titles}"
    if image.top:
        yield f"      {printable(image.top.digest)}  {_kind(image)}"
    if image.layers:
        layers = _number(len(image.layers), "layer")
        yield f"      {readable_size(image.size)} compressed, {layers}"
        yield ""
        yield from _table(image, report.findings, page)
    for finding in report.findings:
        yield ""
        yield from finding_lines(finding, remedy(finding, outcome.names), page)


def _kind(image: Image) -> str:
    top = image.top
    assert top
    through = f", through {_number(len(image.indexes), 'index')}" if image.indexes else ""
    return printable(top.media_type.removeprefix("application/vnd.")) + through


def _table(image: Image, findings: Sequence[Finding], page: Page) -> Iterator[str]:
    rows = [_row(row) for row in layer_rows(image, findings)]
    heads = ("#", "size", "type", "compression", "digest", "")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    yield page.paint("dim", _line(heads, widths))
    hidden = 0
    for number, row in enumerate(rows):
        marked = bool(row[-1])
        if len(rows) > _MOST_ROWS and _END_ROWS <= number < len(rows) - _END_ROWS and not marked:
            hidden += 1
            continue
        if hidden:
            yield page.paint("dim", f"      ... {_number(hidden, 'layer')}")
            hidden = 0
        line = _line(row, widths)
        yield page.paint("error", line) if marked else line


def _row(row: LayerRow) -> tuple[str, ...]:
    marks = dict.fromkeys(finding.id for finding in row.findings)
    return (
        str(row.number),
        readable_size(row.layer.size),
        printable(row.kind),
        row.compression,
        printable(row.layer.digest[:_DIGEST]),
        f"<- {', '.join(marks)}" if marks else "",
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    number, size, *others = (
        cell.rjust(width) if column < 2 else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "      " + "  ".join((number, size, *others)).rstrip()


def plain_finding(finding: Finding, names: Names) -> list[str]:
    """A finding in lines without colours, for formats that carry text."""
    return [line.strip() for line in finding_lines(finding, remedy(finding, names), Page(colour=False, width=None))]


def finding_lines(finding: Finding, steps: Sequence[str], page: Page) -> Iterator[str]:
    """A finding as people read it.

    :param finding: the finding.
    :param steps: its remedy.
    :param page: what it is written on.
    """
    weight = _weight(finding)
    where = ", ".join(finding.runs_on)
    yield f"  {page.paint(weight, f'{weight} {finding.id}')} {page.paint('dim', f'({where})')}"
    yield from page.wrap(finding.message, "    ")
    if finding.acknowledged:
        yield from page.wrap(f"acknowledged: {finding.acknowledged}", "    ")
        return
    if finding.expected:
        yield from page.wrap(f"expected: {finding.expected}", "    ")
    if finding.found:
        yield from page.wrap(f"found: {finding.found}", "    ")
    if finding.runtime_error:
        yield f"    {RUNTIMES[finding.runs_on[0]].title} would have said:"
        yield from page.wrap(finding.runtime_error, "      ")
    if steps and finding.severity is not Severity.INFO:
        yield from remedy_lines(steps, page, "    ")


def remedy_lines(steps: Sequence[str], page: Page, indent: str) -> Iterator[str]:
    """What mends something, as people read it.

    :param steps: the remedy; what begins with `$ ` is a command.
    :param page: what it is written on.
    :param indent: what its heading stands behind.
    """
    yield f"{indent}to mend it:"
    for step in steps:
        if step.startswith("$ "):
            # On a line of its own, whole and without a prompt, so that it can be copied.
            yield f"{indent}  " + page.paint("command", printable(step[2:]))
        else:
            yield from page.wrap(f"- {step}", f"{indent}  ")
