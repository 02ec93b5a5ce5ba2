"""CloudFormation's protocol: one event in, exactly one answer out.

An answer that never comes leaves a deploy hanging for up to an hour, so the work is done beside the thread that
answers: whatever becomes of it (a finding, a fault, a bug, a module that cannot be imported, a call that never
ends), the answer leaves before the Lambda's time is over. The steps:

1. A Delete is answered at once: there is nothing to delete, and a Delete must always succeed.
2. The properties are parsed.
3. An Update on the way back of a rollback is answered from memory, without judging again. Where it cannot be told
   which way the stack goes, the image is judged: a good one is right both ways.
4. The image is verified, and the tag of one that is refused is removed where that was asked for.
5. The answer is sent, and with it the physical ID remembers what was verified.
6. Whoever wants to be told of a refusal or of a doubt is told, when CloudFormation already knows.
"""

from __future__ import annotations

import http.client
import json
import math
import random
import re
import threading
import time
import traceback
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from ..custom_resource.layout import Reason, page, wrapped
from ..custom_resource.schema import Attribute, Property

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..custom_resource.physical_id import VerifiedImage
    from ..custom_resource.properties import Properties
    from ..report import Report
    from ..retry import RetryBudget

# What CloudFormation takes, https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-customresource.html
_MAX_ANSWER_BYTES: Final = 4096
# Time that is kept for sending the answer, in seconds.
_SENDING: Final = 8.0
# Time that passes, in seconds, before the Lambda runs.
_STARTING: Final = 30.0
# How long a role that has just been made may still be denied, in seconds: aws-cdk#37675, #37939.
_PROPAGATION: Final = 60.0
# How long it may take to tell others, in seconds.
_TELLING: Final = 10.0
# How much of the findings is told in the attribute `Warnings`.
_MAX_WARNINGS: Final = 1000
# The part of the time in which it must be told which way the stack goes.
_ASKING: Final = 0.3
_QUERY: Final = re.compile(r"(https?://[^\s?'\"]+)\?[^\s'\"]+")


class Context(Protocol):
    """The part of the Lambda's context that is used."""

    log_group_name: str
    log_stream_name: str

    def get_remaining_time_in_millis(self) -> int:
        """The time until the Lambda is ended, in milliseconds."""


@dataclass(frozen=True)
class LogEntry:
    """What the log says: for people, and where there is a report one line of JSON for machines."""

    reason: Reason
    report: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Response:
    """What CloudFormation is told.

    :param status: `SUCCESS` or `FAILED`.
    :param reasons: from the most detailed to the least; the first that fits is sent.
    :param physical_id: None keeps the one that the resource has.
    :param data: the resource's attributes.
    :param verdict: what an image was judged to be, `excused` where only the policy lets it pass; empty where none was
        judged.
    :param size: the judged image's compressed size in bytes; 0 where it is not known.
    :param log: what the log says of it, where the answer comes in time.
    """

    status: str
    reasons: Sequence[Reason] = ()
    physical_id: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    verdict: Literal["pass", "excused", "fail", "unknown", ""] = ""
    size: int = 0
    log: Sequence[LogEntry] = ()


def handler(event: Mapping[str, Any], context: Context) -> None:
    """Answer one event of a Custom::ImageVerification.

    :param event: the event, https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
    :param context: the Lambda's context; its remaining time bounds everything.
    """
    began = time.monotonic()
    ends_at = began + min(context.get_remaining_time_in_millis() / 1000 - 1, _seconds_of_cloudformation(event))
    seconds = max(1.0, ends_at - _SENDING - time.monotonic())
    answers: list[Response] = []
    worker = threading.Thread(target=lambda: answers.append(_safely(event, context, seconds)), daemon=True)
    worker.start()
    worker.join(seconds)
    # Nothing is logged beside this thread: a Lambda that has answered is frozen, and what was still under way goes on,
    # and would speak, within the next event.
    answer = answers[0] if answers else _too_late(seconds)
    _log(*answer.log)
    seconds = time.monotonic() - began
    _send(event["ResponseURL"], _body(event, answer), ends_at)
    # CloudFormation has its answer: what fails from here on must not fail the Lambda, which would be run again.
    try:
        _measure(event, answer, seconds)
        _notify(event, answer, context)
    except Exception as e:
        _log(LogEntry(Reason(f"What became of the image could not be told to others: {type(e).__name__}: {e}")))


def _seconds_of_cloudformation(event: Mapping[str, Any]) -> float:
    """How long CloudFormation waits for the answer, in seconds: a Lambda that others share may have more time."""
    try:
        return float(event["ResourceProperties"][Property.SERVICE_TIMEOUT]) - _STARTING
    except (KeyError, TypeError, ValueError):
        return math.inf


def _too_late(seconds: float) -> Response:
    line = f"The image could not be verified in the {seconds:.0f} s that the verifier has: nothing is known about it."
    advice = "Deploy again; if it stays, give the ImageVerifier a longer timeout or more memory."
    return _unknown(Reason(line, wrapped(advice)))


def _unknown(reason: Reason, **said: Any) -> Response:
    """The answer where it could not be told whether the image is good.

    :param said: what the log's line for machines has beside the verdict, or instead of the reason as its fault.
    """
    fault = {"message": reason.headline, "advice": " ".join(reason.lines)}
    entry = LogEntry(reason, {"verdict": "unknown", "reference": None, "fault": fault, **said})
    return Response("FAILED", [reason], verdict="unknown", log=[entry])


def _safely(event: Mapping[str, Any], context: Context, seconds: float) -> Response:
    """The answer, also where the code itself fails."""
    try:
        return answer(event, context, seconds)
    except BaseException as e:
        trace = LogEntry(Reason("The verifier itself failed:", traceback.format_exc().splitlines()))
        line = f"The verifier itself failed, so nothing is known about the image: {type(e).__name__}: {e}"
        answered = _unknown(Reason(_scrubbed(line)[:900], wrapped(f"Its log: {_log_place(context)}")))
        return replace(answered, log=[trace, *answered.log])


def answer(event: Mapping[str, Any], context: Context, seconds: float) -> Response:
    """What CloudFormation is to be told of an event.

    :param seconds: the time that there is for it.
    """
    if event["RequestType"] == "Delete":
        return Response("SUCCESS")
    # Imported here, so that a module that cannot be imported is answered too.
    from ..custom_resource import reason
    from ..custom_resource.physical_id import records_of
    from ..custom_resource.properties import Properties
    from ..faults import Fault
    from ..retry import RetryBudget

    try:
        properties = Properties.parse(event["ResourceProperties"])
    except ValueError as e:
        return _unknown(Reason(f"The properties of this Custom::ImageVerification are wrong: {e}."))
    # A little less, so that what was being waited for can still be told.
    retry_budget = RetryBudget.of(seconds - 2, denied_seconds=_PROPAGATION)
    history = records_of(event.get("PhysicalResourceId", ""))
    try:
        unasked = None
        if event["RequestType"] == "Update":
            try:
                if _is_rolling_back(event["StackId"], retry_budget.part(_ASKING)):
                    return _restored(properties, history)
            except Fault as fault:
                unasked = fault
        report = _verify(properties, retry_budget)
        # What was verified before and is bad now is what a rollback goes back to, and could be let pass in one.
        if unasked and report.verdict == "fail" and _remembered(properties, history):
            raise unasked
    except Fault as fault:
        doubt = reason.doubt(fault, properties, _log_place(context))
        told = {"message": fault.message, "advice": fault.advice}
        return _unknown(doubt, reference=properties.names.reference, fault=told)
    if report.verdict == "fail":
        return _refused(event, properties, report, retry_budget, _log_place(context))
    return _accepted(properties, report, history)


def _verify(properties: Properties, retry_budget: RetryBudget) -> Report:
    import boto3

    from .. import aws
    from ..sources.ecr_image import EcrImage
    from ..verify import verify

    source = EcrImage(
        boto3.client("ecr", region_name=properties.names.region, config=aws.CLIENT_CONFIG),
        repository_arn=properties.repository_arn,
        repository_uri=properties.repository_uri,
        tag=properties.tag,
        digest=properties.digest,
        retry_budget=retry_budget,
    )
    # Whoever reads on after the answer does so within the next event, and keeps that one's layers waiting.
    return verify(source, properties.policy, ends_at=retry_budget.ends_at)


def _refused(
    event: Mapping[str, Any], properties: Properties, report: Report, retry_budget: RetryBudget, log_place: str
) -> Response:
    from ..custom_resource import reason
    from ..custom_resource.properties import OnFailure
    from ..report_json import report_as_json

    said, names = "", properties.names
    # An Update may go on with, or back to, what the tag names now.
    if properties.on_failure is OnFailure.UNTAG and event["RequestType"] == "Create":
        from ..custom_resource.untag import untag

        untagging = untag(report, properties, event["StackId"], retry_budget)
        said, names = untagging.said, replace(names, untagged=untagging.removed)
    entry = LogEntry(reason.refusal(report, properties, names, "", untagging=said), report_as_json(report, names))
    levels = [reason.refusal(report, properties, names, log_place, level, said) for level in reason.LEVELS]
    return Response("FAILED", levels, verdict="fail", size=report.image.size, log=[entry])


def _accepted(properties: Properties, report: Report, history: Sequence[VerifiedImage]) -> Response:
    from ..custom_resource import reason
    from ..custom_resource.physical_id import VerifiedImage, physical_id
    from ..report_json import report_as_json

    # Where nothing refuses an image, there may be none at all.
    top = report.image.top
    digest, media_type = (top.digest, top.media_type) if top else (properties.digest, "")
    record = VerifiedImage(properties.fingerprint, digest, report.image.size, media_type, len(report.image.layers))
    return Response(
        "SUCCESS",
        physical_id=physical_id([record, *history]),
        data=_attributes(properties, record, _warnings(report)),
        verdict="excused" if report.tolerated_errors else "pass",
        size=record.size,
        log=[LogEntry(reason.summary(report, properties), report_as_json(report, properties.names))],
    )


def _warnings(report: Report) -> str:
    """What was found in an image that is let pass, a line each, as far as there is room."""
    from ..custom_resource.reason import told

    lines: list[str] = []
    for number, finding in enumerate(report.findings):
        left = f"and {len(report.findings) - number} more in the verifier's log"
        line = told(finding)
        if sum(map(len, lines)) + len(line) + len(left) + len(lines) + 1 > _MAX_WARNINGS:
            return "\n".join([*lines, left])
        lines.append(line)
    # As an output, nothing at all would look like a mistake.
    return "\n".join(lines) or "none"


def _attributes(properties: Properties, record: VerifiedImage, warnings: str) -> Mapping[str, str]:
    return {
        Attribute.IMAGE_URI: properties.uri(record.digest),
        # What uses it selects what follows the colon.
        Attribute.IMAGE_DIGEST: record.digest or "sha256:unknown",
        Attribute.IMAGE_TAG: properties.tag,
        Attribute.SIZE_IN_BYTES: str(record.size),
        Attribute.MEDIA_TYPE: record.media_type,
        Attribute.PLATFORM: str(properties.policy.platform),
        Attribute.LAYER_COUNT: str(record.layers),
        Attribute.WARNINGS: warnings,
    }


def _restored(properties: Properties, history: Sequence[VerifiedImage]) -> Response:
    """The answer on the way back of a rollback, which must not fail, also when the image is gone meanwhile."""
    from ..custom_resource.physical_id import VerifiedImage, physical_id

    record = _remembered(properties, history) or VerifiedImage(properties.fingerprint, properties.digest, 0, "", 0)
    line = f"Rolling back to {properties.uri(record.digest)}, which was verified before: not judged again."
    return Response(
        "SUCCESS",
        physical_id=physical_id([record, *history]),
        data=_attributes(properties, record, "none"),
        log=[LogEntry(Reason(line))],
    )


def _remembered(properties: Properties, history: Sequence[VerifiedImage]) -> VerifiedImage | None:
    return next((r for r in history if r.fingerprint == properties.fingerprint), None)


def _is_rolling_back(stack_id: str, retry_budget: RetryBudget) -> bool:
    """Whether the stack is on its way back, which the event itself does not tell."""
    import boto3

    from .. import aws

    client = boto3.client("cloudformation", region_name=stack_id.split(":")[3], config=aws.CLIENT_CONFIG)
    stacks = aws.call(client, "describe_stacks", stack_id, retry_budget, StackName=stack_id)["Stacks"]
    return "ROLLBACK" in stacks[0]["StackStatus"]


def _body(event: Mapping[str, Any], answer: Response) -> bytes:
    """The answer in less than 4,096 bytes, in the most detail that fits."""

    def body(reason: str, data: Mapping[str, str]) -> bytes:
        # A resource that is refused when it is made has no physical ID yet, and must be given one.
        physical_id = answer.physical_id or event.get("PhysicalResourceId") or f"refused-{event['LogicalResourceId']}"
        return json.dumps(
            {
                "Status": answer.status,
                "Reason": reason,
                "PhysicalResourceId": physical_id,
                "StackId": event["StackId"],
                "RequestId": event["RequestId"],
                "LogicalResourceId": event["LogicalResourceId"],
                "Data": dict(data),
            }
        ).encode()

    if answer.status == "SUCCESS":
        full = body("", answer.data)
        return (
            full
            if len(full) < _MAX_ANSWER_BYTES
            else body("", {**answer.data, Attribute.WARNINGS: "see the verifier's log"})
        )
    for reason in answer.reasons:
        if len(full := body(page(reason), answer.data)) < _MAX_ANSWER_BYTES:
            return full
    last = answer.reasons[-1]
    # Cut when it is written out, which makes it longer.
    headline = last.shown[0][:900]
    shorter = (page(Reason(headline, last.lines[:n])) for n in range(len(last.lines), -1, -1))
    return next(full for text in shorter if len(full := body(text, {})) < _MAX_ANSWER_BYTES)


def _send(url: str, body: bytes, ends_at: float) -> None:
    """Put the answer where CloudFormation reads it, again until it is taken or the time is over."""
    attempt = 0
    while True:
        attempt += 1
        try:
            request = urllib.request.Request(  # noqa: S310 - CloudFormation's own URL
                url, data=body, method="PUT", headers={"content-type": "", "content-length": str(len(body))}
            )
            with urllib.request.urlopen(request, timeout=5):  # noqa: S310
                return
        except (OSError, http.client.HTTPException) as e:
            code = getattr(e, "code", "")
            _log(LogEntry(Reason(f"The answer could not be sent (attempt {attempt}): {type(e).__name__} {code}")))
            pause = random.uniform(0.2, 0.4 * 2 ** min(attempt, 4))  # noqa: S311 - jitter, not a secret
            if time.monotonic() + pause >= ends_at:
                raise TimeoutError("CloudFormation did not take the answer in time") from None
            time.sleep(pause)


def _measure(event: Mapping[str, Any], answer: Response, seconds: float) -> None:
    """Log what CloudWatch makes metrics of, where an image was judged."""
    if not answer.verdict:
        return
    from ..custom_resource import metrics

    properties = event.get("ResourceProperties") or {}
    print(
        metrics.line(
            answer.verdict,
            at=time.time(),
            seconds=seconds,
            size=answer.size,
            stack=event["StackId"].split("/")[1],
            Construct=str(properties.get(Property.CONSTRUCT_PATH, "")),
        )
    )


def _notify(event: Mapping[str, Any], answer: Response, context: Context) -> None:
    """Publish a refusal or a doubt, as long as there is time; CloudFormation has its answer already."""
    properties = event.get("ResourceProperties") or {}
    topic = properties.get(Property.NOTIFY_TOPIC_ARN)
    seconds = min(_TELLING, context.get_remaining_time_in_millis() / 1000 - 1)
    if not topic or answer.verdict not in ("fail", "unknown"):
        return

    said: list[str] = []

    def tell() -> None:
        try:
            from ..custom_resource import notifications
            from ..retry import RetryBudget

            about = properties.get(Property.CONSTRUCT_PATH) or event["LogicalResourceId"]
            notice = notifications.subject(answer.verdict, str(about))
            notifications.publish(
                str(topic), notice, answer.reasons[0], RetryBudget.of(seconds, denied_seconds=seconds)
            )
            said.append("")
        except BaseException as e:
            said.append(f": {type(e).__name__}: {e} {getattr(e, 'advice', '')}")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    # A Lambda that is ended while it works is run again.
    teller.join(max(0.0, seconds))
    failure = said[0] if said else f" in {seconds:.1f} s."
    if failure:
        _log(LogEntry(Reason(f"The notice could not be published{failure}")))


def _log_place(context: Context) -> str:
    return f"log group {context.log_group_name}, stream {context.log_stream_name}"


def _scrubbed(text: str) -> str:
    """The text without the queries of URLs, which are secrets while they live."""
    return _QUERY.sub(r"\1?...", text)


def _log(*entries: LogEntry) -> None:
    """Write, as far as it can be written: an answer that never leaves would be worse than a line that is missing."""
    with suppress(OSError, ValueError):
        for entry in entries:
            for line in entry.reason.shown:
                print(_scrubbed(line))
            if entry.report is not None:
                print(json.dumps(entry.report))
