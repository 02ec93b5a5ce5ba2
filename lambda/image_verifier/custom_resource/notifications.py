"""Notices: what CloudFormation is told of a refusal or of a doubt goes to an SNS topic too."""

from __future__ import annotations

import re
from typing import Final

from ..retry import RetryBudget
from .layout import Reason

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html: an email's subject is ASCII, one line of less than 100.
_SUBJECT: Final = 99
# Of the 256 KiB that SNS takes.
_MESSAGE_BYTES: Final = 200_000
_TOPIC: Final = re.compile(r"arn:[a-z-]+:sns:(?P<region>[a-z0-9-]+):\d{12}:\S+")


def subject(verdict: str, about: str) -> str:
    """The subject of an email.

    :param verdict: `fail` or `unknown`.
    :param about: the construct's path, or the image.
    """
    said = "Image refused" if verdict == "fail" else "Image not verified"
    line = " ".join(f"{said}: {about}".split()).encode("ascii", "replace").decode()
    return "".join(c if c.isprintable() else "?" for c in line)[:_SUBJECT]


def publish(topic_arn: str, subject: str, reason: Reason, retry_budget: RetryBudget) -> None:
    """Publish what was told.

    :param topic_arn: the topic.
    :param subject: of an email.
    :param reason: what was told.
    :param retry_budget: for how long the call is retried.
    :raises ValueError: if that is no topic's ARN.
    :raises Fault: if SNS does not take it.
    """
    import boto3

    from .. import aws

    match = _TOPIC.fullmatch(topic_arn)
    if not match:
        raise ValueError(f"{topic_arn!r} is not the ARN of a topic")
    headline, *lines = reason.shown
    text = "\n".join((headline, "", *lines)).encode()[:_MESSAGE_BYTES].decode(errors="ignore")
    aws.call(
        boto3.client("sns", region_name=match["region"], config=aws.CLIENT_CONFIG),
        "publish",
        topic_arn,
        retry_budget,
        TopicArn=topic_arn,
        Subject=subject,
        Message=text,
    )
