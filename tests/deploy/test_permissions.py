"""The role of the verifier: none of its actions is missing, and none is too many."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Journey, Step

_ECR = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
)
_STATUS = "cloudformation:DescribeStacks"
# Lambda itself writes the log with them; the local AWS writes it without asking.
_LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")


@pytest.fixture(scope="module")
def assembly(new_images: NewImages, new_journey: NewJourney) -> tuple[Journey, Path, Images]:
    """The app with a tag from a parameter, synthesized, and the images A and B."""
    images, journey = new_images(), new_journey("parameter")
    images.good("a")
    images.good("b")
    # So little that a denial is soon reported.
    return journey, journey.synth("out", repository=images.name, timeout=40), images


@pytest.fixture(scope="module")
def without_one(new_images: NewImages, new_journey: NewJourney) -> Mapping[str, Step]:
    """By each action of ECR, how a stack ended whose role lacks it; and by "", one whose role lacks none."""
    images, journey = new_images(), new_journey("permissions")
    images.good("good")
    stacks = {action: f"{journey.stack}-Without-{action.partition(':')[2]}" for action in ("", *_ECR)}
    out = journey.synth("out", repository=images.name, tag="good", stacks=list(stacks.values()))
    for action, stack in stacks.items():
        _take_away(out / f"{stack}.template.json", action)
    journey.refused(f"--concurrency={len(stacks)}", app="out")
    return {action: journey.beside(stack).look() for action, stack in stacks.items()}


def test_the_role_has_these_actions_and_no_others(assembly: tuple[Journey, Path, Images]) -> None:
    journey, out, _ = assembly
    template = _read(out / f"{journey.stack}.template.json")
    verifiers = [statement for name, statement in _statements(template) if "Verifier" in name or "Safe" in name]
    actions = [action for statement in verifiers for action in _actions(statement)]
    assert sorted(actions) == sorted((*_ECR, _STATUS, *_LOGS))
    assert all(statement["Effect"] == "Allow" for statement in verifiers)
    assert "*" not in [statement["Resource"] for statement in verifiers]


def test_the_verifier_works_with_all_its_actions(without_one: Mapping[str, Step]) -> None:
    assert without_one[""].status == "CREATE_COMPLETE"


@pytest.mark.parametrize("action", _ECR)
def test_without_one_of_its_ecr_actions_the_deploy_fails_with_its_name(
    without_one: Mapping[str, Step], action: str
) -> None:
    step = without_one[action]
    assert step.status == "ROLLBACK_COMPLETE"
    reason = " ".join(step.reason.split())
    assert f"Allow {action} on arn:" in reason
    assert "nothing is known about it" in reason


def test_without_permission_for_the_stack_status_only_a_recorded_image_is_accepted_after_it_is_gone(
    assembly: tuple[Journey, Path, Images],
) -> None:
    journey, out, images = assembly
    _take_away(out / f"{journey.stack}.template.json", _STATUS)
    journey.deploy("--parameters=Tag=a", app="out")
    # A good image is right whichever way the stack goes.
    journey.deploy("--parameters=Tag=b", app="out")
    images.delete("a")
    assert journey.deploy("--parameters=Tag=a", app="out").status == "UPDATE_COMPLETE"
    step = journey.refused("--parameters=Tag=never-pushed", app="out")
    assert "[image-missing]" in step.reason
    assert step.status == "UPDATE_ROLLBACK_COMPLETE"


def _take_away(template: Path, action: str) -> None:
    """Remove an action from the one statement of a template that has it."""
    content = _read(template)
    having = [statement for _, statement in _statements(content) if action in _actions(statement)]
    assert len(having) == (1 if action else 0)
    for statement in having:
        statement["Action"] = [other for other in _actions(statement) if other != action] or "sts:GetCallerIdentity"
    template.write_text(json.dumps(content))


def _read(template: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(template.read_text())
    return content


def _statements(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of the roles and policies in a template, with the logical ID of where it stands."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Policy":
            documents = [properties["PolicyDocument"]]
        elif resource["Type"] == "AWS::IAM::Role":
            assert "ManagedPolicyArns" not in properties
            documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        else:
            continue
        for document in documents:
            for statement in document["Statement"]:
                yield name, statement


def _actions(statement: dict[str, Any]) -> list[str]:
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else list(actions)
