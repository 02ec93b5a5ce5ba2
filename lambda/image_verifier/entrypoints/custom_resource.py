"""CloudFormation's custom resource: one event in, exactly one response out.

A response that is never sent leaves a deploy waiting for up to an hour. So one thread works, and another one responds:
whatever happens to the work (a finding, a fault, a bug, a module that cannot be imported, a call that never ends), the
response is sent before the Lambda's time is over. The steps:

1. A Delete succeeds at once: there is nothing to delete, and a Delete must never fail.
2. `verification` parses the properties. In a rollback it reuses the recorded result; otherwise it verifies the image,
   and removes the tag of a refused image if the properties say so. Where the stack's status is not known, it reuses the
   recorded result, too; without a record, it verifies: a good image is right either way.
3. The response is laid out by the thread that works, so that nothing slow is left to do before it is sent.
4. The work is abandoned: from now on it calls and deletes nothing. The response is sent. Its physical ID records the
   verified image.
5. CloudFormation has its response: now the report and the metrics are logged, and a refusal or a doubt is published.
"""

from __future__ import annotations

import threading
import time
import traceback
from dataclasses import replace
from typing import Final

# Only modules that import nothing else of ours, so that an import that fails is reported, too.
from ..custom_resource import log
from ..custom_resource.attempt import Attempt
from ..custom_resource.events import Context, Event, log_place, seconds_left
from ..custom_resource.layout import Reason, prose, verbatim
from ..custom_resource.log import LogEntry
from ..custom_resource.response import Response, Sendable, send, sendable, unknown

# Seconds that are kept for sending the response.
_SENDING: Final = 8.0
_MAX_HEADLINE: Final = 900


def handler(event: Event, context: Context) -> None:
    """Respond to one event of a Custom::ImageVerification.

    :param event: the event.
    :param context: the Lambda's context; its remaining time bounds everything.
    :raises TimeoutError: if CloudFormation does not accept the response, so that the Lambda is run again.
    """
    began = time.monotonic()
    ends_at = began + seconds_left(event, context)
    made = _made_in_time(event, context, max(1.0, ends_at - _SENDING - began))
    seconds = time.monotonic() - began
    try:
        send(event["ResponseURL"], made.body, ends_at)
    finally:
        log.write(made.log)
    _announce(event, context, made.response, seconds)


def _made_in_time(event: Event, context: Context, seconds: float) -> Sendable:
    """The response, after this many seconds at the latest.

    Only the caller's thread logs. A Lambda is frozen after it has responded, and a thread that still works continues
    within the next event, where its lines would be read as that event's.
    """
    if event["RequestType"] == "Delete":
        return sendable(event, Response("SUCCESS"))
    attempt = Attempt(seconds)
    results: list[Sendable] = []

    def work() -> None:
        results.append(_made(event, context, attempt))

    worker = threading.Thread(target=work, daemon=True)
    try:
        worker.start()
    except (RuntimeError, MemoryError):
        # No thread can be started. What needs none can still be done, such as a rollback.
        work()
    else:
        worker.join(seconds)
    attempt.abandoned.set()
    if results:
        return results[0]
    return sendable(event, attempt.fallback or (_too_late(seconds) if worker.is_alive() else _ended(context)))


def _made(event: Event, context: Context, attempt: Attempt) -> Sendable:
    try:
        from ..custom_resource.verification import respond

        return sendable(event, respond(event, context, attempt))
    except BaseException as e:
        trace = LogEntry(Reason("The verifier itself failed:", verbatim(traceback.format_exc().splitlines())))
        line = f"The verifier itself failed, so nothing is known about the image: {type(e).__name__}: {e}"
        reason = Reason(log.without_queries(line)[:_MAX_HEADLINE], prose(f"Its log: {log_place(context)}"))
        response = attempt.fallback or unknown(reason)
        return sendable(event, replace(response, log=[trace, *response.log]))


def _too_late(seconds: float) -> Response:
    line = f"The image could not be verified within the verifier's {seconds:.0f} s: nothing is known about it."
    advice = "Deploy again. If the error persists, give the ImageVerifier a longer timeout or more memory."
    return unknown(Reason(line, prose(advice)))


def _ended(context: Context) -> Response:
    """The response where the working thread could not even report its own failure, as without memory."""
    line = "The verifier ended without a result, so nothing is known about the image."
    advice = f"Deploy again. If the error persists, give the ImageVerifier more memory. Its log: {log_place(context)}"
    return unknown(Reason(line, prose(advice)))


def _announce(event: Event, context: Context, response: Response, seconds: float) -> None:
    """Log metrics and publish. An error here must not fail the Lambda, which would be run again."""
    try:
        from ..custom_resource import metrics, notifications

        metrics.log_metrics(event, response, seconds)
        notifications.notify(event, response, context)
    except Exception as e:
        log.note(f"The result could not be logged as metrics or published: {type(e).__name__}: {e}")
