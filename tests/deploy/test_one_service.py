"""A service on Fargate: made, updated, refused an update, left alone, deleted. One journey, looked at step by step."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Step


@dataclass(frozen=True)
class Told:
    """The journey.

    :param first, second: the digests of two good images.
    """

    images: Images
    first: str
    second: str
    made: Step
    updated: Step
    refused: Step
    difference: Step
    unchanged: Step
    deleted: Step


@pytest.fixture(scope="module")
def told(new_images: NewImages, new_journey: NewJourney) -> Told:
    images, stack = new_images(), new_journey("services")
    first, second = images.good("first"), images.good("second")
    images.broken("broken")

    def asking(tag: str) -> dict[str, object]:
        return {"repository": images.name, "images": {"Web": tag}}

    made = stack.deploy(**asking("first"))
    updated = stack.deploy(**asking("second"))
    refused = stack.refused(**asking("broken"))
    difference = stack.cdk("diff", "--fail", **asking("second"))
    unchanged = stack.deploy(**asking("second"))
    images.delete("second")
    deleted = stack.destroy(**asking("second"))
    return Told(images, first, second, made, updated, refused, difference, unchanged, deleted)


def test_a_task_definition_carries_the_digest_that_was_verified(told: Told) -> None:
    assert told.made.images == {"Web": f"{told.images.uri}@{told.first}"}


def test_what_was_verified_is_told_in_attributes(told: Told) -> None:
    told_of = dict(told.made.outputs)
    size = told_of.pop("WebSizeInBytes")
    assert size.isdigit()
    assert int(size) > 0
    assert told_of == {
        "WebImageUri": f"{told.images.uri}@{told.first}",
        "WebImageDigest": told.first,
        "WebImageTag": "first",
        "WebMediaType": "application/vnd.oci.image.manifest.v1+json",
        "WebPlatform": "linux/amd64",
        "WebLayerCount": "1",
        "WebWarnings": "none",
    }


def test_a_good_image_is_asked_about_once(told: Told) -> None:
    assert told.made.asked == ["Create"]


def test_a_good_image_replaces_a_good_image(told: Told) -> None:
    assert told.updated.status == "UPDATE_COMPLETE"
    assert told.updated.images == {"Web": f"{told.images.uri}@{told.second}"}


def test_a_new_image_is_verified_under_a_logical_id_of_its_own(told: Told) -> None:
    assert told.updated.asked == ["Create", "Delete"]
    new, old = [request["logical_id"] for request in told.updated.requests]
    assert old == told.made.requests[0]["logical_id"] != new


def test_a_broken_image_fails_the_deploy_and_the_stack_rolls_back(told: Told) -> None:
    assert told.refused.status == "UPDATE_ROLLBACK_COMPLETE"


def test_what_ran_before_a_refused_deploy_goes_on_running(told: Told) -> None:
    assert told.refused.images == told.updated.images


def test_no_service_and_no_task_definition_moves_in_a_refused_deploy(told: Told) -> None:
    assert told.refused.touched("AWS::ECS::Service", "AWS::ECS::TaskDefinition") == set()


def test_a_rollback_only_deletes_the_new_verification(told: Told) -> None:
    assert told.refused.asked == ["Create", "Delete"]
    assert len({request["logical_id"] for request in told.refused.requests}) == 1


def test_the_terminal_says_the_finding_what_ecs_would_have_said_and_the_commands(told: Told) -> None:
    for place in _places(told.refused.output):
        said = " ".join(place.split())
        assert "[not-an-image]" in said
        assert "ECS on Fargate would have said: CannotPullContainerError" in said
        assert "failed to get stream processor for application/vnd.in-toto+json" in said
        assert "aws ecr batch-delete-image --region us-east-1 --registry-id 000000000000 --repository-name" in said
        assert f"{told.images.name}:broken" in said


def test_every_line_of_the_reason_stays_whole_wherever_the_cli_shows_it(told: Told) -> None:
    rows = [row for row in re.split(r"\n\s*|\s{2,}", told.refused.reason) if row]
    assert len(rows) > 10
    for place in _places(told.refused.output):
        lines = place.splitlines()
        for row in rows:
            assert any(row in line for line in lines), f"{row!r} is broken in\n{place}"


def test_the_clis_last_block_shows_the_reason_line_by_line(told: Told) -> None:
    last = [line.strip() for line in _places(told.refused.output)[2].splitlines()]
    rows = [row for row in re.split(r"\n\s*|\s{2,}", told.refused.reason) if row]
    # CloudFormation's own words stand before the first.
    assert [row for row in rows[1:] if row not in last] == []


def test_a_stack_that_was_rolled_back_is_what_it_was(told: Told) -> None:
    assert told.difference.code == 0, told.difference.output
    assert "There were no differences" in told.difference.output
    assert "(no changes)" in told.unchanged.output
    assert told.unchanged.requests == ()


def test_a_stack_is_deleted_after_its_image(told: Told) -> None:
    assert told.deleted.status == ""
    assert told.deleted.asked == ["Delete"]
    assert told.deleted.requests[0]["status"] == "SUCCESS"


def _places(output: str) -> tuple[str, str, str]:
    """The three places in which the CLI shows a reason: the event, the failed resources, the last block."""
    events, _, rest = output.partition("Failed resources:")
    failed, _, last = rest.partition("DeploymentError:")
    assert last, output
    return events, failed, last
