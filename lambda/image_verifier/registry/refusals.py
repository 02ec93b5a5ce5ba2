"""The consequences of a refusal: an event, a message, the report in a bucket, and the handling of the tag.

ECR may report a push twice, and SQS may deliver it twice, to two Lambdas at the same time. So the report is written
first, only if there is none under its key, which the same push, image and settings have again: the message that wrote
it announces the refusal, and marks the report. A message that comes back after its Lambda has ended in between goes on.
A push after that is another one, which moved the tag back to the image: it is announced anew.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any, Final

from .. import aws
from ..custom_resource import log, reason
from ..custom_resource.layout import Reason
from ..custom_resource.notifications import publish, subject
from ..custom_resource.properties import Properties
from ..deletion import (
    policies_of_every_runtime,
    reason_after_second_reading,
    reason_to_keep,
    remove_tag,
)
from ..faults import Fault
from ..report_json import report_as_json
from ..retry import RetryBudget
from ..second_tag import tag_as_rejected
from ..text import shortened
from .pushes import Push
from .settings import OnRefused, Settings
from .verdicts import Judgement, VerifyBy

SCHEMA_VERSION: Final = 1
# The most seconds between the end of the retries and the end of the Lambda.
_LONGEST_END: Final = 5.0
# Two reports of one push, and the clocks of ECR and S3, differ by less, in seconds.
_SAME_PUSH: Final = 60.0
EVENT_SOURCE: Final = "cdk-safe-image"
EVENT_TYPE: Final = "Image Refused"
# An event may have 256 KB: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
_MAX_FINDINGS: Final = 20
# An index may lack a thousand manifests, each with an error of its own: the report has all, a message the first ones.
_DETAIL: Final = reason.Detail(errors=_MAX_FINDINGS, runtime_errors=3, others=_MAX_FINDINGS, prevention=True)


@dataclass(frozen=True)
class Refusal:
    """A refused push.

    :param push: the push.
    :param judgement: the verdict, which has a report.
    :param properties: the image and its policy, which the texts show.
    :param settings: the guard's settings.
    :param retry_budget: for how long calls are retried.
    """

    push: Push
    judgement: Judgement
    properties: Properties
    settings: Settings
    retry_budget: RetryBudget

    @property
    def digest(self) -> str:
        """The digest of the refused image, which the tag references now."""
        report = self.judgement.report
        return report.image.top.digest if report and report.image.top else self.push.digest

    @property
    def key(self) -> str:
        """The report's key in the bucket."""
        known = json.dumps([self.settings.as_json(), self.push.account, self.push.region], sort_keys=True)
        fingerprint = hashlib.sha256(known.encode()).hexdigest()[:12]
        name = f"{self.digest.removeprefix('sha256:')}-{self.push.tag}-{fingerprint}.json"
        return f"{self.settings.guard}/pushes/{self.push.repository}/{name}"


def follow_up(refusal: Refusal, verify_by: VerifyBy) -> Reason | None:
    """Do everything that follows a refusal.

    :param refusal: the refused push.
    :param verify_by: reads the image anew, and judges it by a policy.
    :returns: the text for the log; None if the refusal was announced before.
    :raises Fault: if a call fails; what was done until then is done again at the next attempt.
    """
    record = _record(refusal)
    text = _text(refusal)
    is_new = _is_ours(refusal, record)
    if is_new:
        _send_event(refusal, record)
        if refusal.settings.topic:
            about = f"{refusal.push.repository}:{refusal.push.tag}"
            publish(refusal.settings.topic, subject("fail", about), text, refusal.retry_budget)
        record["announced"] = True
        _write(refusal, record)
    # After the report is safe: at another attempt, a tag that is gone would look like an image that was deleted.
    if marking := _mark(refusal, verify_by):
        log.note(marking)
        _write(refusal, {**record, "announced": True, "marking": marking})
    return text if is_new else None


def _is_ours(refusal: Refusal, record: dict[str, Any]) -> bool:
    """Whether this message announces the refusal: it wrote the report, now or before, or is about a later push.

    :raises Fault: if the Lambda that got this message before may still be at work.
    """
    claim = {**record, "claimed_until": time.time() + refusal.retry_budget.seconds_left + _LONGEST_END}
    if _write(refusal, claim, IfNoneMatch="*"):
        return True
    client = aws.client("s3", refusal.push.region)
    parameters = {"Bucket": refusal.settings.bucket, "Key": refusal.key}
    answer = aws.call(client, "get_object", _arn(refusal), refusal.retry_budget, **parameters)
    known = json.loads(answer["Body"].read())
    is_later = refusal.push.at > answer["LastModified"].timestamp() + _SAME_PUSH
    if not is_later and (known["announced"] or known["message"] != refusal.push.message):
        return False
    is_claimed = not known["announced"] and time.time() < known["claimed_until"]
    if is_claimed or not _write(refusal, claim, IfMatch=answer["ETag"]):
        raise Fault(f"The refusal of {refusal.key} is being announced", "Its event is delivered again.")
    return True


def _write(refusal: Refusal, record: dict[str, Any], **condition: str) -> bool:
    """Write the report; False if there is one, and the condition forbids to replace it."""
    answer = aws.call(
        aws.client("s3", refusal.push.region),
        "put_object",
        _arn(refusal),
        refusal.retry_budget,
        # The second is the answer to two writes at the same time.
        ("PreconditionFailed", "ConditionalRequestConflict") if condition else (),
        Bucket=refusal.settings.bucket,
        Key=refusal.key,
        Body=json.dumps(record).encode(),
        ContentType="application/json",
        **condition,
    )
    return bool(answer)


def _arn(refusal: Refusal) -> str:
    return f"arn:{refusal.settings.partition}:s3:::{refusal.settings.bucket}/{refusal.key}"


def _record(refusal: Refusal) -> dict[str, Any]:
    assert refusal.judgement.report
    names = refusal.properties.names.with_digest_of(refusal.judgement.report.image.top)
    return {
        "schema_version": SCHEMA_VERSION,
        "account": refusal.push.account,
        "region": refusal.push.region,
        "repository": refusal.push.repository,
        "tag": refusal.push.tag,
        "judged_by": refusal.judgement.judged_by,
        "on_refused": refusal.settings.on_refused.value,
        "message": refusal.push.message,
        "announced": False,
        "image": report_as_json(refusal.judgement.report, names),
    }


def _send_event(refusal: Refusal, record: dict[str, Any]) -> None:
    image = record["image"]
    detail = {
        **{name: value for name, value in record.items() if name not in ("image", "message", "announced")},
        "digest": image["digest"],
        "runs_on": image["runs_on"],
        "platform": image["platform"],
        "findings": [
            {"id": finding.id, "message": shortened(finding.message)}
            for finding in refusal.judgement.shown.errors[:_MAX_FINDINGS]
        ],
        "report": f"s3://{refusal.settings.bucket}/{refusal.key}",
    }
    aws.call(
        aws.client("events", refusal.push.region),
        "put_events",
        refusal.settings.bus,
        refusal.retry_budget,
        Entries=[
            {
                "Source": EVENT_SOURCE,
                "DetailType": EVENT_TYPE,
                "Detail": json.dumps(detail),
                "EventBusName": refusal.settings.bus,
                "Resources": [refusal.properties.repository_arn],
            }
        ],
    )


def _text(refusal: Refusal) -> Reason:
    shown = refusal.judgement.shown
    names = refusal.properties.names.with_digest_of(shown.image.top)
    where = f"s3://{refusal.settings.bucket}/{refusal.key}"
    return reason.refusal(shown, refusal.properties, names, where, _DETAIL)


def _mark(refusal: Refusal, verify_by: VerifyBy) -> str:
    """Handle the tag as `on_refused` says, and report the result as a sentence; empty where the tag is left alone."""
    push, budget = refusal.push, refusal.retry_budget
    client, arn = aws.client("ecr", push.region), refusal.properties.repository_arn
    if refusal.settings.on_refused is OnRefused.TAG:
        return f"The image was also tagged {tag_as_rejected(client, arn, refusal.digest, budget)}."
    if refusal.settings.on_refused is not OnRefused.UNTAG:
        return ""
    kept = "The tag was not removed, although on_refused is 'untag':"
    try:
        if why := _reason_to_keep(refusal, verify_by):
            return f"{kept} {why}."
        failure = remove_tag(client, arn, push.tag, refusal.digest, budget)
    except Fault as fault:
        return f"It is not known whether the tag was removed: {fault.text}"
    return f"{kept} {failure}" if failure else f"The tag {push.tag} was removed from {refusal.digest}."


def _reason_to_keep(refusal: Refusal, verify_by: VerifyBy) -> str:
    report, policy = refusal.judgement.report, refusal.properties.policy
    assert report
    if why := reason_to_keep([report], refusal.push.tag):
        return why
    # Nobody looks at what runs here: only an image that no runtime at all can pull loses its tag.
    every = policies_of_every_runtime(verify_layers=policy.verify_layers)
    return reason_after_second_reading(verify_by, [policy, *every], refusal.push.tag, refusal.digest)
