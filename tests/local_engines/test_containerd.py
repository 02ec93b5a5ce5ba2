"""containerd 1.6 and 1.7 pull and start healthy images, and refuse others in their own words."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator

import pytest

from local_aws import LocalAws
from local_engines import debian
from local_engines.containerd import Containerd, PullError
from local_engines.dockerd import DockerEngine

ECR = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
REPOSITORY = "containerd"


@pytest.fixture(scope="module")
def credentials(aws: LocalAws) -> tuple[str, str]:
    token = aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    return user, password


@pytest.fixture(scope="module")
def attestation(aws: LocalAws, credentials: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Push an image with its attestation, tagged `image`, and return the attestation's digest."""
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName=REPOSITORY)
    folder = tmp_path_factory.mktemp("context")
    shutil.copy(debian.unpacked("trixie", ("busybox-static",)) / "usr/bin/busybox", folder)
    (folder / "Dockerfile").write_text(
        'FROM scratch\nCOPY busybox /busybox\nCMD ["/busybox", "sh", "-c", "echo $GREETING"]\n'
    )
    reference = f"{aws.registry}/{REPOSITORY}:image"
    with DockerEngine.start() as engine:
        engine.docker("login", f"--username={credentials[0]}", f"--password={credentials[1]}", aws.registry)
        engine.docker("build", "--quiet", "--provenance=true", "--tag", reference, str(folder))
        engine.docker("push", reference)
        engine.docker("image", "rm", "--force", reference)
    image = ecr.batch_get_image(
        repositoryName=REPOSITORY,
        imageIds=[{"imageTag": "image"}],
        acceptedMediaTypes=["application/vnd.oci.image.index.v1+json"],
    )["images"][0]
    children = json.loads(image["imageManifest"])["manifests"]
    return next(str(child["digest"]) for child in children if child["platform"]["os"] == "unknown")


@pytest.fixture(scope="module", params=["1.6", "1.7"])
def containerd(request: pytest.FixtureRequest, aws: LocalAws) -> Iterator[Containerd]:
    with Containerd.start(request.param, {ECR: aws.endpoint}) as running:
        assert running.version.startswith(request.param)
        yield running


@pytest.mark.usefixtures("attestation")
def test_an_image_is_pulled_and_started_by_the_reference_that_ecs_uses(
    containerd: Containerd, credentials: tuple[str, str]
) -> None:
    reference = f"{ECR}/{REPOSITORY}:image"
    containerd.pull(reference, *credentials)
    with containerd.run(reference, {"GREETING": "hello"}) as container:
        assert container.ends_within(seconds=60)
        assert container.output() == "hello"


def test_an_attestation_is_refused_in_the_words_of_incident_1(
    containerd: Containerd, credentials: tuple[str, str], attestation: str
) -> None:
    message = {
        "1.6": "no processor for media-type: unknown",
        "1.7": "mismatched image rootfs and manifest layers",
    }[containerd.version[:3]]
    with pytest.raises(PullError, match=message):
        containerd.pull(f"{ECR}/{REPOSITORY}@{attestation}", *credentials)


def test_a_tag_that_does_not_exist_is_refused(containerd: Containerd, credentials: tuple[str, str]) -> None:
    with pytest.raises(PullError, match="not found"):
        containerd.pull(f"{ECR}/{REPOSITORY}:none", *credentials)
