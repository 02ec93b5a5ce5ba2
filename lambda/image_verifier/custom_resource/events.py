"""The input of the Lambda: CloudFormation's event, and the Lambda's own context."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

from .schema import Property

# An event of a custom resource:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
Event = Mapping[str, Any]

# Seconds that pass before the Lambda runs.
_STARTING: Final = 30.0


class Context(Protocol):
    """The part of the Lambda's context that is used."""

    log_group_name: str
    log_stream_name: str

    def get_remaining_time_in_millis(self) -> int:
        """The time until the Lambda is ended, in milliseconds."""


def properties_of(event: Event) -> Mapping[str, Any]:
    """The resource's properties as CloudFormation sends them; empty where there are none."""
    return event.get("ResourceProperties") or {}


def stack_of(event: Event) -> tuple[str, str]:
    """(region, name) of the stack that has the resource; a nested stack has a name of its own."""
    _, _, _, region, _, path = str(event["StackId"]).split(":", 5)
    return region, path.split("/")[1]


def seconds_left(event: Event, context: Context) -> float:
    """The time in which CloudFormation must have its response, in seconds.

    CloudFormation may wait less than the Lambda can run, which several stacks may share.
    """
    own = context.get_remaining_time_in_millis() / 1000 - 1
    try:
        timeout = float(properties_of(event)[Property.SERVICE_TIMEOUT]) - _STARTING
    except (KeyError, TypeError, ValueError):
        timeout = math.inf
    return min(own, timeout)


def log_place(context: Context) -> str:
    """Where the log of this event is, for messages."""
    return f"log group {context.log_group_name}, stream {context.log_stream_name}"
