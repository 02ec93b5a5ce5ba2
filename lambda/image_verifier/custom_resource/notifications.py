"""Notifications: a refusal or a doubt is also published to an SNS topic."""

from __future__ import annotations

import re
import threading
from typing import Final

from .. import aws
from ..retry import RetryBudget
from . import log
from .events import Context, Event, properties_of
from .layout import Reason
from .response import Response
from .schema import Property

# The most seconds for publishing.
_MAX_SECONDS: Final = 10.0
# The subject of an email is one line of less than 100 ASCII characters:
# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_MAX_SUBJECT: Final = 99
# SNS accepts 256 KiB.
_MAX_MESSAGE_BYTES: Final = 200_000
_TOPIC: Final = re.compile(r"arn:[a-z-]+:sns:(?P<region>[a-z0-9-]+):\d{12}:\S+")


def notify(event: Event, response: Response, context: Context) -> None:
    """Publish a refusal or a doubt while the Lambda has time; an error is logged.

    A thread publishes, since a Lambda that is ended while it works is run again.
    """
    topic = properties_of(event).get(Property.NOTIFY_TOPIC_ARN)
    if not topic or response.verdict not in ("fail", "unknown"):
        return
    seconds = max(0.0, min(_MAX_SECONDS, context.get_remaining_time_in_millis() / 1000 - 1))
    about = properties_of(event).get(Property.CONSTRUCT_PATH) or event["LogicalResourceId"]
    outcomes: list[str] = []

    def work() -> None:
        try:
            publish(
                str(topic),
                subject(response.verdict, str(about)),
                next((reason for reason in response.reasons if _fits(reason)), response.reasons[-1]),
                RetryBudget.of(seconds, denied_seconds=seconds),
            )
            outcomes.append("")
        except BaseException as e:
            outcomes.append(f": {type(e).__name__}: {e} {getattr(e, 'advice', '')}")

    publisher = threading.Thread(target=work, daemon=True)
    publisher.start()
    publisher.join(seconds)
    failure = outcomes[0] if outcomes else f" within {seconds:.1f} s."
    if failure:
        log.note(f"The notification could not be published{failure}")


def subject(verdict: str, about: str) -> str:
    """The subject of an email.

    :param verdict: `fail` or `unknown`.
    :param about: the construct's path, or the image.
    """
    title = "Image refused" if verdict == "fail" else "Image not verified"
    return subject_line(f"{title}: {about}")


def subject_line(text: str) -> str:
    """A text as the subject of an email.

    :param text: the text.
    """
    line = " ".join(text.split()).encode("ascii", "replace").decode()
    return "".join(c if c.isprintable() else "?" for c in line)[:_MAX_SUBJECT]


def publish(topic_arn: str, subject: str, reason: Reason, retry_budget: RetryBudget) -> None:
    """Publish a reason.

    :param topic_arn: the ARN of the topic.
    :param subject: the subject of an email.
    :param reason: the text.
    :param retry_budget: for how long the call is retried.
    :raises ValueError: if `topic_arn` is not the ARN of a topic.
    :raises Fault: if SNS does not accept it.
    """
    match = _TOPIC.fullmatch(topic_arn)
    if not match:
        raise ValueError(f"{topic_arn!r} is not the ARN of a topic")
    aws.call(
        aws.client("sns", match["region"]),
        "publish",
        topic_arn,
        retry_budget,
        TopicArn=topic_arn,
        Subject=subject,
        Message=_message(reason)[:_MAX_MESSAGE_BYTES].decode(errors="ignore"),
    )


def _message(reason: Reason) -> bytes:
    headline, *lines = reason.shown
    return "\n".join((headline, "", *lines)).encode()


def _fits(reason: Reason) -> bool:
    return len(_message(reason)) <= _MAX_MESSAGE_BYTES
