"""The HTML report of `audit`: one page with the repositories, then every bad or unknown image, those in use first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

from image_verifier.audit.totals import AuditTotals, ImageCounts, refusing
from image_verifier.image.ecr_hosts import ECR_HOST
from image_verifier.report import Finding, Severity
from image_verifier.rules.catalog import CATALOG
from image_verifier.text import in_sentences, readable_size

from ..html.html_page import render_page
from ..html.html_views import finding_views, titles
from ..html.page_facts import Fact, page_facts, policy_words, time_of_report

if TYPE_CHECKING:
    from image_verifier.audit.row import Row
    from image_verifier.policy import Policy

# More repositories in which every image passes are folded.
_MAX_HEALTHY: Final = 5


def report(rows: Callable[[], Iterable[Row]], policy: Policy, stream: TextIO) -> Iterator[str]:
    """The page. It begins with the totals, so that the rows are read twice.

    :param rows: returns the images' rows, those in use first.
    :param policy: the policy that the images were checked by.
    :param stream: the stream that the report is written to.
    """
    totals = AuditTotals.of(rows())
    whole = totals.whole
    tally = [
        ("pass", whole.passed, "passed"),
        ("fail", whole.refused, "refused"),
        ("unknown", whole.unknown, "unknown"),
    ]
    if whole.refused_in_use:
        tally.append(("fail", whole.refused_in_use, "of the refused in use"))
    repositories = sorted(totals.repositories.items())
    healthy = [(name, total) for name, total in repositories if total.passed == total.images]
    choices = [
        ("fail", whole.refused, "refused"),
        ("used", whole.refused_in_use, "refused in use"),
        ("unknown", whole.unknown, "unknown"),
    ]
    yield from render_page(
        "audit.html.j2",
        title=_headline(whole),
        facts=page_facts(time_of_report(), map(_account, sorted(totals.repositories)), policy_words(policy)),
        verdict="fail" if whole.refused else "unknown" if whole.unknown else "pass",
        tally=[one for one in tally if one[1]],
        listed=whole.refused + whole.unknown,
        choices=[one for one in choices if one[1]],
        repositories=[(name, total) for name, total in repositories if total.passed != total.images],
        healthy=healthy,
        is_folded=len(healthy) > _MAX_HEALTHY,
        findings=[(name, count, CATALOG[name].meaning) for name, count in totals.findings.most_common()],
        images=(
            _image(row, f"image-{n}") for n, row in enumerate(rows(), start=1) if row["verdict"] in ("fail", "unknown")
        ),
    )


def _account(repository: str) -> Fact:
    """The account and the region of a repository's URI."""
    host = ECR_HOST.fullmatch(repository.partition("/")[0])
    return (host["account"], host["region"]) if host else ("", "")


def _headline(whole: ImageCounts) -> str:
    images = f"{whole.images:,} image{'' if whole.images == 1 else 's'}"
    if whole.refused:
        return f"{whole.refused:,} of {images} {'is' if whole.refused == 1 else 'are'} refused"
    return f"{whole.unknown:,} unknown" if whole.unknown else f"{images}, and none is refused"


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
        "findings": finding_views([(_finding(finding), finding["remedy"]) for finding in refusing(row)], (), place),
    }


def _finding(row: Mapping[str, Any]) -> Finding:
    return Finding(
        id=row["id"],
        severity=Severity(row["severity"]),
        message=row["message"],
        runs_on=tuple(row["runs_on"]),
        expected=row["expected"],
        found=row["found"],
        runtime_error=row["runtime_error"],
        predicted=row["runtime_error_predicted"],
        acknowledged=row["acknowledged"],
    )
