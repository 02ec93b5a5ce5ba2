"""The JSON report of `audit`: one object, written image by image, since there may be many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from image_verifier.audit.totals import AuditTotals
from image_verifier.outcome_json import policy_as_json

from ...results.report_facts import report_head
from ..json_text import json_text

if TYPE_CHECKING:
    from image_verifier.audit.row import Row

    from .audit_facts import AuditFacts


def report(rows: Callable[[], Iterable[Row]], facts: AuditFacts, stream: TextIO) -> Iterator[str]:
    """The report, piece by piece.

    :param rows: returns the images' rows.
    :param facts: the other facts.
    :param stream: the stream that the report is written to.
    """
    totals = AuditTotals()
    head = json_text(_head(facts)).removesuffix("\n}")
    yield f'{head},\n  "images": ['
    between = "\n"
    for row in rows():
        totals.add(row)
        yield between + _indented(row, 4)
        between = ",\n"
    repositories = [{"repository": name, **vars(total)} for name, total in sorted(totals.repositories.items())]
    accounts = [{"id": account, "region": region} for account, region in totals.accounts]
    tail = json_text({"accounts": accounts, "repositories": repositories}).removeprefix("{\n")
    yield f"\n  ],\n{tail}\n"


def _head(facts: AuditFacts) -> dict[str, Any]:
    head = {
        **report_head("audit", facts.head.checked_at, facts.head.version),
        "policy": policy_as_json(facts.policy) if facts.policy else None,
    }
    if facts.sweep is None:
        return head
    summary = facts.sweep.as_json()
    names = ("id", "started", "ended", "depth", "rules", "previous", "unfinished", "bounds", "new", "gone")
    return {**head, "sweep": {**{name: summary[name] for name in names}, "incomplete": list(facts.head.incomplete)}}


def _indented(value: object, columns: int) -> str:
    pad = " " * columns
    return "\n".join(pad + line for line in json_text(value).split("\n"))
