"""A Create or an Update: the image is verified, and the verdict becomes the response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from .. import aws
from ..deletion import reason_to_keep
from ..faults import Fault
from ..policy import Policy
from ..report import Report
from ..report_json import report_as_json
from ..retry import RetryBudget
from ..rules.names import Names
from ..sources.ecr_image import EcrImage
from ..verify import verify
from . import reason, rollback
from .attempt import Attempt
from .attributes import attributes, warnings
from .events import Context, Event, log_place, stack_of
from .layout import Reason
from .log import LogEntry
from .physical_id import VerifiedImage, physical_id, records_of
from .properties import OnFailure, Properties
from .response import Response, unknown
from .untag import untag

# How long a new role may be denied, in seconds: https://github.com/aws/aws-cdk/issues/37675, #37939.
_PROPAGATION: Final = 60.0
# The part of the time in which CloudFormation must report the stack's status.
_STATUS_SHARE: Final = 0.3
# Seconds in which the last fault can still be reported, and not only that the time ran out.
_REPORTING: Final = 2.0


def respond(event: Event, context: Context, attempt: Attempt) -> Response:
    """The response to a Create or an Update.

    :param attempt: the time that there is for it, and where the response for a failure is left.
    """
    try:
        properties = Properties.parse(event["ResourceProperties"])
    except ValueError as e:
        return unknown(Reason(f"The properties of this Custom::ImageVerification are wrong: {e}."))
    retry_budget = RetryBudget.of(attempt.seconds - _REPORTING, _PROPAGATION, attempt.abandoned)
    try:
        history = records_of(event.get("PhysicalResourceId", ""))
        reused = (
            _reused(event, attempt, properties, history, retry_budget) if event["RequestType"] == "Update" else None
        )
        return reused or _verified(event, context, properties, history, retry_budget)
    except Fault as fault:
        return unknown(
            reason.doubt(fault, properties, log_place(context)),
            reference=properties.names.reference,
            fault={"message": fault.message, "advice": fault.advice},
        )


def _reused(
    event: Event,
    attempt: Attempt,
    properties: Properties,
    history: Sequence[VerifiedImage],
    retry_budget: RetryBudget,
) -> Response | None:
    """The response to an Update that may belong to a rollback; None where the image must be verified."""
    image = rollback.recorded(properties, history)
    if image:
        attempt.fallback = rollback.on_doubt(properties, image, history, "The stack's status was not read in time.")
    try:
        if rollback.is_rolling_back(event["StackId"], retry_budget.part(_STATUS_SHARE)):
            return rollback.restored(properties, history)
    except Fault as fault:
        # A good image is right in a rollback, too; only without a record does a bad one fail.
        return rollback.on_doubt(properties, image, history, fault.text) if image else None
    attempt.fallback = None
    return None


def _verified(
    event: Event,
    context: Context,
    properties: Properties,
    history: Sequence[VerifiedImage],
    retry_budget: RetryBudget,
) -> Response:
    report = _verify(properties, retry_budget)
    if report.verdict != "fail":
        return _accepted(properties, report, history)
    return _refused(event, properties, report, retry_budget, log_place(context))


def _verify(properties: Properties, retry_budget: RetryBudget) -> Report:
    source = EcrImage(
        aws.client("ecr", properties.names.region),
        repository_arn=properties.repository_arn,
        repository_uri=properties.repository_uri,
        tag=properties.tag,
        digest=properties.digest,
        retry_budget=retry_budget,
    )
    # Threads that read layers after the response would go on within the next event, and delay its layers.
    return verify(source, properties.policy, ends_at=retry_budget.ends_at)


def _refused(
    event: Event, properties: Properties, report: Report, retry_budget: RetryBudget, log_place: str
) -> Response:
    untagged, names = "", _names(event, properties, report)

    def verify_by(policy: Policy) -> Report:
        return _verify(replace(properties, policy=policy), retry_budget)

    # An Update may continue with the image that the tag references now, or roll back to it.
    if properties.on_failure is OnFailure.UNTAG and event["RequestType"] == "Create":
        untagging = untag(report, properties, event["StackId"], retry_budget, verify_by)
        untagged, names = untagging.message, replace(names, untagged=untagging.removed)
    entry = LogEntry(reason.refusal(report, properties, names, "", untagging=untagged), report_as_json(report, names))
    levels = [reason.refusal(report, properties, names, log_place, level, untagged) for level in reason.LEVELS]
    return Response("FAILED", levels, verdict="fail", size=report.image.size, log=[entry])


def _names(event: Event, properties: Properties, report: Report) -> Names:
    """The names of a refused image, with its digest and with the stack that `safe-image heal` reads.

    Where `heal` would keep the tag, the remedy has only the steps by hand.
    """
    names = properties.names.with_digest_of(report.image.top)
    if reason_to_keep([report], properties.tag, keeps_manifest=True):
        return names
    region, name = stack_of(event)
    return replace(names, stack=properties.stack_name or name, stack_region=region)


def _accepted(properties: Properties, report: Report, history: Sequence[VerifiedImage]) -> Response:
    # Where the policy never refuses, there may be no image at all.
    top, names = report.image.top, properties.names.with_digest_of(report.image.top)
    digest, media_type = (top.digest, top.media_type) if top else (properties.digest, "")
    image = VerifiedImage(properties.fingerprint, digest, report.image.size, media_type, len(report.image.layers))
    return Response(
        "SUCCESS",
        physical_id=physical_id([image, *history]),
        data=attributes(properties, image, warnings(report)),
        verdict="tolerated" if report.tolerated_errors else "pass",
        size=image.size,
        log=[LogEntry(reason.summary(report, properties, names), report_as_json(report, names))],
    )
