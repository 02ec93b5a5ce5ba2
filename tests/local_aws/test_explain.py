"""`safe-image explain --service`, `--task`, `--function` and `--stack` against the local AWS: six incidents of ECS."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session
from image_verifier.image import media_types

from local_aws import ACCOUNT, REGION, LocalAws
from local_engines.checkout import ROOT
from tests.docs.transcripts import shown_as, transcripts
from tests.local_aws.helpers import Pushed
from tests.local_aws.incidents import NAME, SERVICE, TASK, EcsIncident
from tests.pushing import push
from tests.unit.images import Layout
from tests.unit.json_reports import valid

README = ROOT / "README.md"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
CIRCUIT_BREAKER = "ECS deployment circuit breaker: tasks failed to start."
PULL = "CannotPullContainerError: ref pull has been retried 1 time(s): number of layers and diffIDs don't match: 1 != 2"


@pytest.fixture(autouse=True)
def _nothing_recorded_is_left(aws: LocalAws) -> Iterator[None]:
    yield
    aws.clear_incidents()


@pytest.fixture
def zstd(aws: LocalAws, repository: Pushed, tmp_path: Path) -> tuple[str, str]:
    """An image with a zstd layer under Docker's media type: its reference and its digest."""
    layout = Layout(tmp_path)
    types = (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    layout.source(layout.image(schema_2=True, layer_types=types))
    digest = push(aws, tmp_path, repository.name, "1")
    return f"{HOST}/{repository.name}:1", digest


@pytest.fixture
def good(repository: Pushed) -> tuple[str, str]:
    """A healthy image in the same repository: its reference and its digest."""
    digest = repository.image("good")
    return f"{HOST}/{repository.name}:good", digest


def explain(aws: LocalAws, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "safe_image", "explain", *arguments]
    return subprocess.run(command, env=aws.env(), capture_output=True, text=True, check=False)


def as_json(aws: LocalAws, *arguments: str) -> dict[str, Any]:
    done = explain(aws, *arguments, "--format", "json")
    assert done.stdout, done.stderr
    value: dict[str, Any] = valid(json.loads(done.stdout))
    return value


def rolled_back(images: dict[str, str], digests: dict[str, str]) -> EcsIncident:
    """A service that went back to revision 1 after revision 2 had failed."""
    incident = EcsIncident(images)
    incident.service(1, 2, ["(service web) has reached a steady state."], {"id": "1", "rolloutState": "COMPLETED"})
    incident.deployment("ROLLBACK_SUCCESSFUL", 2, CIRCUIT_BREAKER, digests)
    return incident


def test_a_failing_pull_is_explained_with_its_image_and_its_digest(aws: LocalAws, zstd: tuple[str, str]) -> None:
    image, digest = zstd
    incident = EcsIncident({"web": image})
    incident.service(2, 0, ["(service web) has started 1 tasks."], {"id": "2", "failedTasks": 3})
    incident.deployment("IN_PROGRESS", 2)
    incident.task(2, "Task failed to start", [{"name": "web", "image": image, "imageDigest": digest, "reason": PULL}])
    aws.record_incident(incident.records)
    done = explain(aws, "--service", f"shop/{NAME}")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("FAILED  service web in cluster shop (ECS on Fargate, linux/amd64)\n")
    assert f"digest: {digest} (the digest that the task used)" in done.stdout
    assert f"YES  it is the image: {image.rpartition(':')[0]}@{digest} has layer-type-unsupported" in done.stdout
    assert "zstd-not-counted · stage: pull" in done.stdout
    assert f"Container web: {PULL}" in done.stdout
    (shown,) = [lines for call, lines in transcripts(README.read_text()) if call.endswith("--service shop/web")]
    assert shown_as(shown, done.stdout.splitlines())


def test_of_a_service_that_was_rolled_back_the_deployment_that_failed_is_explained(
    aws: LocalAws, zstd: tuple[str, str], good: tuple[str, str]
) -> None:
    incident = rolled_back({"web": zstd[0]}, {"web": zstd[1]})
    incident.task(
        1, "Scaling activity initiated by (deployment ecs-svc/1)", [{"name": "web", "image": good[0]}], ago=10
    )
    incident.task(2, "Task failed to start", [{"name": "web", "image": zstd[0], "reason": PULL}])
    aws.record_incident(incident.records)
    value = as_json(aws, "--service", SERVICE)
    (failure,) = value["failures"]
    assert (failure["image"], failure["digest"]) == (f"{zstd[0].rpartition(':')[0]}@{zstd[1]}", zstd[1])
    assert failure["digest_source"] == "the digest that the service's revision was resolved to"
    assert failure["causes"][0]["id"] == "zstd-not-counted"
    assert failure["verification"]["culprit"] == "yes"
    assert any("ROLLBACK_SUCCESSFUL" in sentence for sentence in value["proof"])


def test_where_no_task_is_left_the_events_and_the_revision_tell_and_it_is_said(
    aws: LocalAws, zstd: tuple[str, str]
) -> None:
    incident = rolled_back({"web": zstd[0]}, {"web": zstd[1]})
    aws.record_incident(incident.records)
    value = as_json(aws, "--service", f"shop/{NAME}")
    (failure,) = value["failures"]
    assert failure["verification"]["confirmed"] == ["layer-type-unsupported"]
    assert failure["causes"][0]["id"] == "layer-type-unsupported"
    assert "about an hour" in value["notes"][0]


def test_two_containers_that_fail_are_both_explained(
    aws: LocalAws, zstd: tuple[str, str], good: tuple[str, str]
) -> None:
    incident = rolled_back({"web": zstd[0], "log": good[0]}, {})
    missing = "CannotPullContainerError: failed to resolve ref x: dial tcp 10.0.0.7:443: i/o timeout"
    containers = [
        {"name": "web", "image": zstd[0], "imageDigest": zstd[1], "reason": PULL},
        {"name": "log", "image": good[0], "reason": missing},
    ]
    incident.task(2, "Task failed to start", containers)
    aws.record_incident(incident.records)
    value = as_json(aws, "--service", f"shop/{NAME}")
    told = {one["name"]: (one["causes"][0]["id"], one["verification"]["culprit"]) for one in value["failures"]}
    assert told == {"web": ("zstd-not-counted", "yes"), "log": ("registry-unreachable", "no")}
    assert value["failures"][1]["digest_source"] == "the tag as it is now, which may have moved since"


def test_an_image_of_another_account_leaves_the_cause_and_says_what_was_denied(aws: LocalAws) -> None:
    image = f"999999999999.dkr.ecr.{REGION}.amazonaws.com/theirs:1"
    reason = (
        f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: "
        f"pulling from host 999999999999.dkr.ecr.{REGION}.amazonaws.com "
        "failed with status code [manifests 1]: 403 Forbidden"
    )
    incident = rolled_back({"web": image}, {})
    incident.task(2, reason, [{"name": "web", "image": image}])
    aws.record_incident(incident.records)
    aws.faults.deny("ecr:*")
    done = explain(aws, "--service", f"shop/{NAME}")
    assert done.returncode == 2
    assert "pull-denied · stage: resolve · to blame: permissions" in done.stdout
    assert "UNKNOWN  " in done.stdout


def test_a_healthy_service_is_said_to_be_that(aws: LocalAws, good: tuple[str, str]) -> None:
    incident = EcsIncident({"web": good[0]})
    incident.service(2, 2, ["(service web) has reached a steady state."], {"id": "2", "rolloutState": "COMPLETED"})
    incident.deployment("SUCCESSFUL", 2)
    incident.task(1, "Essential container in task exited", [{"name": "web", "exitCode": 1}], ago=3_000)
    aws.record_incident(incident.records)
    done = explain(aws, "--service", f"shop/{NAME}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("HEALTHY  service web in cluster shop\n")
    assert "2 of 2 tasks run." in done.stdout


@pytest.mark.parametrize(
    "denied",
    ["ListTasks", "DescribeTasks", "DescribeTaskDefinition", "ListServiceDeployments", "DescribeServiceRevisions"],
)
def test_a_call_that_is_denied_costs_only_its_part(aws: LocalAws, zstd: tuple[str, str], denied: str) -> None:
    incident = rolled_back({"web": zstd[0]}, {"web": zstd[1]})
    incident.task(2, "Task failed to start", [{"name": "web", "image": zstd[0], "reason": PULL}])
    aws.record_incident(incident.records)
    aws.faults.deny(f"ecs:{denied}")
    value = as_json(aws, "--service", f"shop/{NAME}")
    assert value["failures"][0]["verification"]["culprit"] == "yes"
    assert any(f"ecs:{denied}" in note for note in value["notes"])


def test_a_task_is_explained_by_its_arn_and_one_that_is_gone_is_said_to_be_that(
    aws: LocalAws, zstd: tuple[str, str]
) -> None:
    incident = rolled_back({"web": zstd[0]}, {})
    incident.task(2, "Essential container in task exited", [{"name": "web", "image": zstd[0], "exitCode": 255}])
    aws.record_incident(incident.records)
    value = as_json(aws, "--task", TASK)
    assert value["subject"] == "task 0a1b2c3d4e5f in cluster shop"
    assert "Container web exited with code 255" in value["proof"]
    gone = explain(aws, "--task", TASK.replace("0a1b", "ffff"))
    assert gone.returncode == 2
    assert "stopped tasks vanish after about an hour" in gone.stderr


def function(image: str, **configuration: Any) -> dict[str, Any]:
    return {
        "Configuration": {
            "FunctionName": "resize",
            "FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:resize",
            "PackageType": "Image",
            "Architectures": ["x86_64"],
            "State": "Active",
            "LastUpdateStatus": "Successful",
            **configuration,
        },
        "Code": {"RepositoryType": "ECR", "ImageUri": image, "ResolvedImageUri": image},
    }


def test_a_function_is_explained_by_its_state_and_its_image(aws: LocalAws, zstd: tuple[str, str]) -> None:
    image = f"{zstd[0].rpartition(':')[0]}@{zstd[1]}"
    reason = "InvalidImage(ImageLayerFailure: UnsupportedImageLayerDetected - Layer Digest sha256:1)"
    broken = {"State": "Failed", "StateReason": reason, "StateReasonCode": "InvalidImage"}
    aws.record_incident({"functions": [function(image, **broken)]})
    value = as_json(aws, "--function", "resize")
    assert (value["subject"], value["runs_on"]) == ("function resize", "lambda")
    assert value["failures"][0]["causes"][0]["id"] == "lambda-layer-refused"
    assert value["failures"][0]["digest"] == zstd[1]


def test_a_function_that_is_well_and_logs_no_error_is_healthy(aws: LocalAws, good: tuple[str, str]) -> None:
    aws.record_incident({"functions": [function(good[0])]})
    done = explain(aws, "--function", "resize")
    assert done.returncode == 0
    assert done.stdout.startswith("HEALTHY  function resize\n")


def stack_event(resource: str, kind: str, status: str, reason: str, physical: str = "") -> dict[str, Any]:
    stack_id = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Shop/1"
    return {
        "StackId": stack_id,
        "EventId": f"{resource}-{status}",
        "StackName": "Shop",
        "LogicalResourceId": resource,
        "PhysicalResourceId": physical or (stack_id if kind == "AWS::CloudFormation::Stack" else resource),
        "ResourceType": kind,
        "Timestamp": "2026-11-28T02:03:11Z",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


def test_a_stack_leads_to_the_service_that_failed_first(aws: LocalAws, zstd: tuple[str, str]) -> None:
    incident = rolled_back({"web": zstd[0]}, {"web": zstd[1]})
    incident.task(2, "Task failed to start", [{"name": "web", "image": zstd[0], "reason": PULL}])
    breaker = "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'."
    events = [
        stack_event("Shop", "AWS::CloudFormation::Stack", "UPDATE_ROLLBACK_IN_PROGRESS", "failed to update: [Web]"),
        stack_event("Queue", "AWS::SQS::Queue", "UPDATE_FAILED", "Resource update cancelled"),
        stack_event("Web", "AWS::ECS::Service", "UPDATE_FAILED", breaker, SERVICE),
        stack_event("Shop", "AWS::CloudFormation::Stack", "UPDATE_IN_PROGRESS", "User Initiated"),
        stack_event("Old", "AWS::Lambda::Function", "CREATE_FAILED", "of another deploy"),
    ]
    aws.record_incident({**incident.records, "stackEvents": events})
    value = as_json(aws, "--stack", "Shop")
    assert value["subject"] == "stack Shop: service web in cluster shop"
    assert value["proof"][0] == f"Web (AWS::ECS::Service): {breaker}"
    assert value["failures"][0]["causes"][0]["id"] == "zstd-not-counted"


def test_a_stack_whose_resource_never_came_to_be_is_explained_by_the_event(aws: LocalAws) -> None:
    reason = f'Resource handler returned message: "Source image {HOST}/x:1 is not valid. Provide a valid source image."'
    events = [
        stack_event("Resize", "AWS::Lambda::Function", "CREATE_FAILED", reason),
        stack_event("Shop", "AWS::CloudFormation::Stack", "CREATE_IN_PROGRESS", "User Initiated"),
    ]
    aws.record_incident({"stackEvents": events})
    value = as_json(aws, "--stack", "Shop")
    assert value["failures"][0]["causes"][0]["id"] == "lambda-uri-invalid"


def test_a_service_that_is_not_there_is_one_line(aws: LocalAws, good: tuple[str, str]) -> None:
    incident = rolled_back({"web": good[0]}, {})
    aws.record_incident(incident.records)
    done = explain(aws, "--service", "shop/nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("safe-image: Cluster shop has no service nothing.")
    assert done.stderr.count("\n") == 1


def test_what_is_recorded_has_the_shapes_of_aws(aws: LocalAws, good: tuple[str, str]) -> None:
    incident = rolled_back({"web": good[0]}, {"web": good[1]})
    incident.task(2, PULL, [{"name": "web", "image": good[0], "reason": PULL, "exitCode": 1}])
    model = get_session().get_service_model("ecs")
    for kind, shape in {
        "services": "Service",
        "tasks": "Task",
        "taskDefinitions": "TaskDefinition",
        "serviceDeployments": "ServiceDeploymentBrief",
        "serviceRevisions": "ServiceRevision",
    }.items():
        members = set(getattr(model.shape_for(shape), "members", ()))
        assert all(set(record) <= members for record in incident.records[kind]), kind
