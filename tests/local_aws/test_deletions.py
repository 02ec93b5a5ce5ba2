"""`heal` against the local ECR, ECS and Lambda: an index that runs survives, and what runs is kept."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from image_verifier.image.references import rejected_tag

from local_aws import ACCOUNT, REGION, LocalAws
from local_engines.dockerd import DockerEngine
from tests.local_aws.incidents import NAME, NOW, SERVICE, EcsIncident
from tests.pushing import push
from tests.unit.images import Layout

_names = (f"deletions-{number}" for number in itertools.count())


@dataclass(frozen=True)
class Poisoned:
    """A repository in which an index holds an image and its attestation, and the only tag is on the attestation."""

    aws: LocalAws
    name: str
    index: str
    attestation: str

    @property
    def uri(self) -> str:
        return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{self.name}"

    @property
    def tags(self) -> dict[str, str]:
        listed = self.aws.client("ecr").list_images(repositoryName=self.name)["imageIds"]
        return {image["imageTag"]: image["imageDigest"] for image in listed if "imageTag" in image}

    @property
    def digests(self) -> set[str]:
        listed = self.aws.client("ecr").list_images(repositoryName=self.name)["imageIds"]
        return {image["imageDigest"] for image in listed}

    def heal(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "safe_image", "heal", f"{self.uri}:v1", "--yes", *arguments]
        environment = {**self.aws.env(), "CDK_DOCKER": "docker-that-is-not"}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )

    def run_in_ecs(self, digest: str) -> None:
        """Let a service of ECS run a digest."""
        service = EcsIncident({"web": f"{self.uri}@{digest}"})
        service.service(2, 1, [], {"status": "PRIMARY", "taskDefinition": "web:2", "createdAt": NOW})
        service.deployment("SUCCESSFUL", 2, digests={"web": digest})
        self.aws.record_incident(service.records)


@pytest.fixture
def poisoned(aws: LocalAws, tmp_path: Path) -> Iterator[Poisoned]:
    name = next(_names)
    client = aws.client("ecr")
    client.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    layout = Layout(tmp_path)
    image, attestation = layout.image(), layout.attestation()
    index = layout.index(
        {**image, "platform": {"os": "linux", "architecture": "amd64"}},
        {**attestation, "platform": {"os": "unknown", "architecture": "unknown"}},
    )
    layout.source(index)
    push(aws, layout.path, name, "first")
    # The attestation arrives at the tag, and the index loses its own: as the race of pushes leaves them.
    manifest = (layout.path / "blobs" / "sha256" / attestation["digest"].partition(":")[2]).read_text()
    client.put_image(repositoryName=name, imageManifest=manifest, imageTag="v1")
    other = (layout.path / "blobs" / "sha256" / index["digest"].partition(":")[2]).read_text()
    client.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "first"}])
    client.put_image(repositoryName=name, imageManifest=other)
    yield Poisoned(aws, name, index["digest"], attestation["digest"])
    aws.clear_incidents()


def test_ecr_refuses_to_remove_the_last_tag_of_a_manifest_that_an_index_references(poisoned: Poisoned) -> None:
    ids = [{"imageTag": "v1", "imageDigest": poisoned.attestation}]
    answer = poisoned.aws.client("ecr").batch_delete_image(repositoryName=poisoned.name, imageIds=ids)
    assert [failure["failureCode"] for failure in answer["failures"]] == ["ImageReferencedByManifestList"]


def test_after_the_cure_a_service_still_pulls_the_untagged_index_by_its_digest(poisoned: Poisoned) -> None:
    poisoned.run_in_ecs(poisoned.index)
    before = poisoned.digests
    done = poisoned.heal()
    assert done.returncode == 0, done.stdout + done.stderr
    assert poisoned.tags == {rejected_tag(poisoned.attestation): poisoned.attestation}
    assert poisoned.digests == before, "nothing was deleted"
    assert "nothing was deleted" in done.stdout
    with DockerEngine.start() as engine:
        engine.docker("pull", f"{poisoned.aws.registry}/{poisoned.name}@{poisoned.index}")
    again = poisoned.heal()
    assert (again.returncode, "the tag does not exist" in again.stdout) == (0, True), again.stderr


def test_without_a_service_the_index_survives_too(poisoned: Poisoned) -> None:
    done = poisoned.heal()
    assert done.returncode == 0, done.stdout + done.stderr
    assert poisoned.tags == {rejected_tag(poisoned.attestation): poisoned.attestation}


def test_a_digest_that_a_service_runs_keeps_its_tag(poisoned: Poisoned) -> None:
    poisoned.run_in_ecs(poisoned.attestation)
    done = poisoned.heal()
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"ECS service {SERVICE.split('/')[1]}/{NAME} runs it" in done.stdout
    assert poisoned.tags == {"v1": poisoned.attestation}


def test_a_digest_that_a_function_runs_keeps_its_tag(poisoned: Poisoned) -> None:
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:api"
    configuration = {"FunctionName": "api", "FunctionArn": arn, "PackageType": "Image"}
    code = {"ImageUri": f"{poisoned.uri}:v1", "ResolvedImageUri": f"{poisoned.uri}@{poisoned.attestation}"}
    poisoned.aws.record_incident({"functions": [{"Configuration": configuration, "Code": code}]})
    done = poisoned.heal()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Lambda function api runs it" in done.stdout
    assert poisoned.tags == {"v1": poisoned.attestation}
