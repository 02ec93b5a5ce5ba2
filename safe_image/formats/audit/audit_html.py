"""The HTML report of `audit`: the page that a sweep in AWS also writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from image_verifier.audit.audit_page import audit_page

if TYPE_CHECKING:
    from image_verifier.audit.row import Row

    from .audit_facts import AuditFacts


def report(rows: Callable[[], Iterable[Row]], facts: AuditFacts, stream: TextIO) -> Iterator[str]:
    """The page. It begins with the totals, so that the rows are read twice.

    :param rows: returns the images' rows, those in use first.
    :param facts: the other facts.
    :param stream: the stream that the report is written to.
    """
    return audit_page(rows, facts.head)
