"""Two services in one stack, the image of one of them broken: neither moves. And a stack that fails when it is made."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Step


@dataclass(frozen=True)
class Told:
    """The journey."""

    images: Images
    digest: str
    refused_at_first: Step
    made: Step
    refused: Step
    deleted: Step


@pytest.fixture(scope="module")
def told(new_images: NewImages, new_journey: NewJourney) -> Told:
    images, stack = new_images(), new_journey("services")
    digest = images.good("good")
    images.good("better")
    images.broken("broken")

    def asking(web: str, worker: str) -> dict[str, object]:
        return {"repository": images.name, "images": {"Web": web, "Worker": worker}}

    refused_at_first = stack.refused(**asking("good", "broken"))
    made = stack.deploy(**asking("good", "good"))
    refused = stack.refused(**asking("better", "broken"))
    images.delete_repository()
    deleted = stack.destroy(**asking("good", "good"))
    return Told(images, digest, refused_at_first, made, refused, deleted)


def test_a_stack_whose_first_image_is_broken_rolls_back(told: Told) -> None:
    assert told.refused_at_first.status == "ROLLBACK_COMPLETE"
    assert "[not-an-image]" in told.refused_at_first.output


def test_no_service_is_made_while_the_image_of_another_is_refused(told: Told) -> None:
    assert told.refused_at_first.touched("AWS::ECS::Service") == set()


def test_a_good_deploy_goes_over_a_stack_that_was_refused_at_first(told: Told) -> None:
    assert told.made.status == "CREATE_COMPLETE"
    uri = f"{told.images.uri}@{told.digest}"
    assert told.made.images == {"Web": uri, "Worker": uri}


def test_no_service_moves_while_the_image_of_another_is_refused(told: Told) -> None:
    assert told.refused.status == "UPDATE_ROLLBACK_COMPLETE"
    assert told.refused.touched("AWS::ECS::Service") == set()
    assert told.refused.images == told.made.images


def test_a_stack_is_deleted_after_its_repository(told: Told) -> None:
    assert told.deleted.status == ""
    assert [(r["request_type"], r["status"]) for r in told.deleted.requests] == [("Delete", "SUCCESS")] * 2
