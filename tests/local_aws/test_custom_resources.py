"""Custom resources are asked, and their answers taken, as CloudFormation does it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_aws import LocalAws


def test_an_answer_gives_the_attributes_as_text(aws: LocalAws, deploy: Any) -> None:
    deployed = deploy(aws)
    assert deployed.status == "CREATE_COMPLETE"
    assert deployed.outputs == {"Text": "text", "Flag": "true", "Number": "3"}


def test_properties_arrive_as_strings(aws: LocalAws, deploy: Any) -> None:
    deployed = deploy(aws, {"Yes": True, "List": [1, {"Deep": 2}]})
    properties = deployed.requests[0]["properties"]
    assert (properties["Yes"], properties["List"]) == ("true", ["1", {"Deep": "2"}])


def test_a_failure_is_worded_as_cloudformation_does_and_followed_by_a_delete(aws: LocalAws, deploy: Any) -> None:
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
def test_an_answer_that_cloudformation_refuses_fails_the_resource(
    aws: LocalAws, deploy: Any, properties: dict[str, str], reason: str
) -> None:
    assert deploy(aws, properties).reason == reason


def test_an_answer_of_4096_bytes_is_not_too_long(aws: LocalAws, deploy: Any) -> None:
    short = len(deploy(aws, {"Answer": json.dumps({"Reason": ""})}).requests[0]["answers"][0])
    deployed = deploy(aws, {"Answer": json.dumps({"Reason": "x" * (4096 - short)})})
    assert len(deployed.requests[0]["answers"][0]) in (4095, 4096, 4097)  # the stack's name may be longer
    assert deployed.status == (
        "CREATE_COMPLETE" if len(deployed.requests[0]["answers"][0]) <= 4096 else "ROLLBACK_COMPLETE"
    )


def test_an_answer_to_another_request_is_ignored_until_the_time_is_up(aws: LocalAws, deploy: Any) -> None:
    names = ["StackId", "RequestId", "LogicalResourceId"]
    deployed = deploy(aws, {"ServiceTimeout": 3, "Answer": json.dumps(dict.fromkeys(names, "other"))})
    assert deployed.requests[0]["ignored"] == [f"wrong {', '.join(names)}"]
    assert deployed.reason.startswith("CloudFormation did not receive a response from your Custom Resource.")


def test_a_second_answer_is_written_down_and_changes_nothing(aws: LocalAws, deploy: Any) -> None:
    deployed = deploy(aws, {"Times": "2"})
    assert deployed.status == "CREATE_COMPLETE"
    assert len(deployed.requests[0]["answers"]) == 2
    assert deployed.requests[0]["ignored"] == ["a second response"]


def test_a_function_that_never_answers_is_bounded_by_the_service_timeout(aws: LocalAws, deploy: Any) -> None:
    deployed = deploy(aws, {"ServiceTimeout": 1, "Times": "0"})
    assert deployed.status == "ROLLBACK_COMPLETE"
    assert deployed.requests[0]["answers"] == []
