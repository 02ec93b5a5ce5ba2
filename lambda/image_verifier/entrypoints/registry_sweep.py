"""A sweep over a registry: the three steps that a state machine calls.

Each raises what it cannot handle: the state machine retries it, then records the batch as unfinished or fails. The
execution's input may have the `id` of an earlier sweep, which is then resumed: what is written stays.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Final, Protocol

from .. import aws
from ..audit.sweep_summary import PAGE, SWEEP_ID
from ..custom_resource.events import Context
from ..registry.settings import VARIABLE, Settings
from ..retry import RetryBudget
from ..sweep.bucket import SweepBucket
from ..sweep.settings import VARIABLE as SWEEP_VARIABLE
from ..sweep.settings import SweepSettings, fingerprint
from ..sweep.store import SweepStore

# Seconds that are kept for writing the rows.
_WRITING: Final = 30.0
_ID_FORMAT: Final = "%Y-%m-%dT%H-%M-%SZ"


class SweepContext(Context, Protocol):
    """The part of the Lambda's context that is used."""

    invoked_function_arn: str


def list_images(event: Mapping[str, Any], context: SweepContext) -> dict[str, Any]:
    """List the images and the batches.

    :param event: `started`, the time at which the execution started, and its `input`.
    :param context: the Lambda's context, whose ARN has the account and the region.
    :returns: what the next steps need.
    :raises ValueError: if the input's `id` is not the ID of a sweep that can be resumed.
    """
    from ..audit.repository import Repository
    from ..sweep.plan import Plan

    started = datetime.fromisoformat(event["started"].replace("Z", "+00:00"))
    guard, sweep = _settings()
    identifier = str((event["input"] or {}).get("id") or started.strftime(_ID_FORMAT))
    if not SWEEP_ID.fullmatch(identifier):
        raise ValueError(f"id is {identifier!r}, which is not the ID of a sweep: use one such as 2026-11-28T13-30-00Z")
    _, partition, _, region, account, *_ = context.invoked_function_arn.split(":")
    store = _store(identifier, region)
    if not store.has_plan():
        latest = store.latest()
        place = Repository(partition, region, account, "*")
        Plan(store, store.other(latest if latest != identifier else None), place, guard, sweep).write()
    plan = store.plan()
    if plan["fingerprint"] != fingerprint(guard, sweep):
        raise ValueError(f"the rules or the verifier have changed since the sweep {identifier}: start a new one")
    return {
        "id": identifier,
        "reused": plan["reused"],
        "batches": plan["batches"],
        "items": store.items,
        "folder": store.folder,
    }


def verify_batch(event: Mapping[str, Any], context: SweepContext) -> Mapping[str, Any]:
    """Verify one batch.

    :param event: the answer of the first step as `sweep`, and the line of `items.jsonl` as `item`.
    :param context: the Lambda's context; its remaining time bounds the reading of layers.
    :returns: the number of rows.
    """
    from ..sweep.batch import Batch

    guard, sweep = _settings()
    store = _store(event["sweep"]["id"], context.invoked_function_arn.split(":")[3])
    ends_at = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _WRITING
    return Batch(store, store.other(event["sweep"]["reused"]), guard, sweep, ends_at).verify(event["item"])


def sum_up(event: Mapping[str, Any], context: SweepContext) -> Mapping[str, Any]:
    """Write the summary, and announce what is new; or record the error of a batch that failed in every attempt.

    :param event: the answer of the first step as `sweep`; for a failed batch also its `item` and its `failure`.
    :param context: the Lambda's context, whose ARN has the account.
    :returns: the counts; the number of the batch that failed.
    """
    from ..custom_resource.notifications import publish
    from ..sweep.notice import metrics_line, notice
    from ..sweep.summary import SumUp

    guard, sweep = _settings()
    _, _, _, region, account, *_ = context.invoked_function_arn.split(":")
    store = _store(event["sweep"]["id"], region)
    if "failure" in event:
        store.write_failure(event["item"]["batch"], event["failure"])
        return {"batch": event["item"]["batch"], "rows": None}
    started = datetime.strptime(store.id, _ID_FORMAT).replace(tzinfo=timezone.utc)
    summary = SumUp(store, guard, sweep, account, region).write(started)
    print(metrics_line(summary, time.time(), guard.guard))
    message = notice(summary, store.uri(PAGE))
    if message and guard.topic:
        publish(guard.topic, *message, RetryBudget.of(60))
    return {"id": store.id, **summary.counts, "new": summary.new.count, "gone": summary.gone.count}


def _settings() -> tuple[Settings, SweepSettings]:
    return Settings.parse(os.environ[VARIABLE]), SweepSettings.parse(os.environ[SWEEP_VARIABLE])


def _store(identifier: str, region: str) -> SweepStore:
    guard, _ = _settings()
    bucket = SweepBucket(aws.client("s3", region), guard.bucket, guard.partition)
    return SweepStore(bucket, guard.partition, guard.guard, identifier)
