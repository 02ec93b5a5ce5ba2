"""AWS sessions: the roles of a cloud assembly, and the caller's own credentials where a role cannot be assumed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from image_verifier.faults import Fault

from safe_image.sources.aws_sessions import AwsSessions, Endpoint
from safe_image.sources.cloud_assembly import AssetImage, Environment
from tests.unit.aws_server import ACCOUNT, REGION, Aws, serving_aws

OTHER = "444455556666"
DENIED = Aws.refusal("AccessDenied", "User is not authorized to perform: sts:AssumeRole", 403)
CREDENTIALS = {
    "Credentials": {
        "AccessKeyId": "ASIAROLE",
        "SecretAccessKey": "secret",
        "SessionToken": "token",
        "Expiration": "2100-01-01T00:00:00Z",
    }
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with serving_aws() as server:
        server.use(monkeypatch)
        yield server


def image(account: str = ACCOUNT, **more: Any) -> AssetImage:
    role = f"arn:aws:iam::{account}:role/publishing"
    return AssetImage("ab", "Image", (), account, "eu-central-1", "assets", "ab", role, **more)


def key_of(sessions: AwsSessions, role: str) -> str:
    client = sessions.client("ecr", Endpoint("eu-central-1"), role)
    return str(client._request_signer._credentials.access_key)


def actions(aws: Aws) -> list[str]:
    return [action for action, _ in aws.calls]


def test_an_image_is_read_with_the_role_that_publishes_it_which_is_assumed_once(aws: Aws) -> None:
    aws.answers["AssumeRole"] = CREDENTIALS
    sessions, first = (
        AwsSessions(),
        image(OTHER, external_id="between us", role_options={"Tags": [{"Key": "a", "Value": "b"}]}),
    )
    assert key_of(sessions, sessions.publisher(first)) == "ASIAROLE"
    assert key_of(sessions, sessions.publisher(first)) == "ASIAROLE"
    ((action, asked),) = aws.calls
    assert (action, asked["RoleArn"]) == ("AssumeRole", f"arn:aws:iam::{OTHER}:role/publishing")
    assert (asked["ExternalId"], asked["Tags.member.1.Key"]) == ("between us", "a")


def test_without_the_role_the_callers_own_credentials_serve_in_the_same_account(aws: Aws) -> None:
    aws.answers["AssumeRole"] = DENIED
    sessions = AwsSessions()
    assert key_of(sessions, sessions.publisher(image())) == "AKIDEXAMPLE"
    sessions.publisher(image())
    assert actions(aws) == ["AssumeRole", "GetCallerIdentity"]


def test_without_the_role_an_image_of_another_account_is_a_fault_that_names_the_role(aws: Aws) -> None:
    aws.answers["AssumeRole"] = DENIED
    with pytest.raises(Fault) as e:
        AwsSessions().publisher(image(OTHER))
    assert f"sts:AssumeRole on arn:aws:iam::{OTHER}:role/publishing" in e.value.message


def test_an_image_without_a_role_is_read_with_the_callers_credentials(aws: Aws) -> None:
    sessions = AwsSessions()
    own = AssetImage("ab", "Image", (), ACCOUNT, REGION, "assets", "ab")
    assert key_of(sessions, sessions.publisher(own)) == "AKIDEXAMPLE"
    assert aws.calls == []


def test_the_environment_is_the_callers_and_read_once(aws: Aws) -> None:
    sessions = AwsSessions()
    assert sessions.environment() == Environment(ACCOUNT, REGION, "aws")
    assert sessions.environment() == Environment(ACCOUNT, REGION, "aws")
    assert actions(aws) == ["GetCallerIdentity"]


def test_the_region_is_the_one_that_the_cdk_cli_uses(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert AwsSessions().environment().region == REGION
    monkeypatch.delenv("AWS_REGION")
    assert AwsSessions().environment().region == "us-west-2"


def test_no_region_is_a_fault_that_says_what_to_set(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(Fault) as e:
        AwsSessions().environment()
    assert e.value.message == "No region is configured"
    assert "AWS_REGION" in e.value.advice


def test_no_credentials_are_a_fault(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Fault, match="credentials"):
        AwsSessions().environment()


def test_a_profile_that_does_not_exist_is_a_fault(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Fault) as e:
        AwsSessions().environment()
    assert "nobody" in e.value.message
    assert "AWS_PROFILE" in e.value.advice
