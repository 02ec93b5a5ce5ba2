"""The events of a CloudFormation stack's last operation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from image_verifier.faults import Fault

DEPLOYS: Final = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
"""The stack's own states that begin a deploy."""
OPERATIONS: Final = (*DEPLOYS, "DELETE_IN_PROGRESS", "REVIEW_IN_PROGRESS")
"""The stack's own states that begin an operation of any kind."""
# A stack of 500 resources that is updated and rolled back has some 4,000.
_MAX_EVENTS: Final = 10_000


def last_events(
    pages: Iterable[Mapping[str, Any]], stack: str, beginnings: Collection[str], advice: str = ""
) -> Iterator[Mapping[str, Any]]:
    """The events back to the one that begins the operation, newest first: a rollback may put pages before a failure.

    :param pages: the answers of DescribeStackEvents.
    :param stack: the stack, for messages.
    :param beginnings: the stack's own states that begin the operation.
    :param advice: the advice if there are too many.
    :raises Fault: if the operation has more events than any has.
    """
    seen = 0
    for page in pages:
        if seen >= _MAX_EVENTS:
            raise Fault(f"The last operation of {stack} has more than {_MAX_EVENTS:,} events", advice)
        for event in page["StackEvents"]:
            seen += 1
            yield event
            # In a stack's own events, the physical ID is its own ID.
            if event.get("PhysicalResourceId") == event.get("StackId") and event.get("ResourceStatus") in beginnings:
                return
