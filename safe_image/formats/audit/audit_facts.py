"""The facts of an audit besides its rows, whether it ran here or as a sweep in AWS."""

from __future__ import annotations

from dataclasses import dataclass

from image_verifier.audit.audit_page import AuditHead
from image_verifier.audit.sweep_summary import SweepSummary
from image_verifier.pages.page_facts import policy_words
from image_verifier.policy import Policy

from ...results.report_facts import report_time


@dataclass(frozen=True)
class AuditFacts:
    """The facts of an audit besides its rows.

    :param head: the facts that every format shows.
    :param policy: the policy of the whole audit; None for a sweep, whose rows have their own.
    :param sweep: the sweep's summary; None for an audit that ran here.
    """

    head: AuditHead
    policy: Policy | None = None
    sweep: SweepSummary | None = None

    @classmethod
    def of(cls, policy: Policy) -> AuditFacts:
        """The facts of an audit that ends now.

        :param policy: the policy that the images were checked by.
        :raises UsageError: if SOURCE_DATE_EPOCH is not a time.
        """
        return cls(AuditHead(report_time(), policy_words(policy)), policy)
