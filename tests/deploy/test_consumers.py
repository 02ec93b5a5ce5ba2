"""`SafeImages.protect`: plain images of every kind of consumer; no consumer changes before its image is verified.

The local AWS has no Batch, App Runner, SageMaker or AgentCore in CloudFormation. That their resources wait is proved
at synth (tests/unit/cdk_safe_image/test_safe_images.py), by the same `DependsOn` that is deployed here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_aws import ACCOUNT, REGION, LocalAws
from tests.deploy.conftest import NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Step

_ASSETS = f"cdk-hnb659fds-container-assets-{ACCOUNT}-{REGION}"
_URI = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{_ASSETS}"
# The consumers, by how their logical IDs begin.
_CONSUMERS = ("FargateTask", "Ec2Task", "Function", "Parameter")


@dataclass(frozen=True)
class Steps:
    """The journey.

    :param template: the resources of the first two deploys.
    :param tags: the tags of their images.
    :param refused: a deploy with a broken image for each consumer.
    :param made: a deploy with good ones.
    :param refused_update: a deploy with a broken image for the function alone.
    :param function_uris: the image of the function after `made` and after `refused_update`.
    """

    template: dict[str, dict[str, object]]
    tags: set[str]
    refused: Step
    made: Step
    refused_update: Step
    function_uris: tuple[str, str]


@pytest.fixture(scope="module")
def steps(aws: LocalAws, new_journey: NewJourney, tmp_path_factory: pytest.TempPathFactory) -> Steps:
    journey, folder, images = new_journey("consumers"), tmp_path_factory.mktemp("contexts"), Images(aws, _ASSETS)
    for name in ("fargate", "ec2", "function", "named"):
        (folder / name).mkdir()
        (folder / name / "Dockerfile").write_text(f"FROM scratch\nLABEL consumer={name}\n")

    # CDK finds the tags, so it neither builds nor pushes: there is no engine that it could ask.
    first, tags = _synth(journey.synth("first", directory=folder), journey.stack)
    for tag in tags:
        images.broken(tag)
    refused = journey.refused(app="first")
    for tag in tags:
        images.delete(tag)
        images.good(tag)
    made = journey.deploy(app="first")
    uri = _function_uri(aws, made)

    (folder / "function" / "Dockerfile").write_text("FROM scratch\nLABEL consumer=second\n")
    _, second = _synth(journey.synth("second", directory=folder), journey.stack)
    (new,) = second - tags
    images.broken(new)
    refused_update = journey.refused(app="second")
    return Steps(first, tags, refused, made, refused_update, (uri, _function_uri(aws, refused_update)))


def test_no_consumer_of_a_broken_image_is_created(steps: Steps) -> None:
    assert steps.refused.status == "ROLLBACK_COMPLETE"
    assert "[not-an-image]" in steps.refused.output
    assert not [event for event in steps.refused.events if _names(steps, event["LogicalResourceId"])]


@pytest.mark.parametrize("consumer", _CONSUMERS)
def test_a_consumer_is_created_after_its_image_is_verified(steps: Steps, consumer: str) -> None:
    assert steps.made.status == "CREATE_COMPLETE"
    (name,) = [name for name in steps.template if name.startswith(consumer) and _names(steps, name)]
    order = [
        (event["LogicalResourceId"], event["ResourceStatus"])
        for event in steps.made.events
        if event["LogicalResourceId"] in (name, *_waits_for(steps, name))
    ]
    verified = [
        order.index((verification, "CREATE_COMPLETE"))
        for verification in _waits_for(steps, name)
        if steps.template[verification]["Type"] == "Custom::ImageVerification"
    ]
    assert verified
    assert max(verified) < order.index((name, "CREATE_IN_PROGRESS"))


def test_services_run_the_plain_uris(steps: Steps) -> None:
    assert set(steps.made.images) == {"Fargate", "Ec2"}
    assert all(uri.startswith(f"{_URI}:") for uri in steps.made.images.values())
    assert len(set(steps.made.images.values())) == 2


def test_a_function_keeps_its_image_when_the_new_one_is_refused(steps: Steps) -> None:
    assert steps.refused_update.status == "UPDATE_ROLLBACK_COMPLETE"
    before, after = steps.function_uris
    assert before == after
    assert before.startswith(f"{_URI}:")
    touched = steps.refused_update.touched("AWS::Lambda::Function", "AWS::ECS::Service")
    assert not [name for name in touched if "Verifier" not in name]
    assert steps.refused_update.images == steps.made.images


def _synth(out: Path, stack: str) -> tuple[dict[str, dict[str, object]], set[str]]:
    """The resources of a stack, and the tags of its images."""
    resources = json.loads((out / f"{stack}.template.json").read_text())["Resources"]
    manifest = json.loads((out / f"{stack}.assets.json").read_text())
    places = [place for image in manifest["dockerImages"].values() for place in image["destinations"].values()]
    return resources, {place["imageTag"] for place in places}


def _names(steps: Steps, name: str) -> bool:
    """Whether a resource is one of a consumer and names its image."""
    text = json.dumps(steps.template.get(name, {}).get("Properties"))
    return name.startswith(_CONSUMERS) and any(f":{tag}" in text for tag in steps.tags)


def _waits_for(steps: Steps, name: str) -> list[str]:
    waits = steps.template[name].get("DependsOn", [])
    assert isinstance(waits, list)
    return waits


def _function_uri(aws: LocalAws, step: Step) -> str:
    code = aws.client("lambda").get_function(FunctionName=step.outputs["FunctionName"])["Code"]
    return str(code["ImageUri"])
