"""Custom resources get their requests, and their responses are validated, as in CloudFormation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_aws import LocalAws
from tests.local_aws.helpers import until


def test_the_attributes_of_a_response_are_strings(aws: LocalAws, deploy: Any) -> None:
    deployed = deploy(aws)
    assert deployed.status == "CREATE_COMPLETE"
    assert deployed.outputs == {"Text": "text", "Flag": "true", "Number": "3"}


def test_properties_arrive_as_strings(aws: LocalAws, deploy: Any) -> None:
    deployed = deploy(aws, {"Yes": True, "List": [1, {"Deep": 2}]})
    properties = deployed.requests[0]["properties"]
    assert (properties["Yes"], properties["List"]) == ("true", ["1", {"Deep": "2"}])


def test_a_failure_has_cloudformations_wording_and_a_delete_follows(aws: LocalAws, deploy: Any) -> None:
    deployed = deploy(aws, {"Answer": json.dumps({"Status": "FAILED", "Reason": "two\nlines"})})
    assert deployed.status == "ROLLBACK_COMPLETE"
    create, delete = deployed.requests
    assert deployed.reason == (
        "Received response status [FAILED] from custom resource. Message returned: two\nlines "
        f"(RequestId: {create['request_id']})"
    )
    assert (delete["request_type"], delete["physical_id"], delete["status"]) == ("Delete", "a-thing", "SUCCESS")


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"Answer": json.dumps({"Reason": "x" * 4096})}, "Response object is too long."),
        ({"Drop": "PhysicalResourceId"}, "Invalid PhysicalResourceId"),
        ({"Answer": json.dumps({"PhysicalResourceId": ""})}, "Invalid PhysicalResourceId"),
        ({"Answer": json.dumps({"PhysicalResourceId": "x" * 1025})}, "Invalid PhysicalResourceId"),
        ({"Answer": json.dumps({"Status": "FINE"})}, "Invalid Status"),
    ],
)
def test_a_response_that_cloudformation_refuses_fails_the_resource(
    aws: LocalAws, deploy: Any, properties: dict[str, str], reason: str
) -> None:
    assert deploy(aws, properties).reason == reason


def test_a_response_of_4096_bytes_is_not_too_long(aws: LocalAws, deploy: Any) -> None:
    short = len(deploy(aws, {"Answer": json.dumps({"Reason": ""})}).requests[0]["answers"][0])
    deployed = deploy(aws, {"Answer": json.dumps({"Reason": "x" * (4096 - short)})})
    assert len(deployed.requests[0]["answers"][0]) in (4095, 4096, 4097)  # the stack's name may be longer
    assert deployed.status == (
        "CREATE_COMPLETE" if len(deployed.requests[0]["answers"][0]) <= 4096 else "ROLLBACK_COMPLETE"
    )


def test_a_response_to_another_request_is_ignored_until_the_timeout(aws: LocalAws, deploy: Any) -> None:
    names = ["StackId", "RequestId", "LogicalResourceId"]
    deployed = deploy(aws, {"ServiceTimeout": 3, "Answer": json.dumps(dict.fromkeys(names, "other"))})
    assert deployed.requests[0]["ignored"] == [f"wrong {', '.join(names)}"]
    assert deployed.reason.startswith("CloudFormation did not receive a response from your Custom Resource.")


def test_a_second_response_is_logged_and_changes_nothing(aws: LocalAws, deploy: Any) -> None:
    deployed = deploy(aws, {"Times": "2"})
    assert deployed.status == "CREATE_COMPLETE"
    identifier = deployed.requests[0]["request_id"]

    def answered_twice() -> list[dict[str, Any]]:
        return [r for r in aws.custom_resources() if r["request_id"] == identifier and len(r["answers"]) == 2]

    # The stack is complete after the first response, while the function still sends the second one.
    (request,) = until(answered_twice)
    assert request["ignored"] == ["a second response"]


def test_a_function_that_never_responds_fails_at_the_service_timeout(aws: LocalAws, deploy: Any) -> None:
    deployed = deploy(aws, {"ServiceTimeout": 1, "Times": "0"})
    assert deployed.status == "ROLLBACK_COMPLETE"
    assert deployed.requests[0]["answers"] == []
