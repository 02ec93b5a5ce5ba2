"""The incident of a stack, from all events of its last operation."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from image_verifier.faults import Fault

from safe_image.incident.aws_reader import AwsReader
from safe_image.incident.stack import stack_incident
from safe_image.sources.aws_sessions import AwsSessions
from tests.unit.aws_server import ACCOUNT, REGION, serving_aws

STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Shop/1"


def event(status: str, kind: str = "AWS::SQS::Queue", resource: str = "queue") -> dict[str, Any]:
    names = {"StackId": STACK, "StackName": "Shop", "EventId": "e", "Timestamp": "2026-01-01T00:00:00Z"}
    reason = "no such queue" if status.endswith("_FAILED") else ""
    return {
        **names,
        "LogicalResourceId": "Q",
        "PhysicalResourceId": resource,
        "ResourceType": kind,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


def begun() -> dict[str, Any]:
    return event("UPDATE_IN_PROGRESS", "AWS::CloudFormation::Stack", STACK)


def test_a_failure_behind_a_page_of_the_rollbacks_events_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {
        "": {"StackEvents": [event("UPDATE_COMPLETE")] * 100, "NextToken": "older"},
        "older": {"StackEvents": [event("UPDATE_FAILED"), begun()], "NextToken": "an earlier operation"},
    }
    with serving_aws() as aws:
        aws.use(monkeypatch)
        aws.answers["DescribeStackEvents"] = lambda asked: pages[asked.get("NextToken", "")]
        incident = stack_incident(AwsReader(AwsSessions()), "Shop")
    assert (incident.state, [failure.text for failure in incident.failures]) == ("failed", ["no such queue"])


def test_events_that_never_end_are_a_fault_and_no_healthy_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_aws() as aws:
        aws.use(monkeypatch)
        pages, events = itertools.count(), [event("UPDATE_COMPLETE")] * 2500
        aws.answers["DescribeStackEvents"] = lambda _: {"StackEvents": events, "NextToken": str(next(pages))}
        with pytest.raises(Fault, match="more than 10,000 events"):
            stack_incident(AwsReader(AwsSessions()), "Shop")
