"""Removal: an image that ECR says was deleted or archived, or a tag that was removed or moved.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..audit.repository import Repository
from ..image.model import is_digest
from ..image.references import REJECTED_TAGS
from .image_keys import digest_key, tag_key

SOURCE: Final = "aws.ecr"
DETAIL_TYPE: Final = "ECR Image Action"
PUSH: Final = "PUSH"


@dataclass(frozen=True)
class Removal:
    """An action on an image after which its consumers may miss it.

    ECR itself is asked what became of the image, so that the name of the action does not matter: only a push is
    something else, since it moves a tag.

    :param repository: the repository.
    :param digest: the image; of a push, the image that was pushed.
    :param tag: the tag that was removed or moved; empty where the image itself was.
    :param is_push: whether it is a push.
    :param at: when it happened, in seconds since 1970; 0 where that is not known.
    :param message: the ID of the queue's message that reports it; empty for one that a reading finds.
    """

    repository: Repository
    digest: str
    tag: str = ""
    is_push: bool = False
    at: float = 0.0
    message: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the images whose consumers may miss them."""
        tagged = (self.tag_key,) if self.tag else ()
        return tagged if self.is_push else (digest_key(self.repository, self.digest), *tagged)

    @property
    def tag_key(self) -> str:
        """The key of the image by the tag; empty where there is no tag."""
        return tag_key(self.repository, self.tag) if self.tag else ""

    @property
    def name(self) -> str:
        """The image, for messages."""
        return f"{self.repository.name}{f':{self.tag}' if self.tag else ''}@{self.digest}"

    @classmethod
    def parse(cls, text: str, partition: str, message: str = "") -> Removal | None:
        """The removal in an event; None where no consumer can miss anything.

        :param text: the event, as JSON.
        :param partition: the partition of the account.
        :param message: the ID of the queue's message.
        :raises ValueError: if it is not an event of ECR.
        """
        event = json.loads(text)
        if not isinstance(event, dict) or event.get("source") != SOURCE or event.get("detail-type") != DETAIL_TYPE:
            raise ValueError(f"it is not an event of {SOURCE} of the type {DETAIL_TYPE!r}")
        detail = event.get("detail")
        if not isinstance(detail, dict):
            raise ValueError("it has no detail")
        tag, is_push = str(detail.get("image-tag") or ""), detail.get("action-type") == PUSH
        if detail.get("result") != "SUCCESS" or (is_push and not tag) or tag.startswith(REJECTED_TAGS):
            return None
        digest = _text(detail, "image-digest")
        if not is_digest(digest):
            raise ValueError(f"its image-digest is {digest!r}")
        place = Repository(partition, _text(event, "region"), _text(event, "account"), _text(detail, "repository-name"))
        # Python before 3.11 does not read the Z.
        time = datetime.fromisoformat(_text(event, "time").replace("Z", "+00:00"))
        return cls(place, digest, tag, is_push, time.timestamp(), message)


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not found:
        raise ValueError(f"its {name} is {found!r}")
    return found
