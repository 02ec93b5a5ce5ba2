"""`safe-image check` on the local AWS: through ECR's API, and through the registry with Docker's credentials."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image_verifier.image import media_types

from local_aws import ACCOUNT, REGION, LocalAws
from tests.pushing import push
from tests.unit.images import GZIP, Layout
from tests.unit.safe_image.sources.test_cloud_assembly import assembly

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
Check = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def check(aws: LocalAws, tmp_path: Path) -> Check:
    """Run the command as a user does, with the local AWS's endpoints and without `docker login`."""
    return lambda *arguments: _run(aws, tmp_path, *arguments)


def _run(aws: LocalAws, login: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "safe_image", "check", *arguments]
    environment = {**aws.env(), "DOCKER_CONFIG": str(login)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _pushed(aws: LocalAws, folder: Path, repository: str, tag: str, **image: Any) -> str:
    aws.client("ecr").create_repository(repositoryName=repository)
    layout = Layout(folder / repository)
    layout.path.mkdir()
    layout.source(layout.image(**image))
    return push(aws, layout.path, repository, tag)


def test_a_healthy_image_in_ecr_passes(aws: LocalAws, check: Check, tmp_path: Path) -> None:
    digest = _pushed(aws, tmp_path, "cli-good", "v1", layer_types=(GZIP,) * 3)
    done = check(f"{HOST}/cli-good:v1", f"{HOST}/cli-good@{digest}", "--format", "json")
    assert done.returncode == 0, done.stderr
    images = json.loads(done.stdout)["images"]
    assert [i["digest"] for i in images] == [digest, digest]


def test_a_broken_image_in_ecr_fails_with_commands_that_reference_it(
    aws: LocalAws, check: Check, tmp_path: Path
) -> None:
    types = (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    _pushed(aws, tmp_path, "cli-bad", "v1", schema_2=True, layer_types=types)
    done = check(f"{HOST}/cli-bad:v1")
    assert done.returncode == 1
    assert f'ecr() {{ aws ecr "$@" --region {REGION} --registry-id {ACCOUNT} ' in done.stdout
    assert "ecr batch-delete-image --image-ids imageTag=$TAG,imageDigest=$IMAGE" in done.stdout


def test_an_unknown_tag_is_a_finding_and_an_unknown_repository_is_a_fault(
    aws: LocalAws, check: Check, tmp_path: Path
) -> None:
    _pushed(aws, tmp_path, "cli-other", "v1")
    assert check(f"{HOST}/cli-other:v2").returncode == 1
    done = check(f"{HOST}/cli-nowhere:v1")
    assert done.returncode == 2
    assert done.stderr == ""
    assert done.stdout.startswith(f"UNKNOWN  {HOST}/cli-nowhere:v1: ")


def test_the_registry_is_read_with_dockers_stored_login_and_through_redirects(
    secured: LocalAws, tmp_path: Path
) -> None:
    digest = _pushed(secured, tmp_path, "cli-registry", "v1", layer_types=(GZIP,) * 40)
    reference = f"{secured.registry}/cli-registry:v1"
    refused = _run(secured, tmp_path, reference)
    assert refused.returncode == 2
    assert f"docker login {secured.registry}" in refused.stdout
    token = secured.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    assert base64.b64decode(token).startswith(b"AWS:")
    login = {"auths": {secured.registry: {"auth": token}}}
    tmp_path.joinpath("config.json").write_text(json.dumps(login))
    done = _run(secured, tmp_path, reference, "--format", "json")
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads(done.stdout)["images"][0]["digest"] == digest


def test_every_image_of_a_cloud_assembly_is_checked_with_the_assemblys_policy_and_the_command_lines_options(
    aws: LocalAws, check: Check, tmp_path: Path
) -> None:
    repository, tags = "cli-assembly", {"verified": "a" * 64, "plain": "b" * 64}
    arm: dict[str, Any] = {"config": {"architecture": "arm64"}}
    _pushed(aws, tmp_path, repository, tags["verified"])
    layout = Layout(tmp_path / "plain")
    layout.path.mkdir()
    layout.source(layout.image(**arm))
    push(aws, layout.path, repository, tags["plain"])
    verification = {
        "Type": "Custom::ImageVerification",
        "Properties": {"ImageTag": tags["verified"], "RunsOn": ["lambda"], "MinSize": "1"},
    }
    destination = {"repositoryName": repository, "assumeRoleArn": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/r"}
    stack = assembly(tmp_path / "cdk.out", resources={"Verification": verification})
    images = {
        tag: {
            "source": {"directory": name, "platform": "linux/arm64" if name == "plain" else ""},
            "destinations": {"here": {**destination, "imageTag": tag}},
        }
        for name, tag in tags.items()
    }
    stack.joinpath("Shop.assets.json").write_text(json.dumps({"version": "48.0.0", "dockerImages": images}))

    def found(*arguments: str) -> tuple[int, dict[str, Any]]:
        done = check(f"cdk.out:{stack}", "--format", "json", *arguments)
        return done.returncode, {image["reference"][-64:]: image for image in json.loads(done.stdout)["images"]}

    code, judged = found()
    assert code == 0, judged
    assert {tag: (i["runs_on"], i["platform"]) for tag, i in judged.items()} == {
        tags["verified"]: (["lambda"], "linux/amd64"),
        tags["plain"]: (["fargate"], "linux/arm64"),
    }
    code, judged = found("--min-size", "1GiB", "--acknowledge", "image-too-small=a test")
    assert code == 0
    assert all(image["findings"][0]["acknowledged"] == "a test" for image in judged.values())
