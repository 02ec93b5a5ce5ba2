"""`safe-image heal --stack`: which images a stack's events say that its last deploy has refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from safe_image.cli import main
from safe_image.errors import UsageError
from safe_image.sources.refused_images import refused_images
from safe_image.sources.targets import TargetResolver
from tests.unit.aws_server import ACCOUNT, REGION, Aws, serving_aws

STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Shop/1"
NESTED = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Shop-Nested/2"
PROPERTIES = {
    "RepositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/assets",
    "RepositoryUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/assets",
    "RunsOn": ["lambda"],
    "Platform": "linux/arm64",
    "LocalImage": "cdkasset-aa",
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with serving_aws() as server:
        server.use(monkeypatch)
        yield server


def event(status: str, kind: str = "Custom::ImageVerification", id_: str = "x", **more: Any) -> dict[str, Any]:
    return {
        "StackId": STACK,
        "EventId": "e",
        "StackName": "Shop",
        "LogicalResourceId": "L",
        "PhysicalResourceId": id_,
        "ResourceType": kind,
        "ResourceStatus": status,
        "Timestamp": "2026-01-01T00:00:00Z",
        **more,
    }


def failed(tag: str, status: str = "CREATE_FAILED", **more: Any) -> dict[str, Any]:
    return event(status, ResourceProperties=json.dumps({**PROPERTIES, "ImageTag": tag, **more}))


def begun(status: str = "UPDATE_IN_PROGRESS", stack: str = STACK) -> dict[str, Any]:
    return event(status, "AWS::CloudFormation::Stack", stack, StackId=stack)


def refused(aws: Aws, *events: dict[str, Any]) -> list[Any]:
    aws.answers["DescribeStackEvents"] = {"StackEvents": list(events)}
    return list(refused_images("Shop", TargetResolver()))


def test_the_image_and_the_policy_are_those_of_the_failed_verification(aws: Aws) -> None:
    (target,) = refused(aws, event("UPDATE_ROLLBACK_COMPLETE", "AWS::CloudFormation::Stack", STACK), failed("v1"))
    assert target.reference == f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/assets:v1"
    assert (target.names.tag, target.names.local_image) == ("v1", "cdkasset-aa")
    assert target.policy
    assert (target.policy.runs_on, str(target.policy.platform)) == (("lambda",), "linux/arm64")


def test_only_the_last_deploy_counts_and_each_image_once(aws: Aws) -> None:
    found = refused(
        aws,
        event("DELETE_COMPLETE", "AWS::ECS::Service"),
        failed("v3"),
        failed("v2", "UPDATE_FAILED"),
        failed("v3"),
        event("CREATE_COMPLETE"),
        begun(),
        failed("v1"),
        begun("CREATE_IN_PROGRESS"),
    )
    assert [target.names.tag for target in found] == ["v3", "v2"]


def test_every_page_of_events_is_read(aws: Aws) -> None:
    pages = {
        "": {"StackEvents": [event("ROLLBACK_COMPLETE", "AWS::CloudFormation::Stack", STACK)], "NextToken": "more"},
        "more": {"StackEvents": [failed("v1"), begun("CREATE_IN_PROGRESS")], "NextToken": "older"},
    }
    aws.answers["DescribeStackEvents"] = lambda asked: pages[asked.get("NextToken", "")]
    assert [target.names.tag for target in refused_images("Shop", TargetResolver())] == ["v1"]


def test_the_refused_images_of_a_nested_stack_are_found(aws: Aws) -> None:
    events = {
        "Shop": [event("CREATE_FAILED", "AWS::CloudFormation::Stack", NESTED), begun()],
        NESTED: [
            event("CREATE_FAILED", "AWS::CloudFormation::Stack", NESTED, StackId=NESTED),
            {**failed("v1"), "StackId": NESTED},
            begun("CREATE_IN_PROGRESS", NESTED),
        ],
    }
    aws.answers["DescribeStackEvents"] = lambda asked: {"StackEvents": events[asked["StackName"]]}
    assert [target.names.tag for target in refused_images("Shop", TargetResolver())] == ["v1"]


@pytest.mark.parametrize("properties", ["", "[]", "{", '{"ImageTag": "v1"}', json.dumps({**PROPERTIES, "RunsOn": {}})])
def test_a_verification_of_an_unknown_release_is_skipped(aws: Aws, properties: str) -> None:
    with pytest.raises(UsageError, match="refused no image"):
        refused(aws, event("CREATE_FAILED", ResourceProperties=properties), begun())


def test_a_missing_stack_is_one_line(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers["DescribeStackEvents"] = aws.refusal("ValidationError", "Stack [Shop] does not exist")
    assert main(["heal", "--stack", "Shop"]) == 2
    assert capsys.readouterr().err.startswith("safe-image: there is no stack 'Shop' in this account and region: check")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "pass either an image"),
        (["a:b", "--stack", "Shop"], "pass either an image"),
        (["registry.example.com/shop:1"], "is not a tag in ECR"),
        ([f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop@sha256:{'a' * 64}"], "is not a tag in ECR"),
        (["oci-layout:somewhere"], "is not a tag in ECR"),
        (["cdk.out:/nowhere"], "is not a cloud assembly"),
        (["a:b", "--platform", "amd64"], "amd64"),
    ],
)
def test_an_image_that_heal_cannot_untag_is_one_line_that_says_what_to_use(
    arguments: list[str], words: str, aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["heal", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert aws.calls == []
