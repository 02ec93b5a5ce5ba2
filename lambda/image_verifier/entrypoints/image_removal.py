"""Removals of images from ECR: a batch of events from SQS in, and the IDs of those that must be delivered again out.

If it is not known whether an image is in use, its event stays in the queue, and is delivered again; after the last
attempt it is in the dead-letter queue, whose alarm reports it. A doubt is therefore never silent.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from typing import Any, Final

from ..custom_resource import log
from ..custom_resource.events import Context
from ..custom_resource.layout import Reason, verbatim
from ..custom_resource.log import LogEntry
from ..faults import Fault
from ..in_use.removal_watch import RemovalWatch
from ..in_use.removals import Removal
from ..in_use.watch_settings import VARIABLE, WatchSettings
from ..retry import RetryBudget

# Seconds that are kept for reporting.
_REPORTING: Final = 3.0


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Handle one batch.

    :param event: SQS's batch.
    :param context: the Lambda's context; its remaining time bounds the retries.
    :returns: the messages that must be delivered again.
    """
    settings = WatchSettings.parse(os.environ[VARIABLE])
    failed: list[str] = []
    removals: list[Removal] = []
    for record in event["Records"]:
        try:
            removal = Removal.parse(record["body"], settings.partition, record["messageId"])
        except (ValueError, RecursionError) as e:
            log.note(f"An event was not read: {e}")
            failed.append(record["messageId"])
            continue
        if removal:
            removals.append(removal)
    watch = RemovalWatch(settings, RetryBudget.of(context.get_remaining_time_in_millis() / 1000 - _REPORTING))
    failed += [removal.message for removal in _handled(watch, removals)]
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def _handled(watch: RemovalWatch, removals: list[Removal]) -> list[Removal]:
    """The removals that must be delivered again."""
    try:
        return watch.handle(removals)
    except Fault as fault:
        log.note(f"It is not known which of {len(removals)} removed images are in use: {fault.text} {fault.advice}")
    except Exception as e:
        log.write(LogEntry(Reason(f"Removals were not handled: {type(e).__name__}: {e}")).lines())
        log.write(LogEntry(Reason("The trace:", verbatim(traceback.format_exc().splitlines()))).lines())
    return removals
