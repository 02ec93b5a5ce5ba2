"""The text report of `audit`: each bad or unknown image with its users, a table of the repositories, and a tally."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TextIO

from image_verifier.audit.totals import AuditTotals, ImageCounts, refusing
from image_verifier.rules.meanings import MEANINGS
from image_verifier.text import in_sentences, printable

from ..text.table import table
from ..text.text_page import TextPage

if TYPE_CHECKING:
    from image_verifier.audit.row import Row
    from image_verifier.audit.sweep_summary import SweepSummary

    from .audit_facts import AuditFacts

# More are only counted: the JSON report has all.
_MAX_NEW: Final = 5
_HEADS: Final = ("repository", "images", "passed", "refused", "unknown", "refused in use")


def report(rows: Callable[[], Iterable[Row]], facts: AuditFacts, stream: TextIO) -> Iterator[str]:
    """The report, image by image, then the totals.

    :param rows: returns the images' rows, those in use first.
    :param facts: the other facts.
    :param stream: the stream that the report is written to; a terminal gets colours.
    """
    page, totals = TextPage.of(stream), AuditTotals()
    if facts.sweep:
        yield "\n".join(_sweep(facts.sweep, page)) + "\n\n"
    for row in rows():
        totals.add(row)
        if row["verdict"] in ("fail", "unknown"):
            yield "\n".join(_image(row, page)) + "\n\n"
    yield "\n".join(_table(totals, page)) + "\n"
    if totals.findings:
        yield "\n" + "\n".join(_findings(totals, page)) + "\n"
        yield "\nTo see how to fix an image, run: safe-image check REFERENCE\n"
    yield f"\n{_tally(totals.whole, page)}\n"
    if facts.head.incomplete:
        yield "\n" + "\n".join(_incomplete(facts.head.incomplete, page)) + "\n"


def _sweep(sweep: SweepSummary, page: TextPage) -> Iterator[str]:
    where = f"{sweep.account} in {sweep.region}"
    yield from page.wrap(f"Sweep {sweep.id} of {where}: {sweep.policy}", "")
    for change, word in ((sweep.new, "refused"), (sweep.gone, "no longer refused")):
        if change.count:
            shown = [f"{one['repository']}@{one['digest']}" for one in change.images[:_MAX_NEW]]
            more = f" and {change.count - len(shown):,} more" if change.count > len(shown) else ""
            yield from page.wrap(f"{word} since the sweep before: {', '.join(shown)}{more}", "")


def _incomplete(sentences: Sequence[str], page: TextPage) -> Iterator[str]:
    yield page.paint("unknown", "Not everything was checked:")
    for sentence in sentences:
        yield from page.wrap(f"- {sentence}", "  ")


def _image(row: Row, page: TextPage) -> Iterator[str]:
    verdict = row["verdict"]
    others = len(row["tags"]) - 1
    more = page.paint("dim", f" and {others} more {'tag' if others == 1 else 'tags'}") if others > 0 else ""
    yield f"{page.paint(verdict, verdict.upper())}  {page.paint('head', printable(row['reference']))}{more}"
    for user in row["in_use_by"]:
        yield from page.wrap(f"in use by {user}", "      ")
    if row["fault"]:
        yield from page.wrap(in_sentences(row["fault"]["message"], row["fault"]["advice"]), "      ")
    for finding in refusing(row):
        where = page.paint("dim", f"({', '.join(finding['runs_on'])})")
        yield f"      {page.paint(finding['severity'], finding['id'])} {where}"
        yield from page.wrap(finding["message"], "        ")


def _table(totals: AuditTotals, page: TextPage) -> Iterator[str]:
    repositories = sorted(totals.repositories.items())
    rows = [_HEADS, *((printable(name), *_numbers(total)) for name, total in repositories)]
    head, *lines = table(rows, 0, page.width, right=range(1, len(_HEADS)))
    yield page.paint("dim", head)
    for text, (_, total) in zip(lines, repositories, strict=True):
        yield page.paint("error", text) if total.refused else page.paint("warning", text) if total.unknown else text


def _numbers(total: ImageCounts) -> tuple[str, ...]:
    counts = (total.images, total.passed, total.refused, total.unknown, total.refused_in_use)
    return tuple(f"{count:,}" for count in counts)


def _findings(totals: AuditTotals, page: TextPage) -> Iterator[str]:
    for finding, count in totals.findings.most_common():
        images = "1 image" if count == 1 else f"{count:,} images"
        yield from page.wrap(f"{finding} ({images}): {MEANINGS[finding]}", "")


def _tally(whole: ImageCounts, page: TextPage) -> str:
    parts = [f"{whole.passed:,} passed", f"{whole.refused:,} refused", f"{whole.unknown:,} unknown"]
    painted = [
        page.paint(v, part) for v, part in zip(("pass", "fail", "unknown"), parts, strict=True) if part[:2] != "0 "
    ]
    images = "1 image" if whole.images == 1 else f"{whole.images:,} images"
    used = f" ({whole.refused_in_use:,} of the refused in use)" if whole.refused_in_use else ""
    return f"{images}: {', '.join(painted)}{used}" if painted else f"{images}"
