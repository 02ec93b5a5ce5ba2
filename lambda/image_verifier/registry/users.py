"""The consumers of an image that no rule is about, as the inventory of the images in use knows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..audit.repository import Repository
from ..image.model import Platform
from ..in_use.image_keys import tag_key
from ..in_use.inventory import Inventory
from ..in_use.watch_settings import WatchSettings
from ..policy import Policy
from ..retry import RetryBudget
from ..rules.runtimes import RUNTIMES
from ..running.image_use import ImageUse
from .settings import Settings


@dataclass(frozen=True)
class Users:
    """The consumers of a tag, or else of its repository.

    :param uses: their uses; empty if none is known.
    :param of_tag: whether they name the tag itself.
    """

    uses: Sequence[ImageUse] = ()
    of_tag: bool = False

    @property
    def description(self) -> str:
        """The consumers, for people: `ECS service prod/web, which uses the tag`."""
        first, *others = dict.fromkeys(use.user for use in self.uses)
        more = f" and {len(others)} more" if others else ""
        return f"{first}{more}, by the {'tag' if self.of_tag else 'repository'}"

    def policies(self, *, verify_layers: bool) -> list[list[Policy]]:
        """The policies of each kind of consumer: where its platform is not known, it is content with one of several.

        :param verify_layers: whether every layer is read.
        """
        places: dict[tuple[str, tuple[str, ...]], None] = {}
        for use in self.uses:
            known = tuple(RUNTIMES[use.runtime].platforms)
            places[use.runtime, (use.platform,) if use.platform in known else known] = None
        return [
            [Policy((runtime,), Platform.parse(platform), verify_layers=verify_layers) for platform in platforms]
            for runtime, platforms in places
        ]


NO_USERS: Final = Users()


def users_of(repository: Repository, tag: str, settings: Settings, retry_budget: RetryBudget) -> Users:
    """The consumers of a tag, or else those of its repository.

    :param repository: the repository.
    :param tag: the tag.
    :param settings: the guard's settings; without an inventory, no consumer is known.
    :param retry_budget: for how long calls are retried.
    :raises Fault: if the inventory cannot be read.
    """
    if not settings.inventory:
        return NO_USERS
    account, region = repository.registry_id, repository.region
    watch = WatchSettings(settings.guard, settings.partition, account, region, settings.inventory)
    inventory = Inventory(watch, retry_budget)
    for key, of_tag in ((tag_key(repository, tag), True), (repository.arn, False)):
        uses = [use for use in inventory.uses(key) if not use.is_for_windows]
        if uses:
            return Users(uses, of_tag)
    return NO_USERS
