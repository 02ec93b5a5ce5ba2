"""Step 1 of a sweep: the repositories, their tagged images, and the batches that the next step verifies.

The batches are listed by repository, as those of the sweep before were, so that both lists are read side by side and
memory holds the images of a few repositories only. Each batch names the batches of the sweep before that hold its
images: their verdicts may be reused. An image without such a batch counts towards the bounds; where they are met, it is
left out, and the next sweep begins with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Final

from .. import aws
from ..audit.batches import BATCH, Batches
from ..audit.repository import RETRY_SECONDS, Repository, list_repositories
from ..audit.row import audit_row
from ..deletion import policies_of_every_runtime
from ..faults import Fault
from ..outcome import ImageOutcome
from ..pool import Pool
from ..registry.settings import Settings
from ..retry import RetryBudget
from .settings import SweepSettings, fingerprint
from .store import SweepStore

# The repositories that are listed at once.
_REPOSITORIES: Final = 8

Item = dict[str, Any]
"""One batch, as a line of `items.jsonl`."""
Sizes = dict[str, int]
"""The digests of a repository's images, with their compressed sizes in bytes."""


@dataclass
class Plan:
    """Lists the batches of one sweep.

    :param store: the sweep.
    :param latest: the sweep that ended last; None for none.
    :param place: the registry, as a repository with the name `*`.
    :param guard: the settings of the guard.
    :param sweep: the settings of the sweep.
    """

    store: SweepStore
    latest: SweepStore | None
    place: Repository
    guard: Settings
    sweep: SweepSettings
    batches: int = 0
    repositories: int = 0
    _images: int = 0
    _bytes: int = 0
    _left_out: Counter[str] = field(default_factory=Counter)
    _unlisted: list[str] = field(default_factory=list)

    def write(self) -> None:
        """Write the list of the batches, and the plan.

        :raises Fault: if the repositories cannot be listed, or an object cannot be written.
        """
        known = fingerprint(self.guard, self.sweep)
        is_same = self.latest is not None and self.latest.plan().get("fingerprint") == known
        reused = self.latest if is_same and not self.sweep.everything else None
        self.store.write_plan(self._items(reused), lambda: self._plan(known, reused))

    def _plan(self, known: str, reused: SweepStore | None) -> Mapping[str, Any]:
        return {
            "batches": self.batches,
            "repositories": self.repositories,
            "fingerprint": known,
            "previous": self.latest.id if self.latest else None,
            "reused": reused.id if reused else None,
            "unlisted": self._unlisted,
            "bounds": {
                "max_images": self.sweep.max_images,
                "max_bytes": self.sweep.max_bytes if self.sweep.verify_layers else None,
                "is_met": bool(self._left_out),
                "left_out": dict(self._left_out),
            },
        }

    def _items(self, reused: SweepStore | None) -> Iterator[Item]:
        earlier = Earlier(reused.batches() if reused else ())
        client = aws.client("ecr", self.place.region)
        every = list(list_repositories(client, self.place))
        names = sorted(one for one in every if self.sweep.includes(one.name))
        self._unlisted = sorted({one.name for one in every} - {one.name for one in names})
        with Pool(_REPOSITORIES) as pool:
            for start in range(0, len(names), _REPOSITORIES):
                some = names[start : start + _REPOSITORIES]
                for repository, found in zip(some, pool.results(self._images_of, some), strict=True):
                    yield from self._items_of(repository, found, earlier.of(repository.name))

    def _images_of(self, repository: Repository) -> Sizes | Fault | None:
        """The images of a repository; None where it is not swept."""
        client = aws.client("ecr", repository.region)
        try:
            if self.sweep.tags and not self._has_tags(client, repository):
                return None
            details = Batches(client, repository).tagged()
            return {str(one["imageDigest"]): int(one.get("imageSizeInBytes", 0)) for one in details}
        except Fault as fault:
            return fault

    def _has_tags(self, client: Any, repository: Repository) -> bool:
        arn = repository.arn
        answer = aws.call(client, "list_tags_for_resource", arn, RetryBudget.of(RETRY_SECONDS), resourceArn=arn)
        tags = {str(tag["Key"]): str(tag["Value"]) for tag in answer["tags"]}
        return all(key in tags and value in ("", tags[key]) for key, value in self.sweep.tags.items())

    def _items_of(
        self, repository: Repository, found: Sizes | Fault | None, earlier: Mapping[str, int]
    ) -> Iterator[Item]:
        if found is None or isinstance(found, Fault):
            self._unlisted.append(repository.name)
        if found is None:
            return
        self.repositories += 1
        if isinstance(found, Fault):
            item = self._item(repository, [], ())
            policy = policies_of_every_runtime(verify_layers=False)[0]
            row = audit_row(repository.uri, ImageOutcome(repository.uri, policy, fault=found))
            self.store.bucket.write_lines(self.store.results(item["batch"]), [row])
            yield item
            return
        # The images of one earlier batch stay together.
        known = sorted((digest for digest in found if digest in earlier), key=lambda digest: earlier[digest])
        new = list(self._within_bounds(repository, {d: size for d, size in found.items() if d not in earlier}))
        for digests in _split([*known, *new], 1 if self.sweep.verify_layers else BATCH):
            previous = sorted({earlier[digest] for digest in digests if digest in earlier})
            yield self._item(repository, digests, previous)

    def _within_bounds(self, repository: Repository, images: Sizes) -> Iterator[str]:
        for digest, size in images.items():
            too_many = self._images >= self.sweep.max_images
            if too_many or (self.sweep.verify_layers and self._bytes + size > self.sweep.max_bytes):
                self._left_out[repository.name] += 1
                continue
            self._images += 1
            self._bytes += size
            yield digest

    def _item(self, repository: Repository, digests: list[str], previous: Iterable[int]) -> Item:
        self.batches += 1
        return {
            "batch": self.batches,
            "registry": repository.registry_id,
            "region": repository.region,
            "repository": repository.name,
            "digests": digests,
            "previous": list(previous),
        }


class Earlier:
    """The images of the sweep before, read in step with the repositories of this one.

    :param batches: its batches, by repository.
    """

    def __init__(self, batches: Iterable[Mapping[str, Any]]) -> None:
        self._groups = groupby(batches, key=itemgetter("repository"))
        self._group = next(self._groups, None)

    def of(self, repository: str) -> dict[str, int]:
        """The batch of each image of a repository; repositories are requested in their order."""
        while self._group and self._group[0] < repository:
            self._group = next(self._groups, None)
        if not self._group or self._group[0] != repository:
            return {}
        found = {str(digest): int(batch["batch"]) for batch in self._group[1] for digest in batch["digests"]}
        self._group = next(self._groups, None)
        return found


def _split(digests: list[str], size: int) -> Iterator[list[str]]:
    waiting = iter(digests)
    while batch := list(islice(waiting, size)):
        yield batch
