"""A Create or an Update: the image is verified, and the verdict becomes the response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from .. import aws
from ..faults import Fault
from ..policy import Policy
from ..report import Report
from ..report_json import report_as_json
from ..retry import RetryBudget
from ..sources.ecr_image import EcrImage
from ..verify import verify
from . import reason, rollback
from .attributes import attributes, warnings
from .events import Context, Event, log_place
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


def respond(event: Event, context: Context, seconds: float) -> Response:
    """The response to a Create or an Update.

    :param seconds: the time that there is for it.
    """
    try:
        properties = Properties.parse(event["ResourceProperties"])
    except ValueError as e:
        return unknown(Reason(f"The properties of this Custom::ImageVerification are wrong: {e}."))
    retry_budget = RetryBudget.of(seconds - _REPORTING, denied_seconds=_PROPAGATION)
    try:
        return _verified_or_restored(event, context, properties, retry_budget)
    except Fault as fault:
        return unknown(
            reason.doubt(fault, properties, log_place(context)),
            reference=properties.names.reference,
            fault={"message": fault.message, "advice": fault.advice},
        )


def _verified_or_restored(
    event: Event, context: Context, properties: Properties, retry_budget: RetryBudget
) -> Response:
    history = records_of(event.get("PhysicalResourceId", ""))
    no_status = None
    if event["RequestType"] == "Update":
        try:
            if rollback.is_rolling_back(event["StackId"], retry_budget.part(_STATUS_SHARE)):
                return rollback.restored(properties, history)
        except Fault as fault:
            no_status = fault
    report = _verify(properties, retry_budget)
    if report.verdict != "fail":
        return _accepted(properties, report, history)
    # An image that was verified before and is bad now may be what a rollback leads back to, which must succeed.
    if no_status and rollback.recorded(properties, history):
        raise no_status
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
    untagged, names = "", properties.names

    def verify_by(policy: Policy) -> Report:
        return _verify(replace(properties, policy=policy), retry_budget)

    # An Update may continue with the image that the tag references now, or roll back to it.
    if properties.on_failure is OnFailure.UNTAG and event["RequestType"] == "Create":
        untagging = untag(report, properties, event["StackId"], retry_budget, verify_by)
        untagged, names = untagging.message, replace(names, untagged=untagging.removed)
    entry = LogEntry(reason.refusal(report, properties, names, "", untagging=untagged), report_as_json(report, names))
    levels = [reason.refusal(report, properties, names, log_place, level, untagged) for level in reason.LEVELS]
    return Response("FAILED", levels, verdict="fail", size=report.image.size, log=[entry])


def _accepted(properties: Properties, report: Report, history: Sequence[VerifiedImage]) -> Response:
    # Where the policy never refuses, there may be no image at all.
    top = report.image.top
    digest, media_type = (top.digest, top.media_type) if top else (properties.digest, "")
    image = VerifiedImage(properties.fingerprint, digest, report.image.size, media_type, len(report.image.layers))
    return Response(
        "SUCCESS",
        physical_id=physical_id([image, *history]),
        data=attributes(properties, image, warnings(report)),
        verdict="tolerated" if report.tolerated_errors else "pass",
        size=image.size,
        log=[LogEntry(reason.summary(report, properties), report_as_json(report, properties.names))],
    )
