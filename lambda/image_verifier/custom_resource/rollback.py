"""Rollbacks: an Update that leads back to an earlier image reuses its recorded result, and never fails."""

from __future__ import annotations

from collections.abc import Sequence

from .. import aws
from ..retry import RetryBudget
from .attributes import NO_WARNINGS, attributes
from .layout import Reason
from .log import LogEntry
from .physical_id import VerifiedImage, physical_id
from .properties import Properties
from .response import Response


def is_rolling_back(stack_id: str, retry_budget: RetryBudget) -> bool:
    """Whether the stack is rolling back, which the event itself does not say.

    A rollback that has ended stays in the status until the next update has ended:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html

    :raises Fault: if CloudFormation does not report the stack's status.
    """
    client = aws.client("cloudformation", stack_id.split(":")[3])
    stacks = aws.call(client, "describe_stacks", stack_id, retry_budget, StackName=stack_id)["Stacks"]
    status: str = stacks[0]["StackStatus"]
    return "ROLLBACK" in status and status.endswith("_IN_PROGRESS")


def recorded(properties: Properties, history: Sequence[VerifiedImage]) -> VerifiedImage | None:
    """The image that was verified with these very properties; None where the physical ID has no record of it."""
    return next((image for image in history if image.fingerprint == properties.fingerprint), None)


def restored(properties: Properties, history: Sequence[VerifiedImage]) -> Response:
    """The response in a rollback, which must succeed, even if the image no longer exists."""
    image = recorded(properties, history)
    if image:
        line = f"Rolling back to {properties.uri(image.digest)}, which was verified before: its result is reused."
        return _reused(properties, image, history, line)
    uri = properties.uri(properties.digest)
    return Response(
        "SUCCESS",
        data=attributes(properties, VerifiedImage("", properties.digest, 0, "", 0), NO_WARNINGS),
        log=[LogEntry(Reason(f"Rolling back to {uri}. It was not verified: a rollback must not fail."))],
    )


def on_doubt(properties: Properties, image: VerifiedImage, history: Sequence[VerifiedImage], why: str) -> Response:
    """The response where the stack may be rolling back, and the image was verified with these very properties.

    This is the only success on a doubt: a failure here would leave a stack that is rolling back in
    UPDATE_ROLLBACK_FAILED.

    :param why: why the stack's status is not known, as a sentence.
    """
    line = f"{properties.uri(image.digest)} was verified before, with the same policy: its result is reused. {why}"
    return _reused(properties, image, history, line)


def _reused(properties: Properties, image: VerifiedImage, history: Sequence[VerifiedImage], line: str) -> Response:
    return Response(
        "SUCCESS",
        physical_id=physical_id([image, *history]),
        data=attributes(properties, image, NO_WARNINGS),
        log=[LogEntry(Reason(line))],
    )
