"""A tag that is only known at deploy: an Update verifies it, and a rollback reuses the recorded result."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import LAST, Step


@dataclass(frozen=True)
class Steps:
    """The journey.

    :param a, b: the digests of two good images.
    :param failed: to B while a later resource fails, after A's image has been deleted.
    :param updated: to B.
    :param refused: to A, which is gone, after B's image has been deleted too.
    """

    images: Images
    a: str
    b: str
    made: Step
    failed: Step
    updated: Step
    refused: Step


@pytest.fixture(scope="module")
def steps(new_images: NewImages, new_journey: NewJourney) -> Steps:
    images, stack = new_images(), new_journey("parameter")
    a, b = images.good("a"), images.good("b")
    made = stack.deploy("--parameters=Tag=a", repository=images.name)
    images.delete("a")
    failed = stack.refused("--parameters=Tag=b", repository=images.name, fail="yes")
    updated = stack.deploy("--parameters=Tag=b", repository=images.name)
    images.delete("b")
    refused = stack.refused("--parameters=Tag=a", app=LAST)
    return Steps(images, a, b, made, failed, updated, refused)


def test_a_tag_from_a_parameter_is_pinned_to_its_digest(steps: Steps) -> None:
    assert steps.made.images == {"Web": f"{steps.images.uri}@{steps.a}"}


def test_a_new_value_of_the_parameter_verifies_the_new_image(steps: Steps) -> None:
    assert steps.updated.asked[0] == "Update"
    assert steps.updated.images == {"Web": f"{steps.images.uri}@{steps.b}"}


def test_a_rollback_after_a_later_failure_completes_although_the_old_image_was_deleted(steps: Steps) -> None:
    assert steps.failed.status == "UPDATE_ROLLBACK_COMPLETE"
    assert {request["status"] for request in steps.failed.requests} == {"SUCCESS"}
    # The service had moved to the new image, and is back.
    assert len(steps.failed.touched("AWS::ECS::Service", "AWS::ECS::TaskDefinition")) == 2
    assert steps.failed.images == steps.made.images
    assert steps.failed.outputs == steps.made.outputs


def test_a_deploy_of_a_deleted_image_is_refused_although_it_was_verified_before(steps: Steps) -> None:
    assert "[image-missing]" in steps.refused.output
    assert steps.refused.touched("AWS::ECS::Service", "AWS::ECS::TaskDefinition") == set()


def test_a_rollback_after_a_refusal_completes_although_the_old_image_was_deleted(steps: Steps) -> None:
    assert steps.refused.status == "UPDATE_ROLLBACK_COMPLETE"
    tags = [(r["request_type"], r["properties"]["ImageTag"], r["status"]) for r in steps.refused.requests]
    assert tags[:2] == [("Update", "a", "FAILED"), ("Update", "b", "SUCCESS")]
    assert steps.refused.images == steps.updated.images
    assert steps.refused.outputs == steps.updated.outputs
