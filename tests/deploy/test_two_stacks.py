"""The image in one stack and its service in another: the tag goes across, and no export that could never change."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from local_aws import LocalAws
from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Step


@dataclass(frozen=True)
class Told:
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
def told(aws: LocalAws, new_images: NewImages, new_journey: NewJourney) -> Told:
    images, stack = new_images(), new_journey("two_stacks")
    for tag in ("first", "second", "third"):
        images.good(tag)
    images.broken("broken")
    return Told(
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


def test_an_image_of_another_stack_is_run_under_its_tag_whenever_it_changes(told: Told) -> None:
    uris = [step.images for step in told.good]
    assert uris == [{"Web": f"{told.images.uri}:{tag}"} for tag in ("first", "second", "third")]


def test_an_image_is_verified_before_the_stack_that_runs_it_is_deployed(told: Told) -> None:
    assert told.verifying.asked == ["Create", "Create", "Delete", "Create", "Delete", "Create", "Delete"]
    verified = [event for event in told.verifying.events if event["ResourceStatus"].endswith("_COMPLETE")]
    first = min(event["Timestamp"] for event in told.good[0].events)
    assert verified[0]["Timestamp"] < first


def test_nothing_is_exported_to_the_stack_that_runs_the_image(told: Told) -> None:
    assert told.exports == []


def test_the_stack_that_runs_the_image_is_not_touched_when_it_is_refused(told: Told) -> None:
    assert told.verifying.status == "UPDATE_ROLLBACK_COMPLETE"
    assert "[not-an-image]" in told.refused.output
    assert told.refused.events == ()
    assert told.refused.images == told.good[2].images
