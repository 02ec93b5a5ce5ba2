"""Two services in one stack: if the image of one is broken, neither changes. And a stack whose first deploy fails."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import LAST, Step


@dataclass(frozen=True)
class Steps:
    """The journey."""

    images: Images
    digest: str
    refused_at_first: Step
    made: Step
    refused: Step
    deleted: Step


@pytest.fixture(scope="module")
def steps(new_images: NewImages, new_journey: NewJourney) -> Steps:
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
    deleted = stack.destroy(app=LAST)
    return Steps(images, digest, refused_at_first, made, refused, deleted)


def test_a_stack_whose_first_image_is_broken_rolls_back(steps: Steps) -> None:
    assert steps.refused_at_first.status == "ROLLBACK_COMPLETE"
    assert "[not-an-image]" in steps.refused_at_first.output


def test_no_service_is_created_if_the_image_of_another_is_refused(steps: Steps) -> None:
    assert steps.refused_at_first.touched("AWS::ECS::Service") == set()


def test_a_good_deploy_succeeds_after_the_first_deploy_was_refused(steps: Steps) -> None:
    assert steps.made.status == "CREATE_COMPLETE"
    uri = f"{steps.images.uri}@{steps.digest}"
    assert steps.made.images == {"Web": uri, "Worker": uri}


def test_no_service_changes_if_the_image_of_another_is_refused(steps: Steps) -> None:
    assert steps.refused.status == "UPDATE_ROLLBACK_COMPLETE"
    assert steps.refused.touched("AWS::ECS::Service") == set()
    assert steps.refused.images == steps.made.images


def test_a_stack_is_deleted_after_its_repository(steps: Steps) -> None:
    assert steps.deleted.status == ""
    assert [(r["request_type"], r["status"]) for r in steps.deleted.requests] == [("Delete", "SUCCESS")] * 2
