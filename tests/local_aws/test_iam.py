"""Where IAM is enforced, a role can only call the actions that its policy allows."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_aws import ACCOUNT, REGION, LocalAws
from tests.local_aws.helpers import until

DIGEST = "sha256:" + "0" * 64
NAME = "guarded"
ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{NAME}"
TAGGED = {"imageTag": "a"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "DescribeImages": ("describe_images", {}),
    "BatchGetImage": ("batch_get_image", {"imageIds": [TAGGED]}),
    "BatchCheckLayerAvailability": ("batch_check_layer_availability", {"layerDigests": [DIGEST]}),
    "BatchDeleteImage": ("batch_delete_image", {"imageIds": [TAGGED]}),
    "ListImages": ("list_images", {}),
    "UpdateImageStorageClass": (
        "update_image_storage_class",
        {"imageId": TAGGED, "targetStorageClass": "ARCHIVE"},
    ),
    "GetDownloadUrlForLayer": ("get_download_url_for_layer", {"layerDigest": DIGEST}),
}

_names = (f"role-{number}" for number in itertools.count())

ClientOf = Callable[[str, "list[dict[str, Any]]"], Any]


@pytest.fixture(scope="module", autouse=True)
def _repository(secured: LocalAws) -> None:
    secured.client("ecr").create_repository(repositoryName=NAME)


@pytest.fixture(scope="module")
def client(secured: LocalAws) -> ClientOf:
    """A client of a service, with the credentials of a role that has these permissions."""
    iam, sts = secured.client("iam"), secured.client("sts")

    def make(service: str, statements: list[dict[str, Any]]) -> Any:
        name = next(_names)
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document([trust]))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=_document(statements))
        given = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        session: Any = boto3.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=REGION
        )
        return session.client(service, endpoint_url=secured.endpoint)

    return make


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _allow(*actions: str, resource: str = ARN) -> list[dict[str, Any]]:
    return [{"Effect": "Allow", "Action": list(actions), "Resource": resource}]


def _error(client: Any, action: str) -> tuple[str, str]:
    """The code and the message of a call's error; empty where it succeeds."""
    method, arguments = CALLS[action]
    try:
        getattr(client, method)(repositoryName=NAME, **arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return "", ""


@pytest.mark.parametrize("action", CALLS)
def test_an_action_that_the_role_allows_on_the_repository_is_answered(client: ClientOf, action: str) -> None:
    code, _ = _error(client("ecr", _allow(f"ecr:{action}")), action)
    assert code in ("", "ImageNotFoundException", "LayersNotFoundException")  # the repository is empty


@pytest.mark.parametrize("action", CALLS)
def test_an_action_that_the_role_lacks_is_denied_in_awss_words(client: ClientOf, action: str) -> None:
    others = [f"ecr:{other}" for other in CALLS if other != action]
    code, message = _error(client("ecr", _allow(*others)), action)
    assert code == "AccessDeniedException"
    assert message.endswith(
        f"is not authorized to perform: ecr:{action} on resource: {ARN} "
        f"because no identity-based policy allows the ecr:{action} action"
    )


@pytest.mark.parametrize("action", CALLS)
def test_an_action_that_the_role_allows_on_another_repository_is_denied(client: ClientOf, action: str) -> None:
    code, _ = _error(client("ecr", _allow(f"ecr:{action}", resource=f"{ARN}-other")), action)
    assert code == "AccessDeniedException"


def test_describing_a_repository_needs_its_permission_on_that_repository(client: ClientOf) -> None:
    action = "ecr:DescribeRepositories"
    allowed = client("ecr", _allow(action)).describe_repositories(repositoryNames=[NAME])
    assert allowed["repositories"][0]["repositoryArn"] == ARN
    for statements in (_allow(action, resource=f"{ARN}-other"), _allow("ecr:DescribeImages")):
        with pytest.raises(ClientError, match="AccessDenied"):
            client("ecr", statements).describe_repositories(repositoryNames=[NAME])


def test_describing_a_stack_needs_its_permission_on_that_stack(
    secured: LocalAws, client: ClientOf, deploy: Any
) -> None:
    arn = deploy(secured).requests[0]["stack_id"]
    name = arn.split("/")[1]
    any_of_the_name = f"{arn.rpartition('/')[0]}/*"
    action = "cloudformation:DescribeStacks"
    # For a call by name, AWS requires permission on any stack of that name.
    for reference, resource in ((arn, arn), (arn, any_of_the_name), (name, any_of_the_name)):
        allowed = client("cloudformation", _allow(action, resource=resource))
        assert allowed.describe_stacks(StackName=reference)["Stacks"][0]["StackId"] == arn
    other = client("cloudformation", _allow(action, resource=arn.replace(name, "other")))
    for reference in (arn, name):
        with pytest.raises(ClientError, match="AccessDenied"):
            other.describe_stacks(StackName=reference)


def test_listing_a_stacks_resources_needs_its_permission_on_that_stack(
    secured: LocalAws, client: ClientOf, deploy: Any
) -> None:
    arn = deploy(secured).requests[0]["stack_id"]
    action = "cloudformation:ListStackResources"
    allowed = client("cloudformation", _allow(action, resource=arn)).list_stack_resources(StackName=arn)
    assert "Custom" in str([it["ResourceType"] for it in allowed["StackResourceSummaries"]])
    for statements in (_allow(action, resource=f"{arn}-other"), _allow("cloudformation:DescribeStacks", resource=arn)):
        with pytest.raises(ClientError, match="AccessDenied"):
            client("cloudformation", statements).list_stack_resources(StackName=arn)


def test_publishing_needs_its_permission_on_that_topic(secured: LocalAws, client: ClientOf) -> None:
    topic = secured.client("sns").create_topic(Name="guarded")["TopicArn"]
    client("sns", _allow("sns:Publish", resource=topic)).publish(TopicArn=topic, Message="m")
    with pytest.raises(ClientError, match=r"AuthorizationError|AccessDenied"):
        client("sns", _allow("sns:Publish", resource=f"{topic}-other")).publish(TopicArn=topic, Message="m")


def test_a_function_has_its_roles_permissions(secured: LocalAws, deploy: Any) -> None:
    method, arguments = CALLS["ListImages"]
    properties = {"Calls": json.dumps([["ecr", method, {"repositoryName": NAME, **arguments}]])}
    assert deploy(secured, properties, _allow("ecr:ListImages")).status == "CREATE_COMPLETE"
    assert "AccessDeniedException" in deploy(secured, properties, _allow("ecr:DescribeImages")).reason


def test_a_functions_log_needs_no_permission(secured: LocalAws, deploy: Any) -> None:
    """On AWS a role without logs:CreateLogStream and logs:PutLogEvents has no log."""
    stack = deploy(secured).requests[0]["stack_id"].split("/")[1]
    logs = secured.client("logs")
    # The stack is complete after the function's response, while the function still runs. Its end writes the log.
    groups = until(lambda: logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{stack}")["logGroups"])
    assert len(groups) == 1


def test_ecr_refuses_an_unknown_caller(secured: LocalAws) -> None:
    stranger: Any = boto3.Session("AKIAIOSFODNN7EXAMPLE", "wrong", region_name=REGION)
    with pytest.raises(ClientError, match="security token included in the request is invalid"):
        stranger.client("ecr", endpoint_url=secured.endpoint).describe_images(repositoryName=NAME)
