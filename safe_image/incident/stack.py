"""A CloudFormation stack: the first resource that failed in its last operation, and what failed behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from image_verifier.faults import Fault

from ..sources.stack_events import OPERATIONS, last_events
from .aws_reader import AwsReader
from .ecs_service import service_incident
from .incident import Failure, Incident
from .lambda_function import function_incident

_STACK: Final = "AWS::CloudFormation::Stack"
# The resources that CloudFormation gave up after another one had failed.
_CANCELLED: Final = ("Resource creation cancelled", "Resource update cancelled")
_MOST_NESTED: Final = 5

Event = Mapping[str, Any]


def stack_incident(reader: AwsReader, name: str, depth: int = 0) -> Incident:
    """The incident of a stack.

    :param reader: reads from AWS.
    :param name: the stack's name; its ARN where the stack was deleted.
    :param depth: how many stacks this one is nested in.
    :raises Fault: if the stack's events cannot be read.
    """
    failures = _failures(_events(reader, name))
    subject = f"stack {name}"
    if not failures:
        return Incident(subject, "healthy", proof=("Nothing failed in the last operation.",), notes=tuple(reader.notes))
    first = failures[0]
    proof = f"{first['LogicalResourceId']} ({first['ResourceType']}): {first.get('ResourceStatusReason', '')}"
    behind = _behind(reader, first, depth)
    if behind:
        return replace(behind, subject=f"{subject}: {behind.subject}", proof=(proof, *behind.proof))
    text = str(first.get("ResourceStatusReason", ""))
    runs_on = "lambda" if first["ResourceType"] == "AWS::Lambda::Function" else "fargate"
    return Incident(
        subject,
        "failed",
        (Failure(first["LogicalResourceId"], text),),
        runs_on,
        proof=(proof,),
        notes=tuple(reader.notes),
    )


def _events(reader: AwsReader, name: str) -> Iterator[Event]:
    """The events of a stack's last operation, newest first."""
    tokens = ("NextToken", "NextToken")
    pages = reader.pages("cloudformation", "describe_stack_events", name, tokens, StackName=name)
    return last_events(pages, name, OPERATIONS)


def _failures(events: Iterable[Event]) -> list[Event]:
    """The failures of an operation, the first first.

    :param events: its events, the newest first.
    """
    found: list[Event] = []
    for event in events:
        status = str(event.get("ResourceStatus", ""))
        own = event.get("PhysicalResourceId") == event.get("StackId")
        cancelled = str(event.get("ResourceStatusReason", "")).startswith(_CANCELLED)
        if status.endswith("_FAILED") and not own and not cancelled:
            found.append(event)
    return found[::-1]


def _behind(reader: AwsReader, event: Event, depth: int) -> Incident | None:
    """The incident of the resource itself; None where the event says all there is."""
    kind, resource = event["ResourceType"], str(event.get("PhysicalResourceId", ""))
    try:
        if kind == _STACK and resource and depth < _MOST_NESTED:
            return stack_incident(reader, resource, depth + 1)
        if kind == "AWS::ECS::Service" and ":service/" in resource:
            cluster, _, service = resource.partition(":service/")[2].rpartition("/")
            return _if_failed(service_incident(reader, cluster or "default", service))
        if kind == "AWS::Lambda::Function" and resource and event["ResourceStatus"] == "UPDATE_FAILED":
            return _if_failed(function_incident(reader, resource))
    except Fault as e:
        # A rollback deletes what it created, and the event remains.
        reader.notes.append(f"The resource itself could not be read. {e.text}")
    return None


def _if_failed(incident: Incident) -> Incident | None:
    return incident if incident.state == "failed" else None
