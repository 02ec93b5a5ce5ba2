"""The readings that keep the inventory: of the whole account now and then, and of single consumers after events."""

from __future__ import annotations

import time
from collections.abc import Sequence

from .. import aws
from ..custom_resource import log, metrics
from ..faults import Fault
from ..retry import RetryBudget
from ..running.ecs_uses import uses_in_ecs
from ..running.image_use import Consumer, ImageUse
from ..running.lambda_uses import uses_in_lambda
from .consumer_events import parse, uses_of
from .entries import entries_of
from .inventory import Inventory
from .removal_watch import RemovalWatch
from .removals import Removal
from .watch_settings import WatchSettings


def read_account(settings: WatchSettings, retry_budget: RetryBudget) -> None:
    """Read all consumers of the account in this region into the inventory.

    An image that is in use and that ECR does not return is announced: its removal's event may have been lost.

    :param settings: the settings of the watch.
    :param retry_budget: for how long calls are retried.
    :raises Fault: if the reading is incomplete; the age of the inventory then grows.
    """
    inventory = Inventory(settings, retry_budget)
    try:
        in_ecs = uses_in_ecs(aws.client("ecs", settings.region))
        uses = [*in_ecs, *uses_in_lambda(aws.client("lambda", settings.region))]
        entries = entries_of(uses, settings)
        inventory.record(entries.rows)
        inventory.note_reading()
    except Fault as fault:
        log.note(f"The images in use are not known: {fault.text} {fault.advice}")
        _log_age(inventory, settings)
        raise
    # Not read from the table, which may return its older rows for a while, and has the time in whole seconds.
    _log(0, settings)
    log.note(f"{len({use.consumer for use in uses})} consumers use {len({use.pinned for use in uses})} images.")
    missing = [Removal(repository, digest) for repository, digest in entries.missing]
    if RemovalWatch(settings, retry_budget).handle(missing):
        raise Fault("An image in use is missing, and could not be announced")


def read_consumers(events: Sequence[str], settings: WatchSettings, retry_budget: RetryBudget) -> list[int]:
    """Read the consumers that events are about into the inventory, each once.

    :param events: the events, as JSON.
    :param settings: the settings of the watch.
    :param retry_budget: for how long calls are retried.
    :returns: the positions of the events whose consumers could not be read.
    """
    uses: dict[int, list[ImageUse]] = {}
    read: dict[Consumer, list[ImageUse] | None] = {}
    for position, text in enumerate(events):
        try:
            found = parse(text)
        except (ValueError, RecursionError) as e:
            log.note(f"An event was not read: {e}")
            continue
        if isinstance(found, Consumer):
            if found not in read:
                read[found] = _uses_of(found, settings.region, retry_budget)
            known = read[found]
        else:
            known = found
        if known is not None:
            uses[position] = known
    try:
        rows = entries_of(dict.fromkeys(use for some in uses.values() for use in some), settings).rows
        Inventory(settings, retry_budget).record(rows)
    except Fault as fault:
        log.note(f"The consumers of {len(events)} events are not in the inventory: {fault.text} {fault.advice}")
        return list(range(len(events)))
    return [position for position in range(len(events)) if position not in uses]


def _uses_of(consumer: Consumer, region: str, retry_budget: RetryBudget) -> list[ImageUse] | None:
    try:
        return uses_of(consumer, region, retry_budget)
    except Fault as fault:
        log.note(f"{consumer.kind.value} {consumer.name} could not be read: {fault.text} {fault.advice}")
        return None


def _log_age(inventory: Inventory, settings: WatchSettings) -> None:
    try:
        lookup = inventory.lookup(["none"])
    except Fault:
        # The alarm counts a missing age as too old.
        return
    if lookup.read_at:
        _log(round(lookup.age(time.time())), settings)


def _log(age: int, settings: WatchSettings) -> None:
    log.write([metrics.embedded({"InventoryAge": age}, at=time.time(), stack=settings.guard)])
