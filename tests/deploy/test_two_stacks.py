"""The image in one stack and its service in another: the service uses the tag, and no export is made."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from local_aws import LocalAws
from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Step


@dataclass(frozen=True)
class Steps:
    """The journey of the service's stack.

    :param good: three deploys with three good images.
    :param refused: a deploy with a broken one.
    :param verifying: all of the journey of the image's stack.
    :param exports: what its stacks export after it.
    """

    images: Images
    good: tuple[Step, Step, Step]
    refused: Step
    verifying: Step
    exports: list[str]


@pytest.fixture(scope="module")
def steps(aws: LocalAws, new_images: NewImages, new_journey: NewJourney) -> Steps:
    images, stack = new_images(), new_journey("two_stacks")
    for tag in ("first", "second", "third"):
        images.good(tag)
    images.broken("broken")
    return Steps(
        images,
        (
            stack.deploy(repository=images.name, tag="first"),
            stack.deploy(repository=images.name, tag="second"),
            stack.deploy(repository=images.name, tag="third"),
        ),
        stack.refused(repository=images.name, tag="broken"),
        stack.beside(f"{stack.stack}Images").look(),
        [
            e["Name"]
            for e in aws.client("cloudformation").list_exports()["Exports"]
            if stack.stack in e["ExportingStackId"]
        ],
    )


def test_the_image_of_another_stack_runs_by_its_tag_after_every_change(steps: Steps) -> None:
    uris = [step.images for step in steps.good]
    assert uris == [{"Web": f"{steps.images.uri}:{tag}"} for tag in ("first", "second", "third")]


def test_an_image_is_verified_before_the_stack_that_runs_it_is_deployed(steps: Steps) -> None:
    assert steps.verifying.asked == ["Create", "Create", "Delete", "Create", "Delete", "Create", "Delete"]
    verified = [event for event in steps.verifying.events if event["ResourceStatus"].endswith("_COMPLETE")]
    first = min(event["Timestamp"] for event in steps.good[0].events)
    assert verified[0]["Timestamp"] < first


def test_nothing_is_exported_to_the_stack_that_runs_the_image(steps: Steps) -> None:
    assert steps.exports == []


def test_the_stack_that_runs_the_image_does_not_change_if_the_image_is_refused(steps: Steps) -> None:
    assert steps.verifying.status == "UPDATE_ROLLBACK_COMPLETE"
    assert "[not-an-image]" in steps.refused.output
    assert steps.refused.events == ()
    assert steps.refused.images == steps.good[2].images
