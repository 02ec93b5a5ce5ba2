"""The way of docs/removing.md: a stack with a shared verifier is deployed, and then the library is taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from local_aws import LocalAws
from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Step

# Four steps of the CDK CLI.
pytestmark = pytest.mark.exhaustive


@dataclass(frozen=True)
class Steps:
    """The journey.

    :param safe: the stack with the verified image.
    :param wrong: `cdk deploy --all` when nothing uses the verifier any more.
    :param after_wrong: the stack after that.
    :param right: the same app, with the stack that used the verifier alone.
    :param destroyed: `cdk destroy` of the verifier's stack.
    :param functions: the Lambda functions of both stacks that are left.
    """

    images: Images
    safe: Step
    wrong: Step
    after_wrong: Step
    right: Step
    destroyed: Step
    functions: list[str]


@pytest.fixture(scope="module")
def steps(aws: LocalAws, new_images: NewImages, new_journey: NewJourney) -> Steps:
    images, stack = new_images(), new_journey("removing")
    images.good("first")
    context: dict[str, Any] = {"repository": images.name, "tag": "first"}
    verifier = stack.beside(f"{stack.stack}Verifier")
    safe = stack.deploy(way="safe", **context)
    wrong = stack.refused(way="unused", **context)
    after_wrong = stack.look()
    exclusively = ("deploy", "--exclusively", stack.stack, "--require-approval=never")
    right = stack.cdk(*exclusively, way="unused", **context)
    destroyed = stack.cdk("destroy", "--force", verifier.stack, way="unused", **context)
    left = [it["FunctionName"] for it in aws.client("lambda").list_functions()["Functions"]]
    mine = [function for function in left if function.startswith(stack.stack)]
    return Steps(images, safe, wrong, after_wrong, right, destroyed, mine)


def test_with_all_stacks_the_export_of_the_verifier_is_refused_and_nothing_is_broken(steps: Steps) -> None:
    assert steps.safe.asked == ["Create"]
    assert "in use" in steps.wrong.output, steps.wrong.output
    assert steps.after_wrong.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    assert steps.wrong.asked == []


def test_the_stack_that_used_the_verifier_goes_first_and_then_the_verifier(steps: Steps) -> None:
    assert steps.right.code == 0, steps.right.output
    assert steps.right.asked == ["Delete"]
    assert steps.destroyed.code == 0, steps.destroyed.output
    assert steps.functions == []


def test_the_image_and_its_tag_stay_in_the_repository(steps: Steps, aws: LocalAws) -> None:
    found = aws.client("ecr").describe_images(repositoryName=steps.images.name)["imageDetails"]
    assert [image["imageTags"] for image in found] == [["first"]]
