"""An accepted image, a refused image, a topic that is notified, and a tag that is removed: one journey."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local_aws import LocalAws
from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Step
from tests.unit.images import GZIP


@dataclass(frozen=True)
class Told:
    """The journey.

    :param running: the digest of an image that Lambda cannot pull, and that was let pass.
    :param unused: the digest of another one.
    :param let_pass: the first, where nothing refuses an image.
    :param kept: the first again, where an image is refused and its tag may be removed.
    :param removed: the other one in the same way.
    :param notices: the messages that the topic received.
    """

    images: Images
    running: str
    unused: str
    let_pass: Step
    kept: Step
    removed: Step
    notices: list[dict[str, Any]]


@pytest.fixture(scope="module")
def queue(aws: LocalAws) -> Iterator[tuple[str, str]]:
    """A topic and a queue that receives its messages: the topic's ARN and the queue's URL."""
    sns, sqs = aws.client("sns"), aws.client("sqs")
    topic = sns.create_topic(Name="refusals")["TopicArn"]
    url = sqs.create_queue(QueueName="refusals")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    yield topic, url
    sqs.delete_queue(QueueUrl=url)
    sns.delete_topic(TopicArn=topic)


@pytest.fixture(scope="module")
def told(aws: LocalAws, queue: tuple[str, str], new_images: NewImages, new_journey: NewJourney) -> Told:
    images, stack = new_images(), new_journey("policy")
    topic, url = queue
    platform = {"platform": {"os": "linux", "architecture": "amd64"}}
    running = images.push("running", lambda layout: layout.index({**layout.image(), **platform}))
    two = (GZIP, GZIP)
    unused = images.push("unused", lambda layout: layout.index({**layout.image(layer_types=two), **platform}))

    def asking(tag: str, **policy: Any) -> dict[str, Any]:
        return {"repository": images.name, "tag": tag, "topic": topic, "asked": {"runs_on": "lambda", **policy}}

    let_pass = stack.deploy(**asking("running", fail_on="never"))
    kept = stack.refused(**asking("running", on_failure="untag"))
    removed = stack.refused(**asking("unused", on_failure="untag"))
    messages = aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    notices = [json.loads(message["Body"]) for message in messages]
    return Told(images, running, unused, let_pass, kept, removed, notices)


def test_the_terminal_shows_what_was_found_in_an_image_that_is_let_pass(told: Told) -> None:
    assert told.let_pass.status == "CREATE_COMPLETE"
    _, _, outputs = told.let_pass.output.partition("Outputs:")
    (line,) = [line for line in outputs.splitlines() if "Findings" in line]
    assert "= Error: The tag points at an index" in line
    assert line.endswith("[index-not-taken]")


def test_an_image_that_is_let_pass_is_pinned_to_its_digest(told: Told) -> None:
    assert told.let_pass.outputs["ImageUri"] == f"{told.images.uri}@{told.running}"
    assert told.let_pass.outputs["ImageDigest"] == told.running


def test_the_tag_of_an_image_that_the_stack_may_run_is_kept(told: Told) -> None:
    assert told.kept.status == "UPDATE_ROLLBACK_COMPLETE"
    assert f"this stack has verified {told.running} before" in " ".join(told.kept.reason.split())
    assert _tags(told)["running"] == told.running


def test_the_tag_of_an_image_that_nothing_ran_is_removed(told: Told) -> None:
    assert told.removed.status == "UPDATE_ROLLBACK_COMPLETE"
    assert f"The tag unused was removed from {told.unused}" in " ".join(told.removed.output.split())
    assert "batch-delete-image" not in told.removed.reason
    assert "unused" not in _tags(told)


def test_what_was_let_pass_is_what_the_stack_has_after_the_refusals(told: Told) -> None:
    assert told.removed.outputs == told.let_pass.outputs


def test_the_topic_is_told_of_each_refusal_and_of_nothing_else(told: Told, aws: LocalAws) -> None:
    assert len(told.notices) == 2
    for notice in told.notices:
        assert notice["Subject"].startswith("Image refused: Policy")
        assert "[index-not-taken]" in notice["Message"]
        assert "Full report: log group" in notice["Message"]


def _tags(told: Told) -> dict[str, str]:
    pages = told.images.aws.client("ecr").describe_images(repositoryName=told.images.name)["imageDetails"]
    return {tag: image["imageDigest"] for image in pages for tag in image.get("imageTags", [])}
