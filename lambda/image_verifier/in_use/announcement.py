"""The alarm for a removed image that is in use: an event, a message that says what happens next, and a metric."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from .. import aws
from ..custom_resource import log, metrics
from ..custom_resource.layout import Paragraph, Reason, prose, verbatim
from ..custom_resource.log import LogEntry
from ..custom_resource.notifications import publish, subject_line
from ..retry import RetryBudget
from ..running.image_use import ConsumerKind, ImageUse
from .removals import Removal
from .watch_settings import WatchSettings

SCHEMA_VERSION: Final = 1
EVENT_SOURCE: Final = "cdk-safe-image"
EVENT_TYPE: Final = "Image In Use Removed"
METRIC: Final = "InUseRemoved"


class Outcome(str, Enum):
    """The fate of an image in use."""

    DELETED = "deleted"
    """The image does not exist any longer."""
    ARCHIVED = "archived"
    """The image is in the archive, from which nothing is pulled."""
    UNTAGGED = "untagged"
    """The tag that a consumer names does not exist any longer."""
    RETAGGED = "retagged"
    """The tag that a consumer names references another image."""


@dataclass(frozen=True)
class User:
    """A consumer of the image.

    :param use: its use of the image.
    :param is_confirmed: whether it was read again and still uses the image.
    """

    use: ImageUse
    is_confirmed: bool


@dataclass(frozen=True)
class Announcement:
    """A removed image that is in use.

    :param removal: the removal.
    :param outcome: what became of the image.
    :param users: consumers that use it.
    :param number: the number of all consumers in the inventory.
    """

    removal: Removal
    outcome: Outcome
    users: Sequence[User]
    number: int


_GONE: Final = frozenset({Outcome.DELETED, Outcome.ARCHIVED})
# What happens to a consumer whose image cannot be pulled any longer.
# A function: https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html, StateReasonCode ImageDeleted
_NEXT: Final = {
    ConsumerKind.SERVICE: "ECS: running tasks continue. New tasks fail with CannotPullContainerError: when the service "
    "scales out, when a task is replaced, and when a deployment rolls back to this image.",
    ConsumerKind.TASK: "ECS: the running task continues. The same task cannot start again.",
    ConsumerKind.FUNCTION: "Lambda: the function continues until Lambda reads the image again. Then its state has the "
    "reason ImageDeleted, and invocations fail.",
}
_NEXT_OF_TAG: Final = (
    "Tasks and functions whose digest is known continue to run the old image. A lifecycle rule for untagged images "
    "would delete it. A new task that only has the tag gets another image, or none."
)


def announce(announcement: Announcement, settings: WatchSettings, retry_budget: RetryBudget) -> None:
    """Send the event, the message and the metric.

    :param announcement: the removed image, and who uses it.
    :param settings: the settings of the watch.
    :param retry_budget: for how long calls are retried.
    :raises Fault: if a call fails; what was done until then is done again at the next attempt.
    """
    text = reason(announcement)
    detail = event_detail(announcement)
    entry = {
        "Source": EVENT_SOURCE,
        "DetailType": EVENT_TYPE,
        "Detail": json.dumps(detail),
        "EventBusName": settings.bus,
        "Resources": [announcement.removal.repository.arn],
    }
    aws.call(aws.client("events", settings.region), "put_events", settings.bus, retry_budget, Entries=[entry])
    if settings.topic:
        title = f"Image in use {announcement.outcome.value}: {announcement.removal.name}"
        publish(settings.topic, subject_line(title), text, retry_budget)
    log.write(LogEntry(text, detail).lines())
    log.write([metrics.embedded({METRIC: 1}, at=time.time(), stack=settings.guard)])


def event_detail(announcement: Announcement) -> dict[str, Any]:
    """The detail of the event.

    :param announcement: the removed image, and who uses it.
    """
    removal = announcement.removal
    return {
        "schema_version": SCHEMA_VERSION,
        "account": removal.repository.registry_id,
        "region": removal.repository.region,
        "repository": removal.repository.name,
        "tag": removal.tag,
        "digest": removal.digest,
        "action": announcement.outcome.value,
        "used_by": [
            {
                "name": user.use.user,
                "reference": user.use.reference,
                "digest": user.use.digest,
                "runs_on": user.use.runtime,
                "confirmed": user.is_confirmed,
            }
            for user in announcement.users
        ],
        "consumers": announcement.number,
    }


def reason(announcement: Announcement) -> Reason:
    """The text for people.

    :param announcement: the removed image, and who uses it.
    """
    first, *others = announcement.users
    more = f" and {len(others)} more" if others else ""
    headline = (
        f"Image in use {announcement.outcome.value}: {announcement.removal.name}, used by {first.use.user}{more}."
    )
    return Reason(headline, tuple(_paragraphs(announcement)))


def _paragraphs(announcement: Announcement) -> Iterator[Paragraph]:
    yield from prose("Used by:")
    for user in announcement.users:
        doubt = "" if user.is_confirmed else " (could not be read again: it may have changed)"
        yield from prose(f"{user.use.user}, as {user.use.reference}{doubt}", "  ")
    if announcement.number > len(announcement.users):
        yield from prose(f"The inventory has {announcement.number} consumers of it in all.")
    yield from prose("Consequences:")
    if announcement.outcome in _GONE:
        for kind in dict.fromkeys(user.use.consumer.kind for user in announcement.users):
            yield from prose(_NEXT[kind], "  ")
    else:
        yield from prose(_NEXT_OF_TAG, "  ")
    yield from prose("To fix it:")
    yield from _remedy(announcement)


def _remedy(announcement: Announcement) -> Iterator[Paragraph]:
    removal = announcement.removal
    name, region = removal.repository.name, removal.repository.region
    place = f"--region {region} --repository-name {name}"
    if announcement.outcome is Outcome.ARCHIVED:
        yield from prose("Restore the image from the archive:", "  ")
        yield from verbatim(
            [
                f"aws ecr update-image-storage-class {place} "
                f"--image-id imageDigest={removal.digest} --target-storage-class STANDARD"
            ]
        )
    elif announcement.outcome is Outcome.DELETED:
        yield from prose(
            "Push the image with this digest again, from a machine, a cache or another registry that has it. If none "
            "has it, deploy the consumers with another image: a new build has another digest.",
            "  ",
        )
        yield from verbatim([f"crane copy SOURCE@{removal.digest} {removal.repository.uri}:restored"])
    else:
        digests = dict.fromkeys(user.use.digest for user in announcement.users if user.use.digest)
        yield from prose("Deploy the consumers with the new image, or give the old one a tag of its own:", "  ")
        for digest in digests:
            yield from verbatim(
                [
                    f"MANIFEST=$(aws ecr batch-get-image {place} --image-ids imageDigest={digest} "
                    "--query 'images[0].imageManifest' --output text) && aws ecr put-image "
                    f'{place} --image-tag in-use-{digest[7:19]} --image-digest {digest} --image-manifest "$MANIFEST"'
                ]
            )
    if announcement.outcome in _GONE:
        yield from prose("Correct the lifecycle rule, if one did it; it would do it again:", "  ")
        yield from verbatim([f"aws ecr get-lifecycle-policy {place}"])
