"""Stacks that share a verifier; the output of `cdk diff` afterwards; and `cdk deploy --hotswap`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from local_aws import LocalAws
from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Step

_OFF = "--context=cdk-safe-image:verify=off"


@dataclass(frozen=True)
class Steps:
    """The journey of the stack that has the function.

    :param services: the other stack that shares the verifier, after the first deploy.
    :param functions: the Lambdas of the three stacks after it.
    :param diff: `cdk diff` of the same app.
    :param uris: the image of the function after the first deploy, after one without verification, and after the swap.
    """

    images: Images
    made: Step
    services: Step
    functions: list[str]
    diff: Step
    swapped: Step
    uris: tuple[str, str, str]


@pytest.fixture(scope="module")
def steps(aws: LocalAws, new_images: NewImages, new_journey: NewJourney) -> Steps:
    images, stack = new_images(), new_journey("shared_verifier")
    for tag in ("first", "second"):
        images.good(tag)
    first: dict[str, Any] = {"repository": images.name, "tag": "first"}
    second = {"repository": images.name, "tag": "second"}

    def uri(step: Step) -> str:
        function = aws.client("lambda").get_function(FunctionName=step.outputs["FunctionName"])
        return str(function["Code"]["ImageUri"])

    made = stack.deploy(**first)
    services = stack.beside(f"{stack.stack}Services").look()
    functions = [it["FunctionName"] for it in aws.client("lambda").list_functions()["Functions"]]
    diff = stack.cdk("diff", "--all", "--fail", **first)
    uris = [uri(made), uri(stack.deploy(_OFF, **first))]
    swapped = stack.deploy(_OFF, "--hotswap", **second)
    uris.append(uri(swapped))
    mine = [function for function in functions if function.startswith(stack.stack)]
    return Steps(images, made, services, mine, diff, swapped, (uris[0], uris[1], uris[2]))


def test_one_verifier_verifies_for_every_stack_that_uses_it(steps: Steps) -> None:
    assert steps.made.asked == steps.services.asked == ["Create"]
    assert (
        steps.made.requests[0]["properties"]["ServiceToken"] == steps.services.requests[0]["properties"]["ServiceToken"]
    )
    assert len([function for function in steps.functions if "-VerifierFunction" in function]) == 1


def test_cdk_diff_of_an_unchanged_app_shows_nothing(steps: Steps) -> None:
    assert steps.diff.code == 0, steps.diff.output
    assert "Number of stacks with differences: 0" in steps.diff.output


def test_hotswap_without_verification_changes_the_image_and_no_stack(steps: Steps) -> None:
    verified, off, swapped = steps.uris
    assert verified == off == f"{steps.images.uri}:first"
    # The CLI makes up the registry's name itself, from the endpoint's.
    assert swapped.endswith(f"/{steps.images.name}:second")
    assert steps.swapped.events == ()
