"""Pushes to ECR: a batch of EventBridge's events from SQS in, and the IDs of those that must be delivered again out.

A push that could not be judged stays in the queue, and is delivered again; after the queue's last attempt it is in the
dead-letter queue, whose alarm says so. A doubt is therefore never silent, and one bad event does not stop the others.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Mapping
from typing import Any, Final

from ..custom_resource import log, metrics
from ..custom_resource.events import Context
from ..custom_resource.layout import Reason, verbatim
from ..custom_resource.log import LogEntry
from ..faults import Fault
from ..registry.pushes import Push
from ..registry.settings import VARIABLE, Settings
from ..retry import RetryBudget

# Seconds that are kept for reporting.
_REPORTING: Final = 3.0
# The least time in which an image can be judged; the rest of a batch is delivered again.
_SHORTEST: Final = 10.0


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Judge the pushes in one batch.

    :param event: SQS's batch.
    :param context: the Lambda's context; its remaining time bounds everything.
    :returns: the messages that must be delivered again.
    """
    settings = Settings.parse(os.environ[VARIABLE])
    failed = []
    for waiting, record in zip(range(len(event["Records"]), 0, -1), event["Records"], strict=True):
        left = context.get_remaining_time_in_millis() / 1000 - _REPORTING
        # An image that takes long must not cost the others a delivery: after the last one they are in the dead-letter
        # queue, untried.
        if left < _SHORTEST:
            log.note("There is not enough time left for another image: its event is delivered again.")
            failed.append(record["messageId"])
        elif not _is_done(record, settings, max(_SHORTEST, left / waiting)):
            failed.append(record["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def _is_done(record: Mapping[str, Any], settings: Settings, seconds: float) -> bool:
    """Whether a push was judged in so many seconds."""
    began, verdict, size = time.monotonic(), "unknown", 0
    try:
        from ..registry.judging import judge_push

        push = Push.parse(record["body"], record["messageId"])
        if push is None:
            return True
        verdict, size = judge_push(push, settings, RetryBudget.of(seconds))
    except Fault as fault:
        log.note(f"A push was not judged: {fault.text}")
    except Exception as e:
        log.write(LogEntry(Reason(f"A push was not judged: {type(e).__name__}: {e}")).lines())
        log.write(LogEntry(Reason("The trace:", verbatim(traceback.format_exc().splitlines()))).lines())
    if verdict:
        seconds = time.monotonic() - began
        log.write([metrics.line(verdict, at=time.time(), seconds=seconds, size=size, stack=settings.guard)])
    return verdict != "unknown"
