"""The response to CloudFormation: what it says, its body of less than 4,096 bytes, and sending it."""

from __future__ import annotations

import http.client
import json
import random
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from . import log
from .events import Event
from .layout import Reason, page
from .log import LogEntry
from .schema import Attribute

# The limit of CloudFormation: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-customresource.html
_MAX_BYTES: Final = 4096
# A headline with more characters would not leave room for anything else.
_MAX_HEADLINE: Final = 900
_WARNINGS_ARE_LOGGED: Final = {Attribute.WARNINGS: "see the verifier's log"}


@dataclass(frozen=True)
class Response:
    """A response to CloudFormation.

    :param status: `SUCCESS` or `FAILED`.
    :param reasons: from the most detailed to the least; the first that fits is sent.
    :param physical_id: None keeps the one that the resource has.
    :param data: the resource's attributes.
    :param verdict: the verdict on the image, `tolerated` where it passes only because the policy never refuses; empty
        where no image was judged.
    :param size: the judged image's compressed size in bytes; 0 where it is not known.
    :param log: the entries for the log, if the response is made in time.
    """

    status: Literal["SUCCESS", "FAILED"]
    reasons: Sequence[Reason] = ()
    physical_id: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    verdict: Literal["pass", "tolerated", "fail", "unknown", ""] = ""
    size: int = 0
    log: Sequence[LogEntry] = ()


@dataclass(frozen=True)
class Sendable:
    """A response that is laid out and scrubbed, so that nothing slow is left to do before it is sent.

    :param response: the response.
    :param body: its body.
    :param log: the lines for the log.
    """

    response: Response
    body: bytes
    log: Sequence[str]


def sendable(event: Event, response: Response) -> Sendable:
    """Lay a response out.

    :param event: the event that it responds to.
    :param response: the response.
    """
    return Sendable(response, body(event, response), [line for entry in response.log for line in entry.lines()])


def unknown(reason: Reason, **report: Any) -> Response:
    """The response where the verifier could not determine whether the image is good.

    :param report: further members of the log's JSON, or a fault that differs from the reason.
    """
    fault = {"message": reason.headline, "advice": " ".join(paragraph.text for paragraph in reason.paragraphs)}
    entry = LogEntry(reason, {"verdict": "unknown", "reference": None, "fault": fault, **report})
    return Response("FAILED", [reason], verdict="unknown", log=[entry])


def body(event: Event, response: Response) -> bytes:
    """The response's body, with as much detail as fits."""
    if response.status == "SUCCESS":
        full = _body(event, response, "", response.data)
        return full if _fits(full) else _body(event, response, "", {**response.data, **_WARNINGS_ARE_LOGGED})
    for reason in filter(_may_fit, response.reasons):
        if _fits(full := _body(event, response, page(reason), response.data)):
            return full
    last = response.reasons[-1]
    # Cut as it is shown: escapes of unprintable characters are longer than the characters.
    headline = last.shown[0][:_MAX_HEADLINE]
    shorter = (Reason(headline, last.paragraphs[:count]) for count in range(len(last.paragraphs), -1, -1))
    texts = map(page, filter(_may_fit, shorter))
    return next(full for text in texts if _fits(full := _body(event, response, text, {})))


def _may_fit(reason: Reason) -> bool:
    """Whether the reason fits without padding: laying a longer one out would take long."""
    return sum(map(len, reason.shown)) < _MAX_BYTES


def _fits(body: bytes) -> bool:
    return len(body) < _MAX_BYTES


def _body(event: Event, response: Response, reason: str, data: Mapping[str, str]) -> bytes:
    # A resource that is refused when it is created has no physical ID yet, and must be given one.
    physical_id = response.physical_id or event.get("PhysicalResourceId") or f"refused-{event['LogicalResourceId']}"
    return json.dumps(
        {
            "Status": response.status,
            "Reason": reason,
            "PhysicalResourceId": physical_id,
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"],
            "Data": dict(data),
        }
    ).encode()


def send(url: str, body: bytes, ends_at: float) -> None:
    """Send the response, with retries until CloudFormation accepts it or the time is over.

    :param ends_at: the moment, on `time.monotonic`, after which it is not retried.
    :raises TimeoutError: if CloudFormation does not accept it in time.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            request = urllib.request.Request(  # noqa: S310 - CloudFormation's own URL
                url, data=body, method="PUT", headers={"content-type": "", "content-length": str(len(body))}
            )
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                # S3 answers with an empty body; anything else is from a proxy, and nobody has got the response.
                if not answer.read(1):
                    return
                raise http.client.HTTPException("not an answer of S3")
        except (OSError, http.client.HTTPException) as e:
            code = getattr(e, "code", "")
            failure = f"The response could not be sent (attempt {attempt}): {type(e).__name__} {code}"
            log.note(failure)
            pause = random.uniform(0.2, 0.4 * 2 ** min(attempt, 4))  # noqa: S311 - jitter, not a secret
            if time.monotonic() + pause >= ends_at:
                raise TimeoutError("CloudFormation did not accept the response in time") from None
            time.sleep(pause)
