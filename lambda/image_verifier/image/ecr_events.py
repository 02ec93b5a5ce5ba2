"""The event that ECR sends for an action on an image, read as its users need it.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

SOURCE: Final = "aws.ecr"
DETAIL_TYPE: Final = "ECR Image Action"
PUSH: Final = "PUSH"


def event_and_detail(text: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The members of an event, and of its detail.

    :param text: the event, as JSON.
    :raises ValueError: if it is not an event of ECR.
    """
    event = json.loads(text)
    if not isinstance(event, dict) or event.get("source") != SOURCE or event.get("detail-type") != DETAIL_TYPE:
        raise ValueError(f"it is not an event of {SOURCE} of the type {DETAIL_TYPE!r}")
    detail = event.get("detail")
    if not isinstance(detail, dict):
        raise ValueError("it has no detail")
    return event, detail


def text_in(members: Mapping[str, Any], name: str) -> str:
    """A member that must be a text.

    :param members: those of an event or of its detail.
    :param name: the member's name.
    :raises ValueError: if there is none, or it is empty.
    """
    found = members.get(name)
    if not isinstance(found, str) or not found:
        raise ValueError(f"its {name} is {found!r}")
    return found


def time_of(event: Mapping[str, Any]) -> float:
    """The time of the action, in seconds since 1970.

    :param event: the event's members.
    :raises ValueError: if there is none.
    """
    # Python before 3.11 does not read the Z.
    return datetime.fromisoformat(text_in(event, "time").replace("Z", "+00:00")).timestamp()
