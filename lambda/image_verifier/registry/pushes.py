"""A push to ECR, as EventBridge reports it: https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html"""

from __future__ import annotations

from dataclasses import dataclass

from ..image import ecr_events
from ..image.model import is_digest
from ..image.references import REJECTED_TAGS


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
        event, detail = ecr_events.event_and_detail(text)
        tag = detail.get("image-tag") or ""
        if detail.get("action-type") != ecr_events.PUSH or detail.get("result") != "SUCCESS" or not tag:
            return None
        if str(tag).startswith(REJECTED_TAGS):
            return None
        push = cls(
            account=ecr_events.text_in(event, "account"),
            region=ecr_events.text_in(event, "region"),
            repository=ecr_events.text_in(detail, "repository-name"),
            digest=ecr_events.text_in(detail, "image-digest"),
            tag=ecr_events.text_in(detail, "image-tag"),
            message=message,
            at=ecr_events.time_of(event),
        )
        if not is_digest(push.digest):
            raise ValueError(f"its image-digest is {push.digest!r}")
        return push
