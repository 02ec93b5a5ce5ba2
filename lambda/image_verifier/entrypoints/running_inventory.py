"""The inventory of the images in use: a schedule reads the whole account, and events of ECS and Lambda one consumer.

An event whose consumer could not be read stays in the queue, and is delivered again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from ..custom_resource.events import Context
from ..in_use.readings import read_account, read_consumers
from ..in_use.watch_settings import VARIABLE, WatchSettings
from ..retry import RetryBudget

# Seconds that are kept for reporting.
_REPORTING: Final = 3.0


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Read the account, or the consumers of a batch of events.

    :param event: the schedule's event, or SQS's batch.
    :param context: the Lambda's context; its remaining time bounds the retries.
    :returns: for a batch, the messages that must be delivered again.
    :raises Fault: if the account cannot be read.
    """
    settings = WatchSettings.parse(os.environ[VARIABLE])
    retry_budget = RetryBudget.of(context.get_remaining_time_in_millis() / 1000 - _REPORTING)
    if "Records" not in event:
        read_account(settings, retry_budget)
        return {}
    records = event["Records"]
    failed = read_consumers([record["body"] for record in records], settings, retry_budget)
    return {"batchItemFailures": [{"itemIdentifier": records[position]["messageId"]} for position in failed]}
