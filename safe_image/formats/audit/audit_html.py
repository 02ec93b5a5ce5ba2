"""An audit's report as one page to look at: the repositories, and every image that is refused, those in use first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from image_verifier.report import Finding, Severity
from image_verifier.rules.catalog import CATALOG
from image_verifier.text import in_sentences, readable_size

from ..html.html_page import page
from ..html.html_views import finding_views, titles
from .audit_totals import Total, Totals, refusing

if TYPE_CHECKING:
    from .audit_row import Row


def report(rows: Callable[[], Iterable[Row]], stream: TextIO) -> Iterator[str]:
    """The page; the rows are read twice, since what they come to is told first.

    :param rows: gives the images' rows, those in use first.
    :param stream: what it is written to.
    """
    totals = Totals.of(rows())
    whole = totals.whole
    tally = [
        ("pass", whole.passed, "passed"),
        ("fail", whole.refused, "refused"),
        ("unknown", whole.unknown, "unknown"),
    ]
    if whole.refused_in_use:
        tally.append(("fail", whole.refused_in_use, "of the refused in use"))
    yield from page(
        "audit.html.j2",
        title=_headline(whole),
        verdict="fail" if whole.refused else "unknown" if whole.unknown else "pass",
        tally=[one for one in tally if one[1]],
        repositories=sorted(totals.repositories.items()),
        findings=[(name, count, CATALOG[name].meaning) for name, count in totals.findings.most_common()],
        images=(_image(row, f"image-{n}") for n, row in enumerate(rows(), start=1) if row["verdict"] != "pass"),
    )


def _headline(whole: Total) -> str:
    images = f"{whole.images:,} image{'' if whole.images == 1 else 's'}"
    if whole.refused:
        return f"{whole.refused:,} of {images} {'is' if whole.refused == 1 else 'are'} refused"
    return f"{whole.unknown:,} could not be told" if whole.unknown else f"{images}, and none is refused"


def _image(row: Row, place: str) -> Mapping[str, Any]:
    where, slash, name = row["reference"].rpartition("/")
    fault = row["fault"]
    return {
        "where": where + slash,
        "name": name,
        "tags": row["tags"],
        "verdict": row["verdict"],
        "platform": row["platform"],
        "runs_on": titles(row["runs_on"]),
        "size": readable_size(row["size_bytes"]) if row["size_bytes"] else "",
        "pushed": (row["pushed_at"] or "")[:10],
        "digest": row["digest"] or "",
        "users": row["in_use_by"],
        "fault": in_sentences(fault["message"], fault["advice"]) if fault else "",
        "findings": finding_views([(_finding(told), told["remedy"]) for told in refusing(row)], (), place),
    }


def _finding(told: Mapping[str, Any]) -> Finding:
    return Finding(
        id=told["id"],
        severity=Severity(told["severity"]),
        message=told["message"],
        runs_on=tuple(told["runs_on"]),
        expected=told["expected"],
        found=told["found"],
        runtime_error=told["runtime_error"],
        acknowledged=told["acknowledged"],
    )
