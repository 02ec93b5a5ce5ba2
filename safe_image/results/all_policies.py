"""The requirements of an image that several verifications reference, and its report for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from image_verifier.deletion import cannot_be_pulled
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.sources import Source
from image_verifier.verify import verify

# Each of the requirements must be met, by any of its policies: an image of unknown platform may be for each.
Requirements = Sequence[Sequence[Policy]]


def reports_of(source: Callable[[], Source], requirements: Requirements) -> tuple[Report, ...]:
    """The reports of an image, one for each requirement.

    :param source: opens the image; each policy reads it anew.
    :param requirements: its requirements.
    :raises Fault: if the image cannot be read.
    """
    return tuple(_best_report(source, policies) for policies in requirements)


def _best_report(source: Callable[[], Source], policies: Sequence[Policy]) -> Report:
    """The report by the first policy that accepts the image; if none does, by the first that lets it be pulled."""
    reports = []
    for policy in policies:
        reports.append(verify(source(), policy))
        if reports[-1].verdict == "pass":
            return reports[-1]
    return next((report for report in reports if not cannot_be_pulled(report)), reports[0])


def policies_of(requirements: Requirements) -> tuple[Policy, ...]:
    """The policies of all requirements."""
    return tuple(policy for policies in requirements for policy in policies)
