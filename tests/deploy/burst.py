"""A burst of pushes, through EventBridge, SQS and several Lambdas: each refused image is announced exactly once.

Half of the images are broken, every fourth event arrives twice, and the first Lambdas are killed in the middle of their
batches."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local_aws import ACCOUNT, REGION, LocalAws
from tests.deploy.images import Images
from tests.deploy.journey import Step

# The Lambdas are killed after so many pushes.
_KILLED_AFTER: Final = 20
# Without an announcement for so long, none comes any more.
_SECONDS: Final = 120
# After so many seconds, the messages of a Lambda that has ended come back: longer than the app lets it run.
_VISIBILITY: Final = 45


@dataclass(frozen=True)
class Burst:
    """The outcome of a burst.

    :param pushes: the number of pushes.
    :param refused: the digests of the broken images.
    :param duplicates: the number of events that were delivered a second time.
    :param ended: the number of Lambdas that were killed.
    :param announced: how often each digest was announced.
    :param reports: the reports in the bucket.
    :param left: the number of messages in the queue and the dead-letter queue at the end.
    :param metrics: the sum of each metric.
    :param seconds: from the first push to the last announcement.
    """

    pushes: int
    refused: frozenset[str]
    duplicates: int
    ended: int
    announced: Counter[str]
    reports: list[dict[str, Any]]
    left: tuple[int, int]
    metrics: Counter[str]
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.pushes:,} pushes and {self.duplicates:,} duplicates in {self.seconds:.0f} s, {self.ended} Lambdas "
            f"killed: {len(self.refused):,} broken, {self.announced.total():,} announcements, {len(self.reports):,} "
            f"reports, metrics {dict(self.metrics)}, left {self.left}"
        )


def burst(aws: LocalAws, step: Step, images: Images, pushes: int) -> Burst:
    """Send a burst, and wait for its end.

    :param step: the deployed guard.
    :param images: a repository without a rule.
    :param pushes: the number of pushes, at least 20.
    """
    queue = step.outputs["QueueUrl"]
    sqs = aws.client("sqs")
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": str(_VISIBILITY)})
    broken, good = images.broken(f"first-broken-{pushes}"), images.good(f"first-good-{pushes}")
    templates = [_manifest(aws, images, digest) for digest in (broken, good)]
    announcements(aws, step, 1)
    drained(aws, step)
    before = _metrics(aws, step)
    began, ended, refused = time.monotonic(), 0, set()
    aws.reset_calls()
    # No Lambda gets as far as an announcement until the first ones are killed.
    aws.faults.latency("s3:PUT", 10)
    for number in range(pushes):
        manifest = {**templates[number % 2], "annotations": {"push": f"{number} of {pushes}"}}
        digest, tag = _put(aws, images, manifest, f"burst-{pushes}-{number}")
        if number % 2 == 0:
            refused.add(digest)
        if number % 4 == 0:
            sqs.send_message(QueueUrl=queue, MessageBody=_event(images, digest, tag))
        if number == _KILLED_AFTER - 1:
            ended = end_lambdas(aws, "REGISTRY_GUARD")
            aws.faults.clear()
    announced = announcements(aws, step, len(refused))
    seconds = time.monotonic() - began
    left = drained(aws, step)
    # An announcement that is one too many is there by now.
    announced += announcements(aws, step, 0)
    metrics = _metrics(aws, step)
    metrics.subtract(before)
    written = [report for report in reports(aws, step) if report["tag"].startswith(f"burst-{pushes}-")]
    return Burst(pushes, frozenset(refused), -(-pushes // 4), ended, announced, written, left, metrics, seconds)


def _manifest(aws: LocalAws, images: Images, digest: str) -> dict[str, Any]:
    answer = aws.client("ecr").batch_get_image(repositoryName=images.name, imageIds=[{"imageDigest": digest}])
    manifest: dict[str, Any] = json.loads(answer["images"][0]["imageManifest"])
    return manifest


def _put(aws: LocalAws, images: Images, manifest: dict[str, Any], tag: str) -> tuple[str, str]:
    """Push a manifest whose blobs are there; its digest and its tag."""
    answer = aws.client("ecr").put_image(
        repositoryName=images.name,
        imageManifest=json.dumps(manifest),
        imageManifestMediaType=manifest["mediaType"],
        imageTag=tag,
    )
    return answer["image"]["imageId"]["imageDigest"], tag


def _event(images: Images, digest: str, tag: str) -> str:
    """The event of a push, as EventBridge writes it into the queue."""
    return json.dumps(
        {
            "version": "0",
            "id": hashlib.sha256(f"{digest}{tag}".encode()).hexdigest()[:32],
            "detail-type": "ECR Image Action",
            "source": "aws.ecr",
            "account": ACCOUNT,
            "region": REGION,
            "time": "2026-11-16T01:54:34Z",
            "resources": [],
            "detail": {
                "result": "SUCCESS",
                "repository-name": images.name,
                "image-digest": digest,
                "action-type": "PUSH",
                "image-tag": tag,
            },
        }
    )


def end_lambdas(aws: LocalAws, variable: str) -> int:
    """Kill the processes of functions in the middle of their batches, as for lack of memory; their number.

    :param variable: an environment variable of these functions.
    """
    ends = time.monotonic() + _SECONDS
    while not any(call["name"] == "ecr:BatchGetImage" for call in aws.calls()) and time.monotonic() < ends:
        time.sleep(0.1)
    lambdas = [
        process for process in Path("/proc").iterdir() if process.name.isdigit() and _has(aws, process, variable)
    ]
    return sum(_killed(int(process.name)) for process in lambdas)


def _killed(process: int) -> bool:
    """Whether the process had not ended by itself."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _has(aws: LocalAws, process: Path, variable: str) -> bool:
    """Whether this is a Lambda with such a variable in the local AWS of this test."""
    try:
        environment = (process / "environ").read_bytes()
        return f"{variable}=".encode() in environment and f":{aws.port}".encode() in environment
    except OSError:
        return False


def announcements(aws: LocalAws, step: Step, count: int) -> Counter[str]:
    """The digests in the messages that reach the inbox, once there are as many, or none comes any longer."""
    client, found = aws.client("sqs"), Counter[str]()
    ends = time.monotonic() + (_SECONDS if count else 3)
    while (found.total() < count or not count) and time.monotonic() < ends:
        answer = client.receive_message(QueueUrl=step.outputs["InboxUrl"], WaitTimeSeconds=1, MaxNumberOfMessages=10)
        for message in answer.get("Messages", ()):
            found.update(re.findall(r"sha256:[0-9a-f]{64}", message["Body"].partition("Image:")[2])[:1])
            client.delete_message(QueueUrl=step.outputs["InboxUrl"], ReceiptHandle=message["ReceiptHandle"])
            ends = max(ends, time.monotonic() + _SECONDS) if count else ends
    return found


def drained(aws: LocalAws, step: Step) -> tuple[int, int]:
    """The messages in the queue, once there are none or time is over, and those in the dead-letter queue."""
    ends = time.monotonic() + _SECONDS
    while (left := _length(aws, step.outputs["QueueUrl"])) and time.monotonic() < ends:
        time.sleep(0.5)
    return left, _length(aws, step.outputs["DeadLettersUrl"])


def _length(aws: LocalAws, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def reports(aws: LocalAws, step: Step) -> list[dict[str, Any]]:
    client = aws.client("s3")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=step.outputs["Bucket"])
    keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
    return [json.loads(client.get_object(Bucket=step.outputs["Bucket"], Key=key)["Body"].read()) for key in keys]


def _metrics(aws: LocalAws, step: Step) -> Counter[str]:
    """The sum of each count in the lines from which CloudWatch Logs makes metrics."""
    # The local AWS returns 10,000 lines at most, and has no second page.
    client, pattern = aws.client("logs"), '"CloudWatchMetrics"'
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=step.outputs["LogGroup"], filterPattern=pattern
    )
    lines = (event["message"] for page in pages for event in page["events"])
    found = Counter[str]()
    for line in lines:
        if line.startswith('{"_aws"'):
            metric = json.loads(line)
            found.update({name: metric[name] for name in ("Verified", "Refused", "Unverified")})
    return found
