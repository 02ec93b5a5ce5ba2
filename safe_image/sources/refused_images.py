"""The images that the last deploy of a CloudFormation stack refused, as its events report them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from image_verifier import aws
from image_verifier.custom_resource.properties import Properties
from image_verifier.custom_resource.schema import RESOURCE_TYPE
from image_verifier.retry import RetryBudget

from ..errors import UsageError
from .aws_sessions import AwsSessions
from .stack_events import DEPLOYS, last_events
from .targets import Target, TargetResolver

_STACK_TYPE: Final = "AWS::CloudFormation::Stack"
_FAILED: Final = ("CREATE_FAILED", "UPDATE_FAILED")
_MAX_DEPTH: Final = 10
_TOKENS: Final = ("NextToken", "NextToken")
# For how long transient errors of each call are retried, in seconds.
_budget: Final = partial(RetryBudget.of, 30.0)


def refused_images(stack: str, resolver: TargetResolver) -> Iterator[Target]:
    """The images that the last deploy of a stack, or of a stack nested in it, refused.

    Each is there once for every policy by which that deploy verified it, also for one that accepts it.

    :param stack: the stack's name or ARN, also of a deleted stack.
    :param resolver: makes targets of references.
    :raises UsageError: if the stack does not exist, or its last deploy refused no image.
    :raises Fault: if CloudFormation cannot be called.
    """
    verified: list[tuple[Properties, str]] = []
    refused: set[str] = set()
    for event in _verifications(stack, resolver.sessions):
        # Another release may have written properties that this one cannot read.
        with suppress(ValueError):
            found = (Properties.parse(_resource_properties(event)), str(event["StackId"]))
            if found not in verified:
                verified.append(found)
            if event["ResourceStatus"] in _FAILED:
                refused.add(found[0].names.reference)
    if not refused:
        raise UsageError(f"the last deploy of {stack} refused no image: see the stack's events, or pass the image")
    for properties, stack_id in verified:
        if properties.names.reference not in refused:
            continue
        names = properties.names
        target = resolver.target(names.reference, names.platform)
        yield replace(target, names=names, policy=properties.policy, stack=stack_id)


def _verifications(
    stack: str, sessions: AwsSessions, depth: int = 0, begun: datetime | None = None
) -> Iterator[Mapping[str, Any]]:
    """The events of the verifications in a stack's last deploy, and in the stacks nested in it.

    Also those of nested stacks that did not fail: their verifications may accept an image that another one refused.

    :param begun: when the deploy of the stack above began; None where there is none. A nested stack that did not change
        has no later events.
    """
    nested, first = [], begun
    for event in _events(stack, sessions):
        if begun and event["Timestamp"] < begun:
            break
        if event["ResourceType"] == RESOURCE_TYPE:
            yield event
        # In a stack's own events, the physical ID is its own ID.
        elif event["ResourceType"] == _STACK_TYPE and event.get("PhysicalResourceId") not in (
            "",
            None,
            event["StackId"],
        ):
            nested.append(event["PhysicalResourceId"])
        first = event["Timestamp"]
    if depth < _MAX_DEPTH:
        for inner in dict.fromkeys(nested):
            yield from _verifications(inner, sessions, depth + 1, first)


def _events(stack: str, sessions: AwsSessions) -> Iterator[Mapping[str, Any]]:
    """The events of a stack's last deploy, newest first."""
    # Events that are left out might be of an earlier verification, which accepted the image.
    advice = "Pass the image, and --runs-on for each runtime that uses it."
    return last_events(_pages_of_events(sessions.client("cloudformation"), stack), stack, DEPLOYS, advice)


def _pages_of_events(client: Any, stack: str) -> Iterator[Mapping[str, Any]]:
    """The pages of a stack's events."""

    def pages(name: str, *missing: str) -> Iterator[Mapping[str, Any]]:
        return aws.pages(client, "describe_stack_events", name, _budget, _TOKENS, missing, StackName=name)

    found = pages(stack, "ValidationError")
    first = next(found, None)
    if first is None:
        # CloudFormation knows a deleted stack by its ARN alone.
        yield from pages(_deleted_stack(client, stack))
    else:
        yield first
        yield from found


def _deleted_stack(client: Any, name: str) -> str:
    """The ARN of the stack that had this name and was deleted last.

    :raises UsageError: if there was none within 90 days, for which CloudFormation lists deleted stacks.
    """
    pages = aws.pages(client, "list_stacks", name, _budget, _TOKENS, StackStatusFilter=["DELETE_COMPLETE"])
    found = [stack for page in pages for stack in page["StackSummaries"] if stack["StackName"] == name]
    if not found:
        raise UsageError(
            f"there is no stack {name!r} in this account and region, nor was one deleted in the last 90 days: check "
            "--profile and --region, or pass the image"
        )
    return str(max(found, key=lambda stack: stack["DeletionTime"])["StackId"])


def _resource_properties(event: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        properties = json.loads(event.get("ResourceProperties") or "{}")
    except (ValueError, RecursionError):
        return {}
    return properties if isinstance(properties, dict) else {}
