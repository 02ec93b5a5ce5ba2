"""Removal: an image that ECR says was deleted or archived, or a tag that was removed or moved.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html
"""

from __future__ import annotations

from dataclasses import dataclass

from ..audit.repository import Repository
from ..image import ecr_events
from ..image.model import is_digest
from ..image.references import REJECTED_TAGS
from .image_keys import digest_key, tag_key


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
        event, detail = ecr_events.event_and_detail(text)
        tag, is_push = str(detail.get("image-tag") or ""), detail.get("action-type") == ecr_events.PUSH
        if detail.get("result") != "SUCCESS" or (is_push and not tag) or tag.startswith(REJECTED_TAGS):
            return None
        digest = ecr_events.text_in(detail, "image-digest")
        if not is_digest(digest):
            raise ValueError(f"its image-digest is {digest!r}")
        place = Repository(
            partition,
            ecr_events.text_in(event, "region"),
            ecr_events.text_in(event, "account"),
            ecr_events.text_in(detail, "repository-name"),
        )
        return cls(place, digest, tag, is_push, ecr_events.time_of(event), message)
