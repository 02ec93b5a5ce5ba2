"""A batch of removals: the inventory says in one call which are in use, and only for those is anything else called.

Before an alarm, ECR is asked what became of the image, and ECS or Lambda whether the consumer still uses it: the
inventory only says that it was seen with it. Where that cannot be read, the alarm is raised.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .. import aws
from ..audit.repository import Repository
from ..custom_resource import log, metrics
from ..faults import Fault
from ..retry import RetryBudget
from ..running.image_use import Consumer, ImageUse
from ..sources.ecr_image import any_status
from .announcement import Announcement, Outcome, User, announce
from .consumer_events import uses_of
from .image_keys import digest_key, tag_of
from .inventory import Inventory, Lookup
from .removals import Removal
from .watch_settings import WatchSettings

# An alarm names so many consumers; the number of all is in it.
_MAX_NAMED: Final = 20


@dataclass(frozen=True)
class RemovalWatch:
    """Handles removals.

    :param settings: the settings of the watch.
    :param retry_budget: for how long calls are retried.
    """

    settings: WatchSettings
    retry_budget: RetryBudget

    def handle(self, removals: Sequence[Removal]) -> list[Removal]:
        """Raise an alarm for each image in use.

        :param removals: the removals.
        :returns: those that could not be announced, or whose images may be in use.
        :raises Fault: if the inventory cannot be read.
        """
        if not removals:
            return []
        inventory = Inventory(self.settings, self.retry_budget)
        lookup = inventory.lookup(key for removal in removals for key in removal.keys)
        now = time.time()
        failed = [removal for removal in removals if not self._is_done(removal, inventory, lookup, now)]
        age = {"InventoryAge": round(lookup.age(now))} if lookup.read_at else {}
        raised = {"RemovalsUnknown": len(failed), **age}
        log.write([metrics.embedded(raised, at=now, stack=self.settings.guard)])
        return failed

    def _is_done(self, removal: Removal, inventory: Inventory, lookup: Lookup, now: float) -> bool:
        used = [key for key in removal.keys if key in lookup.used]
        try:
            is_settled = bool(used) and self._is_settled(removal, inventory, used)
        except Fault as fault:
            log.note(f"It is not known whether {removal.name} is in use: {fault.text} {fault.advice}")
            return False
        if not is_settled and not lookup.is_current(now):
            log.note(f"It is not known whether {removal.name} is in use: the inventory is missing or too old.")
        return is_settled or lookup.is_current(now)

    def _is_settled(self, removal: Removal, inventory: Inventory, keys: Iterable[str]) -> bool:
        """Raise the alarm, if consumers still use the image; False where none of the known ones does."""
        uses = [(key, use) for key in keys for use in inventory.uses(key)]
        if removal.is_push:
            found = _moved(removal, inventory, {use.consumer: use for _, use in uses}, self._status)
        else:
            # Who named the tag and runs another image by its digest, misses neither.
            missed = {
                use.consumer: use for key, use in uses if key != removal.tag_key or use.digest in ("", removal.digest)
            }
            found = _gone(removal, missed, self._status)
        if found is None:
            log.note(f"{removal.name} was removed and is there again, or nothing that uses it needs it.")
            return True
        outcome, missing = found
        key = removal.keys[0] if removal.is_push else digest_key(removal.repository, removal.digest)
        users = self._users(missing)
        if not users:
            log.note(f"{removal.name} was in use, and is no longer.")
            return False
        if not inventory.claim(key, removal.at, removal.message):
            log.note(f"{removal.name} is in use, which another event announces.")
            return True
        announce(Announcement(removal, outcome, users, len(missing)), self.settings, self.retry_budget)
        inventory.note_announcement(key, removal.at, removal.message)
        return True

    def _status(self, repository: Repository, digest: str) -> Mapping[str, Any] | None:
        """ECR's description of an image; None if there is no such image."""
        client = aws.client("ecr", repository.region)
        status = any_status(client)
        answer = aws.call(
            client,
            "describe_images",
            repository.arn,
            self.retry_budget,
            ("ImageNotFoundException", "RepositoryNotFoundException"),
            registryId=repository.registry_id,
            repositoryName=repository.name,
            imageIds=[{"imageDigest": digest}],
            **({"filter": status} if status else {}),
        )
        return next(iter(answer.get("imageDetails", ())), None)

    def _users(self, uses: Sequence[ImageUse]) -> list[User]:
        """The first consumers that still use the image, or may."""
        users: list[User] = []
        for known in uses:
            if len(users) == _MAX_NAMED:
                break
            try:
                current = [
                    use
                    for use in uses_of(known.consumer, self.settings.region, self.retry_budget)
                    if _is_same(known, use)
                ]
            except Fault as fault:
                log.note(f"{known.user} could not be read again: {fault.text}")
                users.append(User(known, is_confirmed=False))
            else:
                users += [User(use, is_confirmed=True) for use in current[:1]]
        return users


Status = Callable[[Repository, str], Mapping[str, Any] | None]
Known = Mapping[Consumer, ImageUse]


def _gone(removal: Removal, known: Known, status: Status) -> tuple[Outcome, list[ImageUse]] | None:
    """The fate of a removed image or tag, and the consumers that miss it; None if nobody does."""
    found = status(removal.repository, removal.digest)
    if found is None:
        return Outcome.DELETED, list(known.values())
    if found.get("imageStatus") == "ARCHIVED":
        return Outcome.ARCHIVED, list(known.values())
    if not removal.tag or removal.tag in found.get("imageTags", ()):
        return None
    # The image is there by its digest; who names the tag, misses the tag.
    uses = [use for use in known.values() if tag_of(use.reference) == removal.tag]
    return (Outcome.UNTAGGED, uses) if uses else None


def _moved(
    removal: Removal, inventory: Inventory, known: Known, status: Status
) -> tuple[Outcome, list[ImageUse]] | None:
    """The consumers that named a tag which now references another image; None if nobody misses it."""
    pushed = {use.consumer for use in inventory.uses(digest_key(removal.repository, removal.digest))}
    uses = []
    for use in known.values():
        if use.consumer in pushed or use.digest == removal.digest:
            continue
        # What runs by its digest misses the tag only if no other tag keeps the image.
        found = status(removal.repository, use.digest) if use.digest else None
        if not use.digest or not (found and found.get("imageTags")):
            uses.append(use)
    return (Outcome.RETAGGED, uses) if uses else None


def _is_same(known: ImageUse, use: ImageUse) -> bool:
    return use.digest == known.digest if known.digest else use.reference == known.reference
