"""A tag that only the deploy knows: there an Update verifies, and the way back of a rollback judges nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Step


@dataclass(frozen=True)
class Told:
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
def told(new_images: NewImages, new_journey: NewJourney) -> Told:
    images, stack = new_images(), new_journey("parameter")
    a, b = images.good("a"), images.good("b")
    made = stack.deploy("--parameters=Tag=a", repository=images.name)
    images.delete("a")
    failed = stack.refused("--parameters=Tag=b", repository=images.name, fail="yes")
    updated = stack.deploy("--parameters=Tag=b", repository=images.name)
    images.delete("b")
    refused = stack.refused("--parameters=Tag=a", repository=images.name)
    return Told(images, a, b, made, failed, updated, refused)


def test_a_tag_from_a_parameter_is_pinned_to_its_digest(told: Told) -> None:
    assert told.made.images == {"Web": f"{told.images.uri}@{told.a}"}


def test_a_new_value_of_the_parameter_verifies_the_new_image(told: Told) -> None:
    assert told.updated.asked[0] == "Update"
    assert told.updated.images == {"Web": f"{told.images.uri}@{told.b}"}


def test_a_rollback_from_a_later_failure_completes_though_the_old_image_is_gone_meanwhile(told: Told) -> None:
    assert told.failed.status == "UPDATE_ROLLBACK_COMPLETE"
    assert {request["status"] for request in told.failed.requests} == {"SUCCESS"}
    # The service had moved to the new image, and is back.
    assert len(told.failed.touched("AWS::ECS::Service", "AWS::ECS::TaskDefinition")) == 2
    assert told.failed.images == told.made.images
    assert told.failed.outputs == told.made.outputs


def test_going_forward_to_an_image_that_is_gone_is_refused_though_it_was_verified_once(told: Told) -> None:
    assert "[image-missing]" in told.refused.output
    assert told.refused.touched("AWS::ECS::Service", "AWS::ECS::TaskDefinition") == set()


def test_a_rollback_from_a_refusal_completes_though_the_old_image_is_gone_meanwhile(told: Told) -> None:
    assert told.refused.status == "UPDATE_ROLLBACK_COMPLETE"
    tags = [(r["request_type"], r["properties"]["ImageTag"], r["status"]) for r in told.refused.requests]
    assert tags[:2] == [("Update", "a", "FAILED"), ("Update", "b", "SUCCESS")]
    assert told.refused.images == told.updated.images
    assert told.refused.outputs == told.updated.outputs
