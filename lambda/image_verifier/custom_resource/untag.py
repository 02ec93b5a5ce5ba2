"""Untagging: the tag of a refused image is removed, so that the next deploy pushes the image again.

CDK treats a tag that exists as published and never repairs it: https://github.com/aws/aws-cdk/issues/33264. The
rule for all deletions (`deletion`) decides; besides, a tag is removed only where
- no runtime at all can pull the image, since other stacks may verify it for other runtimes;
- `on_failure` is `untag`, and the resource is being created: never in an Update, never in a rollback;
- no verification of this stack has recorded the digest as a good one;
- there is time left to remove it before the response is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .. import aws
from ..deletion import (
    HELD_BY_INDEX,
    policies_of_every_runtime,
    reason_after_second_reading,
    reason_to_keep,
    remove_tag,
)
from ..faults import Fault
from ..policy import Policy
from ..report import Report
from ..retry import RetryBudget
from .properties import Properties
from .verified_digests import verified_digests

# The second reading and the removal take seconds, and each call up to 20 if it gets no answer. The refusal must not be
# late because of them.
_SECONDS_TO_READ: Final = 45.0
_SECONDS_TO_REMOVE: Final = 20.0
_NO_TIME: Final = "the verifier does not have enough time left"
_GONE: Final = "ImageNotFound"
_KEPT: Final = "The tag was not removed, although on_failure is 'untag':"


@dataclass(frozen=True)
class Untagging:
    """The result of removing the tag of a refused image.

    :param removed: whether it was removed.
    :param message: a sentence about it.
    """

    removed: bool
    message: str


def untag(
    report: Report,
    properties: Properties,
    stack_id: str,
    retry_budget: RetryBudget,
    verify_by: Callable[[Policy], Report],
) -> Untagging:
    """Remove the tag of an image that was refused when its resource was created.

    :param report: the findings.
    :param properties: the image.
    :param stack_id: the ARN of the stack that verifies it.
    :param retry_budget: for how long calls are retried.
    :param verify_by: reads the image anew, and judges it by a policy.
    """
    top, tag = report.image.top, properties.tag
    try:
        reason = _reason_to_keep(report, properties, stack_id, retry_budget, verify_by)
    except Fault as fault:
        return Untagging(False, f"{_KEPT} {fault.message} {fault.advice}")
    if reason or top is None:
        return Untagging(False, f"{_KEPT} {reason}.")
    try:
        client = aws.client("ecr", properties.names.region)
        failure = remove_tag(client, properties.repository_arn, tag, top.digest, retry_budget)
    except Fault as fault:
        # The call may have been carried out, and only its response was lost.
        return Untagging(False, f"It is not known whether the tag was removed: {fault.message} {fault.advice}")
    if failure.startswith(HELD_BY_INDEX):
        return Untagging(False, f"{_KEPT} an index in the repository references {top.digest}, so ECR keeps its tag.")
    if failure.startswith(_GONE):
        # The response to an earlier attempt was lost.
        return Untagging(True, f"The tag {tag} was removed from {top.digest}.")
    if failure:
        return Untagging(False, f"{_KEPT} ecr:BatchDeleteImage failed with {failure}")
    return Untagging(True, f"The tag {tag} was removed from {top.digest}, because on_failure is 'untag'.")


def _reason_to_keep(
    report: Report,
    properties: Properties,
    stack_id: str,
    retry_budget: RetryBudget,
    verify_by: Callable[[Policy], Report],
) -> str:
    """Why the tag must be kept, as a clause; empty if it may be removed. The cheapest reasons come first."""
    if reason := reason_to_keep([report], properties.tag):
        return reason
    assert report.image.top
    digest = report.image.top.digest
    if retry_budget.seconds_left < _SECONDS_TO_READ:
        return _NO_TIME
    if digest in _verified_by(stack_id, retry_budget):
        return f"this stack has verified {digest} before, and may run it"
    # Other stacks may verify the image for other runtimes, and the verifier may not look at what runs.
    others = policies_of_every_runtime(verify_layers=properties.policy.verify_layers)
    if reason := reason_after_second_reading(verify_by, [properties.policy, *others], properties.tag, digest):
        return reason
    # An answer that trickles in outlasts every timeout, and nothing may be deleted after the response is sent.
    return _NO_TIME if retry_budget.seconds_left < _SECONDS_TO_REMOVE else ""


def _verified_by(stack_id: str, retry_budget: RetryBudget) -> set[str]:
    client = aws.client("cloudformation", stack_id.split(":")[3])
    return verified_digests(client, stack_id, retry_budget)
