"""`safe-image heal --stack`: which images a stack's events say that its last deploy has refused."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from image_verifier.faults import Fault

from safe_image.cli import main
from safe_image.commands import heal
from safe_image.errors import UsageError
from safe_image.sources.aws_sessions import AwsSessions
from safe_image.sources.refused_images import refused_images
from safe_image.sources.targets import Target, TargetResolver
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


def test_an_image_that_another_verification_of_the_deploy_accepted_has_both_policies(aws: Aws) -> None:
    found = refused(
        aws, failed("v1"), failed("v1", "CREATE_COMPLETE", RunsOn=["fargate"]), failed("v2", "CREATE_COMPLETE"), begun()
    )
    policies = [target.policy.runs_on for target in found if target.policy]
    assert ([target.names.tag for target in found], policies) == (["v1", "v1"], [("lambda",), ("fargate",)])


def test_every_page_of_events_is_read(aws: Aws) -> None:
    pages = {
        "": {"StackEvents": [event("ROLLBACK_COMPLETE", "AWS::CloudFormation::Stack", STACK)], "NextToken": "more"},
        "more": {"StackEvents": [failed("v1"), begun("CREATE_IN_PROGRESS")], "NextToken": "older"},
    }
    aws.answers["DescribeStackEvents"] = lambda asked: pages[asked.get("NextToken", "")]
    assert [target.names.tag for target in refused_images("Shop", TargetResolver())] == ["v1"]


def test_a_page_of_events_that_cloudformation_refuses_is_a_fault(aws: Aws) -> None:
    first = {"StackEvents": [failed("v1")], "NextToken": "more"}
    refusal = aws.refusal("ValidationError", "the token has expired")
    aws.answers["DescribeStackEvents"] = lambda asked: refusal if asked.get("NextToken") else first
    with pytest.raises(Fault, match="the token has expired"):
        list(refused_images("Shop", TargetResolver()))


def test_a_verification_that_accepts_an_image_is_found_however_many_events_a_deploy_has(aws: Aws) -> None:
    others = [event("UPDATE_COMPLETE", "AWS::SQS::Queue")] * 900
    pages = {
        "": {"StackEvents": [failed("v1"), *others], "NextToken": "1"},
        "1": {"StackEvents": others, "NextToken": "2"},
        "2": {"StackEvents": others, "NextToken": "3"},
        "3": {"StackEvents": [failed("v1", "CREATE_COMPLETE", RunsOn=["fargate"]), begun()]},
    }
    aws.answers["DescribeStackEvents"] = lambda asked: pages[asked.get("NextToken", "")]
    found = refused_images("Shop", TargetResolver())
    assert [target.policy.runs_on for target in found if target.policy] == [("lambda",), ("fargate",)]


def test_a_deploy_whose_events_never_end_is_a_fault(aws: Aws) -> None:
    others = [failed("v1"), *[event("UPDATE_COMPLETE", "AWS::SQS::Queue")] * 2600]
    pages = itertools.count()
    aws.answers["DescribeStackEvents"] = lambda _: {"StackEvents": others, "NextToken": str(next(pages))}
    with pytest.raises(Fault, match="more than 10,000 events"):
        list(refused_images("Shop", TargetResolver()))


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


def test_a_verification_in_a_nested_stack_that_did_not_fail_counts_if_it_took_part_in_the_deploy(aws: Aws) -> None:
    other, unchanged = f"{NESTED}-other", f"{NESTED}-unchanged"
    accepted = {**failed("v1", "CREATE_COMPLETE", RunsOn=["fargate"]), "StackId": other}
    before = {"Timestamp": "2025-01-01T00:00:00Z"}
    events = {
        "Shop": [
            event("CREATE_FAILED", "AWS::CloudFormation::Stack", NESTED),
            event("DELETE_COMPLETE", "AWS::CloudFormation::Stack", other),
            event("UPDATE_COMPLETE", "AWS::CloudFormation::Stack", unchanged),
            begun(),
        ],
        NESTED: [{**failed("v1"), "StackId": NESTED}, begun("CREATE_IN_PROGRESS", NESTED)],
        other: [accepted, begun("CREATE_IN_PROGRESS", other)],
        unchanged: [{**failed("v2"), **before}, {**begun("UPDATE_IN_PROGRESS", unchanged), **before}],
    }
    aws.answers["DescribeStackEvents"] = lambda asked: {"StackEvents": events[asked["StackName"]]}
    found = [(target.names.tag, target.policy and target.policy.runs_on) for target in _targets()]
    assert found == [("v1", ("lambda",)), ("v1", ("fargate",))]


def test_an_image_that_was_refused_in_a_nested_stack_is_found_if_another_child_failed_first(aws: Aws) -> None:
    events = {
        "Shop": [
            event("DELETE_COMPLETE", "AWS::CloudFormation::Stack", NESTED),
            event("CREATE_FAILED", "AWS::ECS::Service"),
            begun(),
        ],
        NESTED: [{**failed("v1"), "StackId": NESTED}, begun("CREATE_IN_PROGRESS", NESTED)],
    }
    aws.answers["DescribeStackEvents"] = lambda asked: {"StackEvents": events[asked["StackName"]]}
    assert [target.names.tag for target in _targets()] == ["v1"]


def _targets() -> list[Target]:
    return list(refused_images("Shop", TargetResolver()))


@pytest.mark.parametrize("properties", ["", "[]", "{", '{"ImageTag": "v1"}', json.dumps({**PROPERTIES, "RunsOn": {}})])
def test_a_verification_of_an_unknown_release_is_skipped(aws: Aws, properties: str) -> None:
    with pytest.raises(UsageError, match="refused no image"):
        refused(aws, event("CREATE_FAILED", ResourceProperties=properties), begun())


def test_a_missing_stack_is_one_line(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers["DescribeStackEvents"] = aws.refusal("ValidationError", "Stack [Shop] does not exist")
    aws.answers["ListStacks"] = {"StackSummaries": []}
    assert main(["heal", "--stack", "Shop"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("safe-image: there is no stack 'Shop' in this account and region, nor was one deleted")
    assert said.count("\n") == 1


def test_a_stack_that_was_deleted_in_a_rollback_is_found_by_its_name(aws: Aws) -> None:
    def deleted(number: int, name: str = "Shop") -> dict[str, str]:
        times = {"CreationTime": "2026-01-01T00:00:00Z", "DeletionTime": f"2026-01-0{number}T00:00:00Z"}
        return {"StackId": f"{STACK}{number}", "StackName": name, "StackStatus": "DELETE_COMPLETE", **times}

    def events(asked: dict[str, Any]) -> Any:
        if not asked["StackName"].startswith("arn:"):
            return aws.refusal("ValidationError", "Stack [Shop] does not exist")
        assert asked["StackName"] == f"{STACK}3"
        return {"StackEvents": [failed("v1"), begun("CREATE_IN_PROGRESS")]}

    aws.answers["DescribeStackEvents"] = events
    pages = {
        "": {"StackSummaries": [deleted(2), deleted(9, "Other")], "NextToken": "more"},
        "more": {"StackSummaries": [deleted(3), deleted(1)]},
    }
    aws.answers["ListStacks"] = lambda asked: pages[asked.get("NextToken", "")]
    assert [target.names.tag for target in refused_images("Shop", TargetResolver())] == ["v1"]


def test_events_that_are_cut_are_a_fault_and_no_stack_without_refusals(aws: Aws) -> None:
    aws.answers["DescribeStackEvents"] = {"NextToken": ""}
    with pytest.raises(Fault, match="lacks StackEvents"):
        list(refused_images("Shop", TargetResolver()))


def regions(aws: Aws, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> set[str]:
    """The regions of the sessions that `heal` opens."""
    found: set[str] = set()

    def opened(region: str = "", profile: str = "") -> AwsSessions:
        found.add(region)
        return AwsSessions(region, profile)

    monkeypatch.setattr(heal, "AwsSessions", opened)
    aws.answers["DescribeStackEvents"] = {"StackEvents": [begun()]}
    assert main(["heal", *arguments]) == 2
    return found


def test_the_region_is_that_of_the_option_or_of_the_stacks_arn(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert regions(aws, monkeypatch, "--stack", "Shop", "--region", "eu-north-1") == {"eu-north-1"}
    assert regions(aws, monkeypatch, "--stack", STACK) == {REGION}
    assert regions(aws, monkeypatch, "--stack", STACK, "--region", REGION) == {REGION}
    assert regions(aws, monkeypatch, "--stack", STACK, "--region", "us-east-1") == set()
    assert "--region is us-east-1, but the stack is in eu-west-1: leave out --region" in capsys.readouterr().err
    assert regions(aws, monkeypatch, "--stack", "arn:aws:iam") == set()
    assert "is not the ARN of a stack" in capsys.readouterr().err


def test_the_profile_is_that_of_the_option(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config").write_text(
        "[profile shop]\nregion = eu-south-1\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    assert AwsSessions(profile="shop").environment().region == "eu-south-1"
    assert main(["heal", "--stack", "Shop", "--profile", "nobody"]) == 2
    assert "nobody" in capsys.readouterr().err


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
