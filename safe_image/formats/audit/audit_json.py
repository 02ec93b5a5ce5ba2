"""The JSON report of `audit`: one object, written image by image, since there may be many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from image_verifier.audit.totals import AuditTotals
from image_verifier.image.ecr_hosts import ECR_HOST
from image_verifier.outcome_json import policy_as_json
from image_verifier.rules.remedies import Names

from ...results.report_facts import accounts_as_json, report_head
from ..json_text import json_text

if TYPE_CHECKING:
    from image_verifier.audit.row import Row
    from image_verifier.policy import Policy


def report(rows: Callable[[], Iterable[Row]], policy: Policy, stream: TextIO) -> Iterator[str]:
    """The report, piece by piece.

    :param rows: returns the images' rows.
    :param policy: the policy that the images were checked by.
    :param stream: the stream that the report is written to.
    """
    totals = AuditTotals()
    head = json_text({**report_head("audit"), "policy": policy_as_json(policy)}).removesuffix("\n}")
    yield f'{head},\n  "images": ['
    between = "\n"
    for row in rows():
        totals.add(row)
        yield between + _indented(row, 4)
        between = ",\n"
    repositories = [{"repository": name, **vars(total)} for name, total in sorted(totals.repositories.items())]
    accounts = accounts_as_json(map(_names, totals.repositories))
    tail = json_text({"accounts": accounts, "repositories": repositories}).removeprefix("{\n")
    yield f"\n  ],\n{tail}\n"


def _names(repository: str) -> Names:
    host = ECR_HOST.match(repository)
    return Names(registry_id=host["account"], region=host["region"]) if host else Names()


def _indented(value: object, columns: int) -> str:
    pad = " " * columns
    return "\n".join(pad + line for line in json_text(value).split("\n"))
