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

    :raises Fault: if CloudFormation does not report the stack's status.
    """
    client = aws.client("cloudformation", stack_id.split(":")[3])
    stacks = aws.call(client, "describe_stacks", stack_id, retry_budget, StackName=stack_id)["Stacks"]
    return "ROLLBACK" in stacks[0]["StackStatus"]


def recorded(properties: Properties, history: Sequence[VerifiedImage]) -> VerifiedImage | None:
    """The image that was verified with these very properties; None where the physical ID has no record of it."""
    return next((image for image in history if image.fingerprint == properties.fingerprint), None)


def restored(properties: Properties, history: Sequence[VerifiedImage]) -> Response:
    """The response in a rollback, which must succeed, even if the image no longer exists."""
    image = recorded(properties, history) or VerifiedImage(properties.fingerprint, properties.digest, 0, "", 0)
    line = f"Rolling back to {properties.uri(image.digest)}, which was verified before: its result is reused."
    return Response(
        "SUCCESS",
        physical_id=physical_id([image, *history]),
        data=attributes(properties, image, NO_WARNINGS),
        log=[LogEntry(Reason(line))],
    )
