"""An image that is removed raises an alarm if it is in use, and only then; a doubt is never silent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from image_verifier import retry
from image_verifier.entrypoints import image_removal, running_inventory
from image_verifier.faults import Fault
from image_verifier.in_use.watch_settings import MAX_AGE_SECONDS, VARIABLE, WatchSettings

from tests.faults.clock import Clock
from tests.unit.aws_server import ACCOUNT, REGION, Aws, serving_aws
from tests.unit.dynamo_table import DynamoTable
from tests.unit.ecr_repository import EcrRepository, repository

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
SHOP = f"{HOST}/shop"
CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/prod"
SERVICE = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/prod/web"
TASK = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/prod/1"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:api"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
SETTINGS = WatchSettings("Guard", "aws", ACCOUNT, REGION, "InUse", topic=TOPIC)
AT = "2026-11-16T01:54:34Z"


@dataclass
class Context:
    log_group_name: str = "/aws/lambda/Guard"
    log_stream_name: str = "2026/11/22/[1]abc"

    def get_remaining_time_in_millis(self) -> int:
        return 20_000


@dataclass
class Watch:
    """The handlers, with an account whose consumers a test sets."""

    aws: Aws
    shop: EcrRepository
    table: DynamoTable
    services: dict[str, tuple[str, str]] = field(default_factory=dict)
    tasks: dict[str, tuple[str, str]] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.aws.answers |= {
            "PutEvents": {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]},
            "Publish": {"MessageId": "1"},
            "ListClusters": {"clusterArns": [CLUSTER]},
            "ListServices": lambda _: {"serviceArns": [f"{SERVICE[:-3]}{name}" for name in self.services]},
            "DescribeServices": self._describe_services,
            "ListServiceDeployments": {"serviceDeployments": []},
            "ListTaskDefinitions": {"taskDefinitionArns": []},
            "DescribeServiceRevisions": self._revisions,
            "DescribeTaskDefinition": self._definition,
            "ListTasks": lambda _: {"taskArns": list(self.tasks)},
            "DescribeTasks": self._describe_tasks,
            "ListFunctions": lambda _: {
                "Functions": [
                    {"FunctionName": "api", "FunctionArn": arn, "PackageType": "Image"} for arn in self.functions
                ]
            },
            "GetFunction": lambda asked: {
                "Code": {"ImageUri": f"{SHOP}:1", "ResolvedImageUri": f"{SHOP}@{self.functions[asked['FunctionName']]}"}
            },
        }

    def _describe_services(self, asked: dict[str, Any]) -> dict[str, Any]:
        names = [one.rpartition("/")[2] for one in asked["services"]]
        found = [
            {
                "serviceArn": f"{SERVICE[:-3]}{name}",
                "serviceName": name,
                "launchType": "FARGATE",
                "taskDefinition": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{name}:1",
                "currentServiceRevisions": [{"arn": f"revision/{name}"}],
            }
            for name in names
            if name in self.services
        ]
        missing = [{"arn": f"{SERVICE[:-3]}{name}", "reason": "MISSING"} for name in names if name not in self.services]
        return {"services": found, "failures": missing}

    def _revisions(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = []
        for arn in asked["serviceRevisionArns"]:
            name = arn.rpartition("/")[2]
            reference, digest = self.services[name]
            images = [{"image": reference, **({"imageDigest": digest} if digest else {})}]
            definition = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{name}:1"
            found.append({"serviceRevisionArn": arn, "taskDefinition": definition, "containerImages": images})
        return {"serviceRevisions": found}

    def _definition(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["taskDefinition"].rpartition("/")[2].partition(":")[0]
        return {"taskDefinition": {"containerDefinitions": [{"name": name, "image": self.services[name][0]}]}}

    def task(self, arn: str) -> dict[str, Any]:
        """A task, as ECS and its events describe it."""
        reference, digest = self.tasks[arn]
        return {
            "taskArn": arn,
            "clusterArn": CLUSTER,
            "taskDefinitionArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/job:1",
            "group": "family:job",
            "lastStatus": "RUNNING",
            "launchType": "FARGATE",
            "containers": [{"image": reference, "imageDigest": digest}],
        }

    def _describe_tasks(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = [self.task(arn) for arn in asked["tasks"] if arn in self.tasks]
        missing = [{"arn": arn, "reason": "MISSING"} for arn in asked["tasks"] if arn not in self.tasks]
        return {"tasks": found, "failures": missing}

    def read_account(self) -> None:
        """Run the schedule's reading."""
        assert running_inventory.handler({"source": "aws.events"}, Context()) == {}

    def consumer_event(self, kind: str, detail: dict[str, Any], *resources: str) -> list[str]:
        """Deliver an event of ECS or Lambda."""
        event = {"detail-type": kind, "resources": list(resources), "detail": detail}
        return failures(running_inventory.handler(batch(event), Context()))

    def delete(self, digest: str, tag: str = "", *, gone: bool = True, times: int = 1) -> list[str]:
        """Delete an image, and deliver the event."""
        if gone:
            self.shop.manifests.pop(digest, None)
            self.shop.tags = {name: known for name, known in self.shop.tags.items() if known != digest}
        return self.deliver(*[action("DELETE", digest, tag)] * times)

    def deliver(self, *events: dict[str, Any]) -> list[str]:
        """Deliver events of ECR, and return the messages that are to be delivered again."""
        return failures(image_removal.handler(batch(*events), Context()))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The details of the events on the bus."""
        sent = [call["Entries"] for action, call in self.aws.calls if action == "PutEvents"]
        return [json.loads(entry["Detail"]) for entries in sent for entry in entries]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages on the topic."""
        return [call for action, call in self.aws.calls if action == "Publish"]


def batch(*events: dict[str, Any], first: int = 0) -> dict[str, Any]:
    return {"Records": [{"messageId": str(n), "body": json.dumps(event)} for n, event in enumerate(events, first)]}


def failures(answer: dict[str, Any]) -> list[str]:
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


def action(kind: str, digest: str, tag: str = "", *, at: str = AT, **detail: str) -> dict[str, Any]:
    return {
        "detail-type": "ECR Image Action",
        "source": "aws.ecr",
        "account": ACCOUNT,
        "region": REGION,
        "time": at,
        "detail": {
            "result": "SUCCESS",
            "repository-name": "shop",
            "image-digest": digest,
            "action-type": kind,
            **({"image-tag": tag} if tag else {}),
            **detail,
        },
    }


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of retries, which their pauses turn."""
    made = Clock()
    monkeypatch.setattr(retry, "time", made)
    monkeypatch.setattr(retry, "_pause", made.pause)
    return made


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    with serving_aws() as aws:
        aws.use(monkeypatch)
        monkeypatch.setenv(VARIABLE, json.dumps(SETTINGS.as_json()))
        yield Watch(aws, repository(aws, tmp_path / "shop"), DynamoTable(aws))


def running(watch: Watch, tag: str = "1") -> str:
    """A service that runs an image, by the digest of its tag."""
    digest = watch.shop.push(watch.shop.layout.image(), tag)
    watch.services["web"] = (f"{SHOP}:{tag}", digest)
    watch.read_account()
    return digest


def test_an_image_that_a_service_runs_is_announced_when_it_is_deleted(
    watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = running(watch)
    assert watch.delete(digest, "1") == []
    (event,) = watch.events
    assert event == {
        "schema_version": 1,
        "account": ACCOUNT,
        "region": REGION,
        "repository": "shop",
        "tag": "1",
        "digest": digest,
        "action": "deleted",
        "used_by": [
            {
                "name": "ECS service prod/web",
                "reference": f"{SHOP}:1",
                "digest": digest,
                "runs_on": "fargate",
                "confirmed": True,
            }
        ],
        "consumers": 1,
    }
    (message,) = watch.messages
    assert message["Subject"].startswith("Image in use deleted: shop:1@sha256:")
    text = " ".join(message["Message"].split())
    for words in (
        "used by ECS service prod/web",
        "scales out",
        "rolls back",
        "Push the image with this digest again",
        digest,
    ):
        assert words in text
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    assert [one["InUseRemoved"] for one in metrics if "InUseRemoved" in one] == [1]
    assert all(one["InventoryAge"] <= 60 for one in metrics if "InventoryAge" in one)


def test_an_image_that_nothing_uses_raises_no_alarm(watch: Watch) -> None:
    running(watch)
    other = watch.shop.push(watch.shop.layout.image(config={"architecture": "arm64"}), "2")
    assert watch.delete(other, "2") == []
    assert (watch.events, watch.messages) == ([], [])
    assert watch.table.calls("Query") == 0


def test_the_same_removal_is_announced_once(watch: Watch) -> None:
    digest = running(watch)
    assert watch.delete(digest, "1", times=2) == []
    # ECR may report it twice, and one event for each tag; the next reading finds the image missing.
    assert watch.deliver(action("DELETE", digest, "stable", at="2026-11-16T01:55:34Z")) == []
    watch.read_account()
    assert (len(watch.events), len(watch.messages)) == (1, 1)
    watch.deliver(action("DELETE", digest, "1", at="2026-11-17T01:54:34Z"))
    assert len(watch.events) == 2, "a day later, it was pushed again and deleted again"


def test_two_lambdas_with_events_of_one_removal_announce_it_once(watch: Watch) -> None:
    digest = running(watch)
    watch.shop.manifests.pop(digest)
    publish, nested = watch.aws.answers["Publish"], []

    def meanwhile(_: dict[str, Any]) -> Any:
        # The first one has announced the event and not yet the message.
        nested.append(failures(image_removal.handler(batch(action("DELETE", digest, "2"), first=1), Context())))
        return publish

    watch.aws.answers["Publish"] = meanwhile
    assert watch.deliver(action("DELETE", digest, "1")) == []
    assert (nested, len(watch.events), len(watch.messages)) == ([[]], 1, 1)


def test_an_announcement_that_failed_is_made_by_the_same_message_when_it_comes_back(watch: Watch) -> None:
    digest = running(watch)
    publish = watch.aws.answers["Publish"]
    watch.aws.answers["Publish"] = Aws.refusal("AuthorizationErrorException", "no", 403)
    assert watch.delete(digest, "1") == ["0"]
    watch.aws.answers["Publish"] = publish
    assert watch.delete(digest, "1") == []
    watch.delete(digest, "1")
    assert len(watch.messages) == 2, "the one that failed, and one more"


def test_a_removal_whose_event_was_lost_is_announced_by_the_next_reading(watch: Watch) -> None:
    digest = running(watch)
    watch.shop.manifests.pop(digest)
    watch.shop.tags.clear()
    watch.read_account()
    watch.read_account()
    assert [(event["action"], event["digest"]) for event in watch.events] == [("deleted", digest)]


def test_an_archived_image_is_announced_with_the_command_that_restores_it(watch: Watch) -> None:
    digest = running(watch)
    details = {"imageDigest": digest, "imageTags": ["1"], "imageStatus": "ARCHIVED"}
    watch.aws.answers["DescribeImages"] = {"imageDetails": [details]}
    storage = {"target-storage-class": "ARCHIVE"}
    assert watch.deliver(action("UPDATE", digest, **storage)) == []
    assert [event["action"] for event in watch.events] == ["archived"]
    assert f"--image-id imageDigest={digest} --target-storage-class STANDARD" in watch.messages[0]["Message"]


def test_a_removal_that_was_undone_raises_no_alarm(watch: Watch) -> None:
    digest = running(watch)
    assert watch.delete(digest, "1", gone=False) == []
    assert watch.events == []


def test_a_tag_that_a_service_names_and_that_is_moved_is_announced(watch: Watch) -> None:
    old = running(watch)
    new = watch.shop.push(watch.shop.layout.image(config={"architecture": "arm64"}), "1")
    watch.aws.answers["DescribeImages"] = {"imageDetails": [{"imageDigest": old, "imageStatus": "ACTIVE"}]}
    assert watch.deliver(action("PUSH", new, "1")) == []
    (event,) = watch.events
    assert (event["action"], event["digest"], event["used_by"][0]["digest"]) == ("retagged", new, old)
    assert f"imageDigest={old}" in watch.messages[0]["Message"]


@pytest.mark.parametrize("what", ["the same image again", "another tag", "a tag that another tag keeps"])
def test_a_push_that_takes_nothing_from_a_service_raises_no_alarm(watch: Watch, what: str) -> None:
    old = running(watch)
    other = watch.shop.push(watch.shop.layout.image(config={"architecture": "arm64"}))
    kept = {"imageDigest": old, "imageTags": ["stable"], "imageStatus": "ACTIVE"}
    watch.aws.answers["DescribeImages"] = {"imageDetails": [kept]}
    pushed = {
        "the same image again": action("PUSH", old, "1"),
        "another tag": action("PUSH", other, "2"),
        "a tag that another tag keeps": action("PUSH", other, "1"),
    }
    assert watch.deliver(pushed[what]) == []
    assert watch.events == []


def test_a_tag_that_a_service_without_digests_names_is_announced_when_it_is_removed(watch: Watch) -> None:
    digest = watch.shop.push(watch.shop.layout.image(), "1")
    watch.services["web"] = (f"{SHOP}:1", "")
    watch.read_account()
    watch.aws.answers["DescribeImages"] = {"imageDetails": [{"imageDigest": digest, "imageTags": ["2"]}]}
    assert watch.deliver(action("DELETE", digest, "1")) == []
    assert [event["action"] for event in watch.events] == ["untagged"]


def test_a_service_that_runs_by_digest_does_not_miss_another_image_under_its_tag(watch: Watch) -> None:
    running(watch)
    other = watch.shop.push(watch.shop.layout.image(config={"architecture": "arm64"}))
    assert watch.delete(other, "1") == []
    assert watch.events == []


@pytest.mark.parametrize("removed", ["manifest", "index"])
@pytest.mark.parametrize("runs", ["manifest", "index"])
def test_an_index_and_its_manifest_are_in_use_where_one_of_them_runs(watch: Watch, runs: str, removed: str) -> None:
    image = watch.shop.layout.image()
    index = watch.shop.layout.index({**image, "platform": {"os": "linux", "architecture": "amd64"}})
    digests = {"manifest": watch.shop.push(image), "index": watch.shop.push(index, "1")}
    watch.services["web"] = (f"{SHOP}:1", digests[runs])
    watch.read_account()
    assert watch.delete(digests[removed]) == []
    assert [event["digest"] for event in watch.events] == [digests[removed]]


def test_images_of_other_accounts_and_regions_are_not_read_and_do_not_stop_the_reading(watch: Watch) -> None:
    digest = watch.shop.push(watch.shop.layout.image(), "1")
    elsewhere = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/shop:1"
    watch.services |= {"web": (f"{SHOP}:1", digest), "far": (elsewhere, digest), "hub": ("nginx:1", "")}
    watch.services["other"] = (f"999988887777.dkr.ecr.{REGION}.amazonaws.com/shop:1", digest)
    watch.read_account()
    asked = [call for name, call in watch.aws.calls if name == "BatchGetImage"]
    assert {(call["registryId"], call["repositoryName"]) for call in asked} == {(ACCOUNT, "shop")}
    assert len(asked) == 1
    assert watch.delete(digest) == []
    assert [user["name"] for user in watch.events[0]["used_by"]] == ["ECS service prod/web"]


def test_an_image_that_ecr_cannot_read_does_not_keep_the_others_out_of_the_inventory(watch: Watch) -> None:
    digest = watch.shop.push(watch.shop.layout.image(), "1")
    watch.services["web"] = (f"{SHOP}:1", digest)
    failures = [{"imageId": {"imageDigest": digest}, "failureCode": "KmsError"}]
    failures.append({"imageId": {"imageTag": "1"}, "failureCode": "KmsError"})
    watch.aws.answers["BatchGetImage"] = {"images": [], "failures": failures}
    watch.read_account()
    assert watch.events == [], "it is there, as DescribeImages says"
    assert watch.delete(digest) == []
    assert [event["digest"] for event in watch.events] == [digest]


def test_a_function_and_a_task_protect_their_images(watch: Watch) -> None:
    digest = watch.shop.push(watch.shop.layout.image(), "1")
    watch.functions[FUNCTION] = digest
    watch.tasks[TASK] = (f"{SHOP}:1", digest)
    watch.read_account()
    assert watch.delete(digest) == []
    assert [user["name"] for user in watch.events[0]["used_by"]] == ["Lambda function api", "ECS task prod/job:1"]
    assert "ImageDeleted" in watch.messages[0]["Message"]


def test_a_task_that_has_stopped_meanwhile_raises_no_alarm(watch: Watch) -> None:
    digest = watch.shop.push(watch.shop.layout.image(), "1")
    watch.tasks[TASK] = (f"{SHOP}:1", digest)
    watch.read_account()
    watch.tasks.clear()
    assert watch.delete(digest) == []
    assert watch.events == []


def test_an_event_of_a_task_counts_without_any_call_and_in_any_order(watch: Watch) -> None:
    running(watch)
    digest = watch.shop.push(watch.shop.layout.image(config={"architecture": "arm64"}), "2")
    watch.tasks[TASK] = (f"{SHOP}:2", digest)
    before = len(watch.aws.calls)
    late = {**watch.task(TASK), "lastStatus": "PENDING"}
    for task in (watch.task(TASK), late, watch.task(TASK)):
        assert watch.consumer_event("ECS Task State Change", task) == []
    assert {name for name, _ in watch.aws.calls[before:]} == {"BatchGetImage", "BatchWriteItem"}
    assert watch.delete(digest) == []
    assert [event["digest"] for event in watch.events] == [digest]


def test_an_event_of_a_service_reads_that_service_alone_and_once(watch: Watch) -> None:
    running(watch)
    digest = watch.shop.push(watch.shop.layout.image(config={"architecture": "arm64"}), "2")
    watch.services["web"] = (f"{SHOP}:2", digest)
    watch.aws.calls.clear()
    deployed = {"detail-type": "ECS Deployment State Change", "resources": [SERVICE], "detail": {}}
    steady = {"detail-type": "ECS Service Action", "resources": [SERVICE], "detail": {"clusterArn": CLUSTER}}
    assert failures(running_inventory.handler(batch(deployed, steady, deployed), Context())) == []
    names = [name for name, _ in watch.aws.calls]
    assert names.count("DescribeServices") == 1
    assert not {"ListClusters", "ListServices", "ListTasks", "ListFunctions"} & set(names)
    assert watch.delete(digest) == []
    assert [event["used_by"][0]["name"] for event in watch.events] == ["ECS service prod/web"]


def test_an_old_row_of_a_service_that_runs_another_image_now_raises_no_alarm(watch: Watch) -> None:
    old = running(watch)
    new = watch.shop.push(watch.shop.layout.image(config={"architecture": "arm64"}), "2")
    watch.services["web"] = (f"{SHOP}:2", new)
    watch.read_account()
    assert watch.delete(old) == []
    assert watch.events == []


def test_one_consumer_among_many_that_have_moved_on_is_found(watch: Watch) -> None:
    old = watch.shop.push(watch.shop.layout.image(), "1")
    new = watch.shop.push(watch.shop.layout.image(config={"architecture": "arm64"}), "2")
    names = [f"web{number:02}" for number in range(30)]
    watch.services |= dict.fromkeys(names, (f"{SHOP}:1", old))
    watch.read_account()
    watch.services |= dict.fromkeys(names[:-1], (f"{SHOP}:2", new))
    assert watch.delete(old) == []
    assert [user["name"] for user in watch.events[0]["used_by"]] == ["ECS service prod/web29"]


@pytest.mark.parametrize("place", ["resources", "detail"])
def test_a_function_is_read_after_its_state_has_changed(watch: Watch, place: str) -> None:
    running(watch)
    digest = watch.shop.push(watch.shop.layout.image(config={"architecture": "arm64"}), "2")
    watch.functions[f"{FUNCTION}:$LATEST"] = digest
    named = {"resources": [FUNCTION], "detail": {}} if place == "resources" else {"detail": {"functionArn": FUNCTION}}
    event = {"source": "aws.lambda", "detail-type": "Lambda Function State Change", **named}
    assert failures(running_inventory.handler(batch(event), Context())) == []
    assert watch.delete(digest) == []
    assert [event["used_by"][0]["name"] for event in watch.events] == ["Lambda function api"]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"source": "aws.lambda", "detail": {}},
        {"detail-type": "ECS Deployment State Change", "resources": [], "detail": {}},
    ],
)
def test_an_event_that_names_no_consumer_is_delivered_again(watch: Watch, event: dict[str, Any]) -> None:
    assert failures(running_inventory.handler(batch(event), Context())) == ["0"]


def test_a_consumer_that_cannot_be_read_again_is_announced_with_the_doubt(watch: Watch) -> None:
    digest = running(watch)
    watch.aws.answers["DescribeServices"] = Aws.refusal("ClientException", "no")
    assert watch.delete(digest) == []
    assert [event["used_by"][0]["confirmed"] for event in watch.events] == [False]
    assert "could not be read again" in watch.messages[0]["Message"]


def test_consumers_that_ecs_does_not_describe_in_time_are_announced_before_the_lambda_ends(
    watch: Watch, clock: Clock
) -> None:
    digest = watch.shop.push(watch.shop.layout.image(), "1")
    watch.services |= {f"web{number}": (f"{SHOP}:1", digest) for number in range(8)}
    watch.read_account()
    watch.aws.answers["DescribeServices"] = Aws.refusal("ThrottlingException", "Rate exceeded")
    began = clock.monotonic()
    assert watch.delete(digest) == []
    assert clock.monotonic() - began < Context().get_remaining_time_in_millis() / 1000
    assert [user["confirmed"] for event in watch.events for user in event["used_by"]] == [False] * 8


def test_a_service_that_ecs_does_not_describe_leaves_the_others_of_its_batch_their_time(
    watch: Watch, clock: Clock
) -> None:
    digest = watch.shop.push(watch.shop.layout.image(), "1")
    watch.services |= dict.fromkeys(("stuck", "web"), (f"{SHOP}:1", digest))
    described = watch.aws.answers["DescribeServices"]
    watch.aws.answers["DescribeServices"] = lambda asked: (
        Aws.refusal("ThrottlingException", "Rate exceeded") if "stuck" in asked["services"][0] else described(asked)
    )
    steady = [
        {"detail-type": "ECS Service Action", "resources": [f"{SERVICE[:-3]}{name}"], "detail": {"clusterArn": CLUSTER}}
        for name in ("stuck", "web")
    ]
    began = clock.monotonic()
    assert failures(running_inventory.handler(batch(*steady), Context())) == ["0"]
    assert clock.monotonic() - began < Context().get_remaining_time_in_millis() / 1000


def test_without_an_inventory_every_removal_is_delivered_again(
    watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = watch.shop.push(watch.shop.layout.image(), "1")
    assert watch.delete(digest, "1") == ["0"]
    assert "the inventory is missing or too old" in capsys.readouterr().out
    watch.services["web"] = (f"{SHOP}:1", digest)
    watch.read_account()
    assert watch.deliver(action("DELETE", digest, "1")) == []
    assert len(watch.events) == 1


def test_an_old_inventory_still_raises_alarms_and_never_says_that_nothing_is_in_use(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = running(watch)
    other = watch.shop.push(watch.shop.layout.image(config={"architecture": "arm64"}), "2")
    later = time.time() + MAX_AGE_SECONDS + 60
    monkeypatch.setattr(time, "time", lambda: later)
    assert watch.delete(other, "2") == ["0"]
    assert watch.delete(digest, "1") == []
    assert len(watch.events) == 1


def test_an_old_inventory_whose_consumers_have_moved_on_says_nothing_about_others(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = running(watch)
    del watch.services["web"]
    later = time.time() + MAX_AGE_SECONDS + 60
    monkeypatch.setattr(time, "time", lambda: later)
    assert watch.delete(old, "1") == ["0"]
    assert watch.events == []


@pytest.mark.parametrize("operation", ["ListServices", "DescribeServices", "GetFunction", "BatchGetImage"])
def test_a_denied_reading_is_a_fault_and_the_inventory_ages(watch: Watch, operation: str) -> None:
    digest = watch.shop.push(watch.shop.layout.image(), "1")
    watch.services["web"], watch.functions[FUNCTION] = (f"{SHOP}:1", digest), digest
    watch.aws.answers[operation] = Aws.refusal("AccessDeniedException", "no")
    with pytest.raises(Fault):
        running_inventory.handler({}, Context())
    assert watch.delete(digest, "1") == ["0"]


def test_a_reading_that_has_just_ended_reports_the_age_0(
    watch: Watch, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The table has whole seconds: at the end of one, the reading would look a second old, which raises the alarm.
    monkeypatch.setattr(time, "time", lambda: 1_796_000_000.9)
    running(watch)
    ages = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "InventoryAge" in line]
    assert [age["InventoryAge"] for age in ages] == [0]


def test_a_denied_table_fails_the_whole_batch(watch: Watch) -> None:
    digest = running(watch)
    watch.aws.answers["BatchGetItem"] = Aws.refusal("AccessDeniedException", "no")
    assert watch.delete(digest, "1", times=2) == ["0", "1"]
    assert watch.events == []


def test_what_dynamodb_leaves_unprocessed_is_asked_for_again(watch: Watch) -> None:
    watch.table.unprocessed, watch.table.page = 3, 1
    digest = running(watch)
    for number in range(3):
        watch.services[f"web{number}"] = (f"{SHOP}:1", digest)
    watch.read_account()
    watch.table.unprocessed = 2
    assert watch.delete(digest, "1") == []
    assert watch.events[0]["consumers"] == 4


def test_ten_thousand_deletions_cost_one_lookup_a_batch_and_nothing_else(watch: Watch) -> None:
    digest = running(watch)
    removed = [action("DELETE", f"sha256:{number:064x}", f"v{number}") for number in range(9_999)]
    removed.insert(5_000, action("DELETE", digest, "1"))
    watch.shop.manifests.pop(digest)
    watch.aws.calls.clear()
    batches = [removed[start : start + 40] for start in range(0, len(removed), 40)]
    assert [failed for some in batches for failed in watch.deliver(*some)] == []
    assert len(batches) == 250 <= len(removed) / 10
    assert watch.table.calls("BatchGetItem") == len(batches)
    assert [event["digest"] for event in watch.events] == [digest]
    assert len(watch.aws.calls) < len(batches) + 20
