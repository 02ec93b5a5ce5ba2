"""The Lambda that verifies: its settings, its replacement, and the cost of its crash."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from local_aws import LocalAws
from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.journey import Step

# The shortest that there can be, and a second more.
_TIMEOUT = 15
_SERVICE_TIMEOUT = _TIMEOUT + 1
# What ministack, the CLI and a busy machine may take on top.
_SLACK = 60


@dataclass(frozen=True)
class Steps:
    """The journey.

    :param functions: the names and the memory of the stack's Lambdas after each of the first three steps.
    """

    made: Step
    more_memory: Step
    another: Step
    dead: Step
    functions: list[dict[str, int]]


@pytest.fixture(scope="module")
def steps(aws: LocalAws, new_images: NewImages, new_journey: NewJourney) -> Steps:
    images, stack = new_images(), new_journey("verifier")
    images.good("good")
    asking = {"repository": images.name, "tag": "good"}
    functions: list[dict[str, int]] = []

    def looked(step: Step) -> Step:
        found = aws.client("lambda").list_functions()["Functions"]
        functions.append(
            {f["FunctionName"]: f["MemorySize"] for f in found if f["FunctionName"].startswith(f"{stack.stack}-")}
        )
        return step

    return Steps(
        made=looked(stack.deploy(**asking)),
        more_memory=looked(stack.deploy(**asking, memory=1024)),
        another=looked(stack.deploy(**asking, verifier="Other", managed="yes")),
        dead=stack.refused(**asking, verifier="Dead", dead="yes", timeout=_TIMEOUT, service_timeout=_SERVICE_TIMEOUT),
        functions=functions,
    )


def test_changed_settings_update_the_verifier_in_place(steps: Steps) -> None:
    before, after, _ = steps.functions
    assert list(before) == list(after)
    assert (list(before.values()), list(after.values())) == ([512], [1024])


def test_no_image_is_verified_again_for_changed_settings(steps: Steps) -> None:
    assert steps.more_memory.asked == []


def test_another_verifier_gives_the_verification_another_logical_id(steps: Steps) -> None:
    assert steps.another.status == "UPDATE_COMPLETE"
    assert steps.another.asked == ["Create", "Delete"]
    new, old = steps.another.requests
    assert old["logical_id"] == steps.made.requests[0]["logical_id"] != new["logical_id"]
    assert set(steps.functions[2]).isdisjoint(steps.functions[1])


def test_managed_policies_allow_the_verifier_to_read_its_repositories(steps: Steps) -> None:
    assert steps.another.requests[0]["status"] == "SUCCESS"
    assert steps.another.touched("AWS::IAM::ManagedPolicy")


def test_a_verifier_that_never_responds_costs_only_the_service_timeout(steps: Steps) -> None:
    assert steps.dead.status == "UPDATE_ROLLBACK_COMPLETE"
    created = next(request for request in steps.dead.requests if request["request_type"] == "Create")
    assert created["answers"] == []
    assert "did not receive a response from your Custom Resource" in steps.dead.output
    mine = [event["Timestamp"] for event in steps.dead.events if event["LogicalResourceId"] == created["logical_id"]]
    assert _SERVICE_TIMEOUT <= (max(mine) - min(mine)).total_seconds() < _SERVICE_TIMEOUT + _SLACK
