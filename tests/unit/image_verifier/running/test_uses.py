"""The images that ECS and Lambda run: each with its digest, runtime and platform; an incomplete answer is a fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from image_verifier import aws as calls
from image_verifier.faults import Fault
from image_verifier.running.ecs_uses import family_and_revision, uses_in_ecs, uses_of_services, uses_of_tasks
from image_verifier.running.image_use import Consumer, ConsumerKind, ImageUse, without_tag
from image_verifier.running.lambda_uses import uses_in_lambda, uses_of_function
from image_verifier.running.launch import machine_of, platform_of, runtime_of

from tests.unit.aws_server import ACCOUNT, REGION, Aws, serving_aws

SHOP = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop"
CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/prod"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:api"
OLD, NEW, NEXT = (f"sha256:{number:064x}" for number in (1, 2, 3))
WEB = Consumer(ConsumerKind.SERVICE, "web", CLUSTER)


def arn(kind: str, name: str) -> str:
    return f"arn:aws:ecs:{REGION}:{ACCOUNT}:{kind}/{name}"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with serving_aws() as server:
        server.use(monkeypatch)
        server.answers |= {
            "ListClusters": {"clusterArns": [CLUSTER]},
            "ListServices": {"serviceArns": [arn("service", "prod/web")]},
            "ListTasks": {"taskArns": []},
            "ListServiceDeployments": {"serviceDeployments": []},
            "ListTaskDefinitions": {"taskDefinitionArns": []},
            "DescribeServiceRevisions": described_revisions,
            "DescribeTaskDefinition": definition,
        }
        yield server


def client(service: Any) -> Any:
    return calls.session().client(service, region_name=REGION, config=calls.CLIENT_CONFIG)


DIGESTS = {"1": OLD, "2": NEW, "3": NEXT}


def described_revisions(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "serviceRevisions": [
            {
                "serviceRevisionArn": one,
                "taskDefinition": arn("task-definition", f"web:{one[-1]}"),
                "launchType": "FARGATE",
                "containerImages": [{"image": f"{SHOP}:{one[-1]}", "imageDigest": DIGESTS[one[-1]]}],
            }
            for one in parameters["serviceRevisionArns"]
        ]
    }


def definition(parameters: dict[str, Any]) -> dict[str, Any]:
    number = parameters["taskDefinition"][-1]
    return {
        "taskDefinition": {
            "runtimePlatform": {"cpuArchitecture": "ARM64"},
            "containerDefinitions": [{"name": "web", "image": f"{SHOP}:{number}"}],
        }
    }


def service(**more: Any) -> dict[str, Any]:
    known = {"serviceArn": arn("service", "prod/web"), "serviceName": "web", "launchType": "FARGATE"}
    return {"services": [{**known, "taskDefinition": arn("task-definition", "web:2"), **more}]}


def revision(number: int) -> str:
    return arn("service-revision", f"prod/web/{number}")


def deployment(number: int, status: str) -> dict[str, Any]:
    return {"createdAt": number, "status": status, "targetServiceRevisionArn": revision(number)}


def test_a_service_uses_what_it_runs_what_it_starts_next_and_what_it_rolls_back_to(aws: Aws) -> None:
    aws.answers["DescribeServices"] = service(currentServiceRevisions=[{"arn": revision(2)}])
    aws.answers["ListServiceDeployments"] = {
        "serviceDeployments": [
            deployment(3, "IN_PROGRESS"),
            deployment(2, "SUCCESSFUL"),
            deployment(1, "SUCCESSFUL"),
        ]
    }
    found = uses_in_ecs(client("ecs"))
    assert found == [
        ImageUse(f"{SHOP}:2", NEW, "ECS service prod/web", WEB, "fargate", "linux/arm64"),
        ImageUse(f"{SHOP}:3", NEXT, "ECS service prod/web", WEB, "fargate", "linux/arm64"),
        ImageUse(f"{SHOP}:1", OLD, "ECS service prod/web, rolled back to web:1", WEB, "fargate", "linux/arm64"),
    ]
    assert uses_of_services(client("ecs"), CLUSTER, ["web"]) == found
    assert found[0].pinned == f"{SHOP}@{NEW}"


def test_where_ecs_lists_no_deployment_the_previous_revision_of_the_task_definition_counts(aws: Aws) -> None:
    aws.answers["DescribeServices"] = service()
    aws.answers["ListTaskDefinitions"] = {"taskDefinitionArns": [arn("task-definition", f"web:{n}") for n in (2, 1)]}
    assert [(use.reference, use.digest, use.user) for use in uses_in_ecs(client("ecs"))] == [
        (f"{SHOP}:2", "", "ECS service prod/web"),
        (f"{SHOP}:1", "", "ECS service prod/web, rolled back to web:1"),
    ]


def test_a_revision_whose_task_definition_was_deleted_still_protects_its_digests(aws: Aws) -> None:
    aws.answers["DescribeServices"] = service(taskDefinition="", currentServiceRevisions=[{"arn": revision(2)}])
    aws.answers["DescribeTaskDefinition"] = Aws.refusal("ClientException", "Unable to describe task definition.")
    assert [use.digest for use in uses_in_ecs(client("ecs"))] == [NEW]


def test_a_task_runs_its_digests_until_it_has_stopped(aws: Aws) -> None:
    task: dict[str, Any] = {
        "taskArn": arn("task", "prod/1"),
        "taskDefinitionArn": arn("task-definition", "job:4"),
        "group": "family:job",
        "launchType": "FARGATE",
        "lastStatus": "RUNNING",
        "attributes": [{"name": "ecs.cpu-architecture", "value": "arm64"}],
        "containers": [{"image": f"{SHOP}:1", "imageDigest": OLD}],
    }
    aws.answers["DescribeTasks"] = {"tasks": [task]}
    (use,) = uses_of_tasks(client("ecs"), CLUSTER, [task["taskArn"]])
    assert (use.digest, use.user, use.platform) == (OLD, "ECS task prod/job:4", "linux/arm64")
    assert use.consumer == Consumer(ConsumerKind.TASK, task["taskArn"], CLUSTER)
    aws.answers["DescribeTasks"] = {"tasks": [{**task, "lastStatus": "STOPPED"}]}
    assert uses_of_tasks(client("ecs"), CLUSTER, [task["taskArn"]]) == []


def test_every_version_of_a_function_is_a_use_of_its_own(aws: Aws) -> None:
    arns = [f"{FUNCTION}:$LATEST", f"{FUNCTION}:3"]
    functions = [{"FunctionName": "api", "FunctionArn": one, "PackageType": "Image"} for one in arns]
    aws.answers["ListFunctions"] = {
        "Functions": [*functions, {"FunctionName": "zip", "FunctionArn": "zip", "PackageType": "Zip"}]
    }
    aws.answers["GetFunction"] = lambda parameters: {
        "Code": {
            "ImageUri": f"{SHOP}:1",
            "ResolvedImageUri": f"{SHOP}@{OLD if '3' in parameters['FunctionName'][-1] else NEW}",
        },
        "Configuration": {"PackageType": "Image", "Architectures": ["arm64"]},
    }
    found = uses_in_lambda(client("lambda"))
    assert [(use.user, use.reference, use.digest, use.platform) for use in found] == [
        ("Lambda function api", f"{SHOP}:1", NEW, "linux/arm64"),
        ("Lambda function api:3", f"{SHOP}:1", OLD, "linux/arm64"),
    ]
    assert ("ListFunctions", {"FunctionVersion": "ALL"}) in aws.calls
    assert uses_of_function(client("lambda"), f"{FUNCTION}:3") == found[1:]
    aws.answers["GetFunction"] = Aws.refusal("ResourceNotFoundException", "gone", 404)
    assert uses_of_function(client("lambda"), f"{FUNCTION}:3") == []


PARTIAL = {
    "a service": (uses_in_ecs, "ecs", "DescribeServices", {"failures": [{"arn": "web", "reason": "ACCESS_DENIED"}]}),
    "a cut service": (uses_in_ecs, "ecs", "DescribeServices", {"services": []}),
    "a task": (uses_in_ecs, "ecs", "DescribeTasks", {"failures": [{"arn": "a/1", "reason": "ACCESS_DENIED"}]}),
    "a task definition": (uses_in_ecs, "ecs", "DescribeTaskDefinition", {"taskDefinition": {}}),
    "services": (uses_in_ecs, "ecs", "ListServices", {}),
    "a function's image": (uses_in_lambda, "lambda", "GetFunction", {"Code": {"RepositoryType": "ECR"}}),
    "functions": (uses_in_lambda, "lambda", "ListFunctions", {}),
}


@pytest.mark.parametrize("what", PARTIAL)
def test_an_answer_that_leaves_open_what_runs_is_a_fault(aws: Aws, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    uses_in, name, action, answer = PARTIAL[what]
    monkeypatch.setattr("image_verifier.retry._FIRST_PAUSE", 0.001)
    aws.answers |= {
        "DescribeServices": service(),
        "ListTasks": {"taskArns": ["a/1"]},
        "DescribeTasks": {"tasks": [{"taskArn": "a/1"}]},
        "ListFunctions": {"Functions": [{"FunctionName": "api", "FunctionArn": FUNCTION, "PackageType": "Image"}]},
        action: answer,
    }
    with pytest.raises(Fault, match=r"returned|lacks"):
        uses_in(client(name))


def test_an_image_is_named_without_its_tag_and_a_task_definition_by_its_revision() -> None:
    assert without_tag("host:5000/shop:1.4") == "host:5000/shop"
    assert without_tag("host:5000/shop") == "host:5000/shop"
    assert without_tag(f"host:5000/shop:1.4@{OLD}") == "host:5000/shop"
    assert family_and_revision("arn:aws:ecs:eu-west-1:1:task-definition/web-app:12") == ("web-app", 12)


OWN_PROVIDER: dict[str, Any] = {"capacityProviderStrategy": [{"capacityProvider": "my-instances"}]}


@pytest.mark.parametrize(
    ("places", "runtime"),
    [
        ([{"launchType": "FARGATE"}], "fargate"),
        ([{"launchType": "EC2"}], "ecs-ec2"),
        ([{"launchType": "EXTERNAL"}], "ecs-anywhere"),
        ([{"launchType": "MANAGED_INSTANCES"}], "ecs-managed-instances"),
        ([{"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}]}], "fargate"),
        ([OWN_PROVIDER], "ecs-ec2"),
        ([OWN_PROVIDER, {"launchType": "MANAGED_INSTANCES"}], "ecs-managed-instances"),
        ([OWN_PROVIDER, {}, {"requiresCompatibilities": ["MANAGED_INSTANCES"]}], "ecs-managed-instances"),
        ([OWN_PROVIDER, {}, {"requiresCompatibilities": ["EC2", "FARGATE"]}], "ecs-ec2"),
        ([{"capacityProviderName": "FARGATE"}], "fargate"),
    ],
)
def test_a_services_runtime_follows_its_launch_type_its_capacity_or_its_tasks(
    places: list[dict[str, Any]], runtime: str
) -> None:
    assert runtime_of(*places) == runtime


def test_an_image_in_use_is_for_the_platform_of_its_hosts() -> None:
    definition = {"requiresCompatibilities": ["EC2", "FARGATE"]}
    on_arm = {"launchType": "EC2", "attributes": [{"name": "ecs.cpu-architecture", "value": "arm64"}]}
    assert platform_of(definition, "ecs-ec2", on_arm) == "linux/arm64"
    assert platform_of(definition, "fargate", {}) == "linux/amd64"
    windows = {**definition, "runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}}
    assert platform_of(windows, "ecs-ec2", on_arm) == "windows/amd64"
    assert machine_of({"platformFamily": "Windows_Server_2022_Core"}) == "windows/amd64"


def test_a_revision_that_ecs_runs_on_another_architecture_is_for_that_one(aws: Aws) -> None:
    """ECS does so for an Express service whose image is not for the architecture of its task definition."""
    aws.answers["DescribeServices"] = service(currentServiceRevisions=[{"arn": revision(2)}])
    (found,) = described_revisions({"serviceRevisionArns": [revision(2)]})["serviceRevisions"]
    overridden = {**found, "overrides": {"runtimePlatform": {"cpuArchitecture": "X86_64"}}}
    aws.answers["DescribeServiceRevisions"] = {"serviceRevisions": [overridden]}
    assert [use.platform for use in uses_in_ecs(client("ecs"))] == ["linux/amd64"]
