"""A guard of the registry, deployed by the real CDK CLI: broken pushes and lost images are announced, others not."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAws
from local_engines.dockerd import DockerEngine
from tests.deploy.burst import announcements, burst, drained
from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Step

_SECONDS = 90


@pytest.fixture(scope="module")
def guarded(aws: LocalAws, new_journey: NewJourney, new_images: NewImages) -> Iterator[tuple[Step, Images, Images]]:
    """The deployed guard, a repository without a rule, and one whose images must be for arm64."""
    plain, arm, journey = new_images(), new_images(), new_journey("registry_guard")
    yield journey.deploy(repository=arm.name), plain, arm
    # The guard would verify the pushes of later tests, which count calls and let the first of them fail.
    events = aws.client("events")
    rules = [rule["Name"] for rule in events.list_rules()["Rules"] if rule["Name"].startswith(journey.stack)]
    assert rules
    for rule in rules:
        events.disable_rule(Name=rule)


def messages(aws: LocalAws, url: str, count: int, about: str = "") -> list[str]:
    """The texts with these words that reached the inbox, once there are as many; others are dropped."""
    client, ends = aws.client("sqs"), time.monotonic() + _SECONDS
    found: list[str] = []
    while len(found) < count and time.monotonic() < ends:
        answer = client.receive_message(QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        for message in answer.get("Messages", ()):
            found += [message["Body"]] if about in message["Body"] else []
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def reports(aws: LocalAws, bucket: str) -> list[dict[str, Any]]:
    client = aws.client("s3")
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=bucket).get("Contents", ())]
    return [json.loads(client.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]


def test_pushes_that_nothing_can_pull_or_that_break_their_rule_are_announced_and_others_are_not(
    aws: LocalAws, guarded: tuple[Step, Images, Images]
) -> None:
    step, plain, arm = guarded
    plain.good("healthy")
    broken, wrong = plain.broken("broken"), arm.good("wrong-platform")
    arm.push("right-platform", lambda layout: layout.image(config={"architecture": "arm64"}))
    texts = messages(aws, step.outputs["InboxUrl"], 2)
    assert sorted(text.splitlines()[0] for text in texts) == [
        "Image refused: The image is built for linux/amd64, but linux/arm64 is required. [platform-mismatch]",
        "Image refused: The tag points at a build attestation (provenance or SBOM), not at an image. [not-an-image]",
    ]
    found = {report["image"]["digest"]: report for report in reports(aws, step.outputs["Bucket"])}
    assert found.keys() == {broken, wrong}
    assert (found[broken]["judged_by"], found[broken]["tag"]) == ("all runtimes", "broken")
    assert found[wrong]["judged_by"] == f"the rule for {arm.name}"
    queue = aws.client("sqs").get_queue_attributes(
        QueueUrl=step.outputs["DeadLettersUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert queue["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_an_image_that_a_service_runs_is_announced_when_it_is_deleted(
    aws: LocalAws, guarded: tuple[Step, Images, Images]
) -> None:
    step, plain, _ = guarded
    used, unused = plain.good("used"), plain.good("unused")
    ecs, ecr = aws.client("ecs"), aws.client("ecr")
    ecs.create_cluster(clusterName="guarded")
    container = {"name": "web", "image": f"{plain.uri}:used", "memory": 128}
    ecs.register_task_definition(family="guarded", containerDefinitions=[container])
    service = {"cluster": "guarded", "serviceName": "web", "taskDefinition": "guarded", "launchType": "FARGATE"}
    ecs.create_service(**service, desiredCount=0)
    read = aws.client("lambda").invoke(FunctionName=step.outputs["Reader"], Payload=b"{}")
    assert "FunctionError" not in read, read["Payload"].read()
    for digest in (unused, used):
        ecr.batch_delete_image(repositoryName=plain.name, imageIds=[{"imageDigest": digest}])
    # The reader also announces what the services of other tests miss in this account.
    (text,) = messages(aws, step.outputs["InboxUrl"], 1, about=f"{plain.name}:used")
    name = f"{plain.name}:used@{used}"
    assert text.splitlines()[0] == f"Image in use deleted: {name}, used by ECS service guarded/web."
    assert "CannotPullContainerError" in text


@pytest.mark.parametrize("pushes", [20, pytest.param(1000, marks=pytest.mark.exhaustive)])
def test_each_refused_image_of_a_burst_is_announced_exactly_once(
    aws: LocalAws, guarded: tuple[Step, Images, Images], pushes: int
) -> None:
    sent = burst(aws, guarded[0], guarded[1], pushes)
    print(sent)
    assert sent.announced == Counter(sent.refused)
    assert Counter(report["image"]["digest"] for report in sent.reports) == Counter(sent.refused)
    assert all(report["announced"] for report in sent.reports)
    assert sent.metrics["Refused"] == len(sent.refused)
    assert sent.left == (0, 0)
    assert sent.ended > 0


def test_an_image_that_is_pushed_again_is_announced_once(aws: LocalAws, guarded: tuple[Step, Images, Images]) -> None:
    step, images, _ = guarded
    broken = images.broken("twice")
    assert announcements(aws, step, 1) == Counter([broken])
    images.good("twice")
    assert images.broken("twice") == broken
    # The same image under another tag is another push. Its announcement comes after any second one of the first.
    assert images.broken("other") == broken
    assert announcements(aws, step, 1) == Counter([broken])
    assert drained(aws, step) == (0, 0)
    assert announcements(aws, step, 0) == Counter()
    tags = [report["tag"] for report in reports(aws, step.outputs["Bucket"]) if report["image"]["digest"] == broken]
    assert (tags.count("twice"), tags.count("other")) == (1, 1)


@pytest.mark.exhaustive
def test_a_real_docker_push_is_judged_once_as_the_index_that_it_is(
    aws: LocalAws, guarded: tuple[Step, Images, Images], tmp_path: Path
) -> None:
    step, plain, arm = guarded
    token = aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).partition(b":")[2]
    (tmp_path / "one").write_bytes(b"1" * 100_000)
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY one /one\nCMD ["/one"]\n')
    with DockerEngine.start(store="containerd") as engine:
        engine.docker("login", "--username", "AWS", "--password-stdin", aws.registry, stdin=password)
        # With its provenance, so that the tag is on an index: docker pushes two manifests without a tag before it.
        for images in (plain, arm):
            name = f"{aws.registry}/{images.name}:docker"
            engine.docker(
                "build", "--quiet", "--provenance=true", "--platform=linux/amd64", "--tag", name, str(tmp_path)
            )
            engine.docker("push", name)
    (text,) = messages(aws, step.outputs["InboxUrl"], 1)
    assert text.splitlines()[0].endswith("[platform-missing]")
    assert f"{arm.name}:docker" in text
    assert drained(aws, step) == (0, 0)
    assert announcements(aws, step, 0) == Counter(), "neither the healthy image nor the manifests of the indexes"
