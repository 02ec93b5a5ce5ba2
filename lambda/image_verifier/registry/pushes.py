"""A push to ECR, as EventBridge reports it: https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..image.model import is_digest
from ..image.references import REJECTED_TAGS

SOURCE: Final = "aws.ecr"
DETAIL_TYPE: Final = "ECR Image Action"


@dataclass(frozen=True)
class Push:
    """A tag that now references an image.

    :param account: the account that owns the repository.
    :param region: the region of the repository.
    :param repository: the repository's name.
    :param digest: the digest that was pushed.
    :param tag: the tag.
    :param message: the ID of the queue's message that reports it.
    :param at: when it happened, in seconds since 1970.
    """

    account: str
    region: str
    repository: str
    digest: str
    tag: str
    message: str = ""
    at: float = 0.0

    @classmethod
    def parse(cls, text: str, message: str = "") -> Push | None:
        """The push in an event; None where there is nothing to verify.

        Each manifest of an index is pushed without a tag before the index is, and is verified with the index. A tag of
        a rejected image is our own.

        :param text: the event, as JSON.
        :param message: the ID of the queue's message.
        :raises ValueError: if it is not an event of ECR.
        """
        event = json.loads(text)
        if not isinstance(event, dict) or event.get("source") != SOURCE or event.get("detail-type") != DETAIL_TYPE:
            raise ValueError(f"it is not an event of {SOURCE} of the type {DETAIL_TYPE!r}")
        detail = event.get("detail")
        if not isinstance(detail, dict):
            raise ValueError("it has no detail")
        tag = detail.get("image-tag") or ""
        if detail.get("action-type") != "PUSH" or detail.get("result") != "SUCCESS" or not tag:
            return None
        if str(tag).startswith(REJECTED_TAGS):
            return None
        push = cls(
            account=_text(event, "account"),
            region=_text(event, "region"),
            repository=_text(detail, "repository-name"),
            digest=_text(detail, "image-digest"),
            tag=_text(detail, "image-tag"),
            message=message,
            # Python before 3.11 does not read the Z.
            at=datetime.fromisoformat(_text(event, "time").replace("Z", "+00:00")).timestamp(),
        )
        if not is_digest(push.digest):
            raise ValueError(f"its image-digest is {push.digest!r}")
        return push


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not found:
        raise ValueError(f"its {name} is {found!r}")
    return found
