"""`SafeDockerImageAsset`: a tag that an earlier build has left broken, and an image that is built, pushed and run."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from local_aws import ACCOUNT, REGION, LocalAws
from local_engines import debian
from local_engines.containerd import Containerd
from local_engines.dockerd import DockerEngine
from tests.deploy.conftest import NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Step

_HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
_ASSETS = f"cdk-hnb659fds-container-assets-{ACCOUNT}-{REGION}"


@dataclass(frozen=True)
class Steps:
    """The journey.

    :param tag: the tag of the image, which was already there, on an attestation.
    :param untagged: the same refusal, where the tag may be removed.
    :param left: the tags in the repository after it.
    :param function_uri: the image of the Lambda function after `built`.
    :param off: a deploy with verification switched off.
    """

    tag: str
    refused: Step
    untagged: Step
    left: set[str]
    built: Step
    function_uri: str
    off: Step


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with DockerEngine.start() as running:
        yield running


@pytest.fixture(scope="module")
def steps(
    aws: LocalAws, engine: DockerEngine, new_journey: NewJourney, tmp_path_factory: pytest.TempPathFactory
) -> Steps:
    journey = new_journey("asset")
    context = tmp_path_factory.mktemp("context")
    shutil.copy(debian.unpacked("bookworm", ("busybox-static",)) / "bin" / "busybox", context)
    dockerfile = context / "Dockerfile"
    dockerfile.write_text('FROM scratch\nCOPY busybox /bin/busybox\nCMD ["/bin/busybox", "echo", "I am running"]\n')

    out = journey.synth("out", directory=context)
    (asset,) = json.loads((out / f"{journey.stack}.assets.json").read_text())["dockerImages"].values()
    (destination,) = asset["destinations"].values()
    tag = destination["imageTag"]
    Images(aws, _ASSETS).broken(tag)
    # CDK finds the tag, so it neither builds nor pushes: there is no engine that it could ask.
    refused = journey.refused(app="out")
    untagged = journey.refused(directory=context, on_failure="untag")
    listed = aws.client("ecr").list_images(repositoryName=_ASSETS)["imageIds"]

    # The same tag again: it is gone, so that CDK builds and pushes.
    built = journey.deploy(directory=context, on_failure="untag", env=engine.env())
    function = aws.client("lambda").get_function(FunctionName=built.outputs["FunctionName"])
    off = journey.deploy("--context=cdk-safe-image:verify=off", directory=context)
    left = {image["imageTag"] for image in listed if "imageTag" in image}
    return Steps(tag, refused, untagged, left, built, function["Code"]["ImageUri"], off)


def test_a_tag_on_an_attestation_is_refused_before_any_consumer_is_created(steps: Steps) -> None:
    assert steps.refused.status == "ROLLBACK_COMPLETE"
    assert "[not-an-image]" in steps.refused.output
    assert steps.refused.touched("AWS::ECS::Service", "AWS::ECS::TaskDefinition") == set()
    (function,) = steps.refused.touched("AWS::Lambda::Function")
    assert "Verifier" in function


def test_the_commands_remove_the_tag_and_the_local_image_so_that_cdk_builds_again(steps: Steps) -> None:
    said = " ".join(steps.refused.output.split())
    assert f"REPO={_ASSETS};" in said
    assert f"TAG={steps.tag};" in said
    assert f"image rm cdkasset-{steps.tag} || true" in said


def test_with_untag_the_refused_tag_is_removed_and_the_next_deploy_pushes_it_again(steps: Steps) -> None:
    assert "[not-an-image]" in steps.untagged.output
    assert f"The tag {steps.tag} was removed from sha256:" in " ".join(steps.untagged.output.split())
    assert steps.tag not in steps.left
    assert steps.built.status == "CREATE_COMPLETE"
    assert steps.built.outputs["ImageTag"] == steps.tag


def test_a_built_image_is_one_manifest_whose_digest_the_service_uses_and_whose_tag_the_function_uses(
    steps: Steps, aws: LocalAws
) -> None:
    assert steps.built.status == "CREATE_COMPLETE"
    tag = steps.built.outputs["ImageTag"]
    (detail,) = aws.client("ecr").describe_images(repositoryName=_ASSETS, imageIds=[{"imageTag": tag}])["imageDetails"]
    assert detail["imageManifestMediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert steps.built.images == {"Web": f"{_HOST}/{_ASSETS}@{detail['imageDigest']}"}
    assert steps.function_uri == f"{_HOST}/{_ASSETS}:{tag}"


def test_containerd_runs_the_image_of_the_task_definition(steps: Steps, aws: LocalAws) -> None:
    token = aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    with Containerd.start("1.7", {_HOST: aws.endpoint}) as containerd:
        containerd.pull(steps.built.images["Web"], user, password)
        with containerd.run(steps.built.images["Web"]) as container:
            assert container.ends_within(60)
            assert container.output() == "I am running"


def test_verification_that_is_switched_off_deploys_the_tag_and_warns(steps: Steps) -> None:
    assert steps.off.images == {"Web": f"{_HOST}/{_ASSETS}:{steps.built.outputs['ImageTag']}"}
    assert steps.off.asked == ["Delete"]
    assert "without verification" in steps.off.output
