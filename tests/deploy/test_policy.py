"""An accepted image, a refused image, a topic that is notified, and a tag that is removed: one journey."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local_aws import LocalAws
from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Step
from tests.deploy.test_registry_guard import messages


@dataclass(frozen=True)
class Steps:
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
def steps(aws: LocalAws, queue: tuple[str, str], new_images: NewImages, new_journey: NewJourney) -> Steps:
    images, stack = new_images(), new_journey("policy")
    topic, url = queue
    platform = {"platform": {"os": "linux", "architecture": "amd64"}}
    running = images.push("running", lambda layout: layout.index({**layout.image(), **platform}))
    unused = images.broken("unused")

    def asking(tag: str, **policy: Any) -> dict[str, Any]:
        return {"repository": images.name, "tag": tag, "topic": topic, "asked": {"runs_on": "lambda", **policy}}

    let_pass = stack.deploy(**asking("running", fail_on="never"))
    kept = stack.refused(**asking("running", on_failure="untag"))
    removed = stack.refused(**asking("unused", on_failure="untag"))
    # The verifier publishes after its response, on which the deploy ends.
    notices = [json.loads(body) for body in messages(aws, url, 2)]
    return Steps(images, running, unused, let_pass, kept, removed, notices)


def test_the_terminal_shows_the_findings_of_an_accepted_image(steps: Steps) -> None:
    assert steps.let_pass.status == "CREATE_COMPLETE"
    _, _, outputs = steps.let_pass.output.partition("Outputs:")
    (line,) = [line for line in outputs.splitlines() if "Findings" in line]
    assert "= Error: The tag points at an index" in line
    assert line.endswith("[index-not-taken]")


def test_an_accepted_image_is_pinned_to_its_digest(steps: Steps) -> None:
    assert steps.let_pass.outputs["ImageUri"] == f"{steps.images.uri}@{steps.running}"
    assert steps.let_pass.outputs["ImageDigest"] == steps.running


def test_the_tag_of_an_image_that_the_stack_may_run_is_kept(steps: Steps) -> None:
    assert steps.kept.status == "UPDATE_ROLLBACK_COMPLETE"
    assert f"this stack has verified {steps.running} before" in " ".join(steps.kept.reason.split())
    assert _tags(steps)["running"] == steps.running


def test_the_tag_of_something_that_no_runtime_can_pull_is_removed(steps: Steps) -> None:
    assert steps.removed.status == "UPDATE_ROLLBACK_COMPLETE"
    assert f"The tag unused was removed from {steps.unused}" in " ".join(steps.removed.output.split())
    assert "batch-delete-image" not in steps.removed.reason
    assert "unused" not in _tags(steps)


def test_after_the_refusals_the_stack_still_has_the_accepted_image(steps: Steps) -> None:
    assert steps.removed.outputs == steps.let_pass.outputs


def test_the_topic_gets_each_refusal_and_nothing_else(steps: Steps, aws: LocalAws) -> None:
    for notice in steps.notices:
        assert notice["Subject"].startswith("Image refused: Policy")
        assert "Full report: log group" in notice["Message"]
    ids = sorted(re.findall(r"\[(index-not-taken|not-an-image)\]", notice["Message"])[0] for notice in steps.notices)
    assert ids == ["index-not-taken", "not-an-image"]


def _tags(steps: Steps) -> dict[str, str]:
    pages = steps.images.aws.client("ecr").describe_images(repositoryName=steps.images.name)["imageDetails"]
    return {tag: image["imageDigest"] for image in pages for tag in image.get("imageTags", [])}
