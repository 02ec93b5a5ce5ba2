"""The HTML report of `audit`: the page that a sweep in AWS also writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from image_verifier.audit.audit_page import AuditHead, audit_page
from image_verifier.pages.page_facts import policy_words

from ...results.report_facts import report_time

if TYPE_CHECKING:
    from image_verifier.audit.row import Row
    from image_verifier.policy import Policy


def report(rows: Callable[[], Iterable[Row]], policy: Policy, stream: TextIO) -> Iterator[str]:
    """The page. It begins with the totals, so that the rows are read twice.

    :param rows: returns the images' rows, those in use first.
    :param policy: the policy that the images were checked by.
    :param stream: the stream that the report is written to.
    """
    return audit_page(rows, AuditHead(report_time(), policy_words(policy)))
