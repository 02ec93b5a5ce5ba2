"""A service on Fargate: created, updated, refused an update, deployed unchanged, deleted. Each test checks a step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import LAST, Step


@dataclass(frozen=True)
class Steps:
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
def steps(new_images: NewImages, new_journey: NewJourney) -> Steps:
    images, stack = new_images(), new_journey("services")
    first, second = images.good("first"), images.good("second")
    images.broken("broken")

    def asking(tag: str) -> dict[str, Any]:
        return {"repository": images.name, "images": {"Web": tag}}

    made = stack.deploy(**asking("first"))
    updated = stack.deploy(**asking("second"))
    refused = stack.refused(**asking("broken"))
    difference = stack.cdk("diff", "--fail", **asking("second"))
    unchanged = stack.deploy(**asking("second"))
    images.delete("second")
    deleted = stack.destroy(app=LAST)
    return Steps(images, first, second, made, updated, refused, difference, unchanged, deleted)


def test_a_task_definition_contains_the_verified_digest(steps: Steps) -> None:
    assert steps.made.images == {"Web": f"{steps.images.uri}@{steps.first}"}


def test_the_attributes_describe_the_verified_image(steps: Steps) -> None:
    attributes = dict(steps.made.outputs)
    size = attributes.pop("WebSizeInBytes")
    assert size.isdigit()
    assert int(size) > 0
    assert attributes == {
        "WebImageUri": f"{steps.images.uri}@{steps.first}",
        "WebImageDigest": steps.first,
        "WebImageTag": "first",
        "WebMediaType": "application/vnd.oci.image.manifest.v1+json",
        "WebPlatform": "linux/amd64",
        "WebLayerCount": "1",
        "WebWarnings": "none",
    }


def test_a_good_image_is_verified_once(steps: Steps) -> None:
    assert steps.made.asked == ["Create"]


def test_a_good_image_replaces_a_good_image(steps: Steps) -> None:
    assert steps.updated.status == "UPDATE_COMPLETE"
    assert steps.updated.images == {"Web": f"{steps.images.uri}@{steps.second}"}


def test_a_new_image_gives_the_verification_another_logical_id(steps: Steps) -> None:
    assert steps.updated.asked == ["Create", "Delete"]
    new, old = [request["logical_id"] for request in steps.updated.requests]
    assert old == steps.made.requests[0]["logical_id"] != new


def test_a_broken_image_fails_the_deploy_and_the_stack_rolls_back(steps: Steps) -> None:
    assert steps.refused.status == "UPDATE_ROLLBACK_COMPLETE"


def test_the_running_image_keeps_running_after_a_refused_deploy(steps: Steps) -> None:
    assert steps.refused.images == steps.updated.images


def test_no_service_and_no_task_definition_changes_in_a_refused_deploy(steps: Steps) -> None:
    assert steps.refused.touched("AWS::ECS::Service", "AWS::ECS::TaskDefinition") == set()


def test_a_rollback_only_deletes_the_new_verification(steps: Steps) -> None:
    assert steps.refused.asked == ["Create", "Delete"]
    assert len({request["logical_id"] for request in steps.refused.requests}) == 1


def test_the_terminal_shows_the_finding_the_error_of_ecs_and_the_commands(steps: Steps) -> None:
    for place in _places(steps.refused.output):
        said = " ".join(place.split())
        assert "[not-an-image]" in said
        assert "ECS on Fargate would have said: CannotPullContainerError" in said
        assert "failed to get stream processor for application/vnd.in-toto+json" in said
        assert "ecr batch-delete-image --image-ids imageTag=$TAG,imageDigest=$IMAGE" in said
        assert f"{steps.images.name}:broken" in said


def test_no_command_of_the_reason_is_broken_wherever_the_cli_shows_it(steps: Steps) -> None:
    commands = _commands(steps.refused.reason)
    assert len(commands) > 5
    for place in _places(steps.refused.output):
        lines = place.splitlines()
        for command in commands:
            assert any(command in line for line in lines), f"{command!r} is broken in\n{place}"


def test_the_clis_last_block_has_each_command_on_a_line_of_its_own(steps: Steps) -> None:
    last = [line.strip() for line in _places(steps.refused.output)[2].splitlines()]
    assert [command for command in _commands(steps.refused.reason) if command not in last] == []


def test_a_rollback_restores_the_stack(steps: Steps) -> None:
    assert steps.difference.code == 0, steps.difference.output
    assert "There were no differences" in steps.difference.output
    assert "(no changes)" in steps.unchanged.output
    assert steps.unchanged.requests == ()


def test_a_stack_is_deleted_after_its_image(steps: Steps) -> None:
    assert steps.deleted.status == ""
    assert steps.deleted.asked == ["Delete"]
    assert steps.deleted.requests[0]["status"] == "SUCCESS"


def _commands(reason: str) -> list[str]:
    """The rows of a reason that are pasted into a shell."""
    return [row for row in re.split(r"\n\s*|\s{2,}", reason) if re.match(r"[A-Z]+=|ecr[ (]", row)]


def _places(output: str) -> tuple[str, str, str]:
    """The three places in which the CLI shows a reason: the event, the failed resources, the last block."""
    events, _, rest = output.partition("Failed resources:")
    failed, _, last = rest.partition("DeploymentError:")
    assert last, output
    return events, failed, last
