"""The HTML page of an audit: the repositories, then the refused and unknown images, those in use first.

The page is the same from the command and from a Lambda. It is bounded, so that a browser can open it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from .. import __version__
from ..pages.finding_view import FindingView, finding_article, titles
from ..pages.frame import page
from ..pages.markup import escaped, plural
from ..pages.page_facts import page_facts
from ..pages.parts import about, choices
from ..report import Finding, Severity
from ..rules.meanings import MEANINGS
from ..text import in_sentences, readable_size
from .row import Row
from .totals import AuditTotals, ImageCounts, refusing

MAX_IMAGES: Final = 1000
"""The largest number of images that a page lists."""
MAX_REPOSITORIES: Final = 1000
"""The largest number of repositories in each of its two tables."""
LISTED: Final = ("fail", "unknown")
"""The verdicts of the images that a page lists."""
# More repositories in which every image passes are folded.
_MAX_HEALTHY: Final = 5
_COLUMNS: Final = {
    "images": "images",
    "passed": "passed",
    "refused": "refused",
    "unknown": "unknown",
    "refused_in_use": "refused in use",
}


@dataclass(frozen=True)
class AuditHead:
    """The facts of an audit besides its rows.

    :param checked_at: when it ended, in UTC.
    :param policy: the policy in words.
    :param version: the version that checked the images.
    :param incomplete: what was not checked, a sentence each.
    :param rest: where the images are that the page does not list.
    """

    checked_at: datetime
    policy: str
    version: str = __version__
    incomplete: Sequence[str] = ()
    rest: str = "the report of --format json"


def audit_page(rows: Callable[[], Iterable[Row]], head: AuditHead, totals: AuditTotals | None = None) -> Iterator[str]:
    """The page, piece by piece. It begins with the totals, so that the rows are read twice.

    :param rows: returns the images' rows, those in use first.
    :param head: the other facts.
    :param totals: the totals of all rows; then `rows` needs to have only the first `MAX_IMAGES` that are refused or
        unknown. None where they are counted here.
    """
    counted = totals or AuditTotals()
    listed = Counter[str]()
    for row in rows():
        if totals is None:
            counted.add(row)
        if row["verdict"] in LISTED and listed["all"] < MAX_IMAGES:
            listed.update(("all", row["verdict"], *(["used"] if _is_refused_in_use(row) else ())))
    return page(headline(counted.whole), _content(rows, head, counted, listed))


def headline(whole: ImageCounts) -> str:
    """The result of an audit in a few words.

    :param whole: the numbers of all images.
    """
    images = plural(whole.images, "image")
    if whole.refused:
        return f"{whole.refused:,} of {images} {'is' if whole.refused == 1 else 'are'} refused"
    return f"{whole.unknown:,} unknown" if whole.unknown else f"{images}, and none is refused"


def _content(
    rows: Callable[[], Iterable[Row]], head: AuditHead, totals: AuditTotals, listed: Counter[str]
) -> Iterator[str]:
    whole = totals.whole
    verdict = "fail" if whole.refused else "unknown" if whole.unknown or head.incomplete else "pass"
    yield f'<header class="top is-{verdict}">\n<h1>{escaped(headline(whole))}</h1>\n'
    yield about(page_facts(head.checked_at, totals.accounts, head.policy, head.version))
    yield f'<ul class="tally">{"".join(_tally(whole))}</ul>\n'
    if head.incomplete:
        sentences = "<br>".join(map(escaped, head.incomplete))
        yield f'<div class="quote"><cite>Not everything was checked</cite>{sentences}</div>\n'
    yield "</header>\n"
    yield f'<section class="sheet is-{verdict}"><div class="head"><h2>Repositories</h2></div><div class="body">\n'
    yield from _repositories(totals)
    yield "</div></section>\n"
    shown = (("fail", "refused"), ("used", "refused in use"), ("unknown", "unknown"))
    if listed["all"] > 1:
        yield choices(listed["all"], [(look, listed[look], word) for look, word in shown if listed[look]])
    # Numbered among themselves: a sweep passes only the rows that are listed.
    bad = (row for row in rows() if row["verdict"] in LISTED)
    for n, row in enumerate(islice(bad, listed["all"]), start=1):
        yield from _image(row, f"image-{n}")
    if left := whole.refused + whole.unknown - listed["all"]:
        yield f'<p class="soft">{plural(left, "more image")} refused or unknown: see {escaped(head.rest)}.</p>\n'


def _tally(whole: ImageCounts) -> Iterator[str]:
    counts = (
        ("pass", whole.passed, "passed"),
        ("fail", whole.refused, "refused"),
        ("unknown", whole.unknown, "unknown"),
        ("fail", whole.refused_in_use, "of the refused in use"),
    )
    return (f'<li class="badge {look}">{count:,} {word}</li>' for look, count, word in counts if count)


def _repositories(totals: AuditTotals) -> Iterator[str]:
    repositories = sorted(totals.repositories.items())
    healthy = [one for one in repositories if one[1].passed == one[1].images]
    yield from _table([one for one in repositories if one[1].passed != one[1].images])
    if len(healthy) > _MAX_HEALTHY:
        yield f'<div class="fold"><details><summary>{len(healthy):,} repositories in which every image passes</summary>'
        yield from _table(healthy)
        yield "</details></div>"
    else:
        yield from _table(healthy)
    if totals.findings:
        found = "".join(
            f'<dt class="mono">{escaped(name)}</dt><dd>{plural(count, "image")}: {escaped(MEANINGS[name])}</dd>'
            for name, count in totals.findings.most_common()
        )
        yield f'<h3 class="caption">Findings</h3><dl>{found}</dl>'


def _table(repositories: Sequence[tuple[str, ImageCounts]]) -> Iterator[str]:
    if not repositories:
        return
    names = "".join(f'<th scope="col">{word}</th>' for word in ("repository", *_COLUMNS.values()))
    yield f'<table class="fields repositories"><thead><tr>{names}</tr></thead><tbody>\n'
    for name, counts in repositories[:MAX_REPOSITORIES]:
        look = ' class="breaks"' if counts.refused else ' class="differs"' if counts.unknown else ""
        cells = "".join(f'<td data-name="{word}">{getattr(counts, column):,}</td>' for column, word in _COLUMNS.items())
        yield f'<tr{look}><th scope="row" class="mono">{escaped(name)}</th>{cells}</tr>\n'
    yield "</tbody></table>\n"
    if (left := len(repositories) - MAX_REPOSITORIES) > 0:
        yield f'<p class="soft">{left:,} more repositories.</p>\n'


def _image(row: Row, place: str) -> Iterator[str]:
    verdict, users = row["verdict"], row["in_use_by"]
    where, slash, name = row["reference"].rpartition("/")
    look = f"is-{verdict}{' is-used' if _is_refused_in_use(row) else ''}"
    word = f"{'refused' if verdict == 'fail' else 'unknown'}{', in use' if users else ''}"
    yield f'<details class="sheet listed {look}"{" open" if users else ""}>\n<summary class="head">'
    yield f'<span class="head-line"><h2 class="name"><span class="soft">{escaped(where + slash)}</span>{escaped(name)}'
    yield f'</h2><span class="badge {verdict}">{word}</span></span>\n<span class="facts">'
    yield "".join(f"<span>{fact}</span>" for fact in _facts(row))
    yield '<span class="more"></span></span>\n'
    yield "".join(f'<span class="facts"><span>in use by <b>{escaped(user)}</b></span></span>' for user in users)
    yield '</summary>\n<div class="body">\n'
    if row["digest"]:
        yield f'<dl class="digest"><dt>digest</dt><dd class="mono">{escaped(row["digest"])}</dd></dl>\n'
    if fault := row["fault"]:
        words = escaped(in_sentences(fault["message"], fault["advice"]))
        yield f'<div class="quote"><cite>Result unknown</cite>{words}</div>\n'
    for number, finding in enumerate(refusing(row), start=1):
        yield finding_article(FindingView(_finding(finding), finding["remedy"], f"{place}-{number}"), 3)
    yield "</div></details>\n"


def _facts(row: Row) -> Iterator[str]:
    yield f"<b>{escaped(row['platform'])}</b> on <b>{escaped(titles(row['runs_on']))}</b>"
    if row["size_bytes"]:
        yield f"<b>{readable_size(row['size_bytes'])}</b> compressed"
    if row["pushed_at"]:
        yield f"pushed <b>{escaped(row['pushed_at'][:10])}</b>"
    if len(row["tags"]) > 1:
        yield f"tags <b>{escaped(', '.join(row['tags']))}</b>"


def _is_refused_in_use(row: Row) -> bool:
    return row["verdict"] == "fail" and bool(row["in_use_by"])


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
