"""`preflight`, `heal` and `doctor` find and fix the remains of a broken image, with real CDK and Docker."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_aws import ACCOUNT, REGION, LocalAws
from local_engines import debian
from local_engines.dockerd import DockerEngine
from tests.deploy.conftest import NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Journey

_ASSETS = f"cdk-hnb659fds-container-assets-{ACCOUNT}-{REGION}"
_HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
Command = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Place:
    """An assembly of one image, whose tag and whose twin here tests set.

    :param out: the assembly.
    :param tag: the image's tag, and CDK's name for its twin.
    """

    aws: LocalAws
    engine: DockerEngine
    journey: Journey
    context: Path
    out: Path
    tag: str

    def poison(self) -> None:
        """Leave the tag on an attestation."""
        Images(self.aws, _ASSETS).broken(self.tag)

    @property
    def twin(self) -> str:
        return f"cdkasset-{self.tag}"

    def build(self, *arguments: str) -> None:
        """Keep an image here as CDK would."""
        self.engine.docker("build", "--quiet", "--tag", self.twin, *arguments, str(self.context))

    @property
    def is_tagged(self) -> bool:
        listed = self.aws.client("ecr").list_images(repositoryName=_ASSETS)["imageIds"]
        return any(image.get("imageTag") == self.tag for image in listed)

    @property
    def is_kept(self) -> bool:
        return bool(self.engine.docker("image", "ls", "--quiet", self.twin).strip())


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with DockerEngine.start() as running:
        yield running


@pytest.fixture(scope="module")
def new_place(
    aws: LocalAws, engine: DockerEngine, new_journey: NewJourney, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Place]:
    busybox = debian.unpacked("bookworm", ("busybox-static",)) / "bin" / "busybox"

    def new(name: str) -> Place:
        journey, context = new_journey("asset"), tmp_path_factory.mktemp("context")
        shutil.copy(busybox, context)
        text = f'FROM scratch\nCOPY busybox /bin/busybox\nCMD ["/bin/busybox", "echo", "{name}"]\n'
        (context / "Dockerfile").write_text(text)
        out = journey.synth("out", directory=context)
        (asset,) = json.loads((out / f"{journey.stack}.assets.json").read_text())["dockerImages"].values()
        (destination,) = asset["destinations"].values()
        return Place(aws, engine, journey, context, out, destination["imageTag"])

    return new


@pytest.fixture(scope="module")
def place(new_place: Callable[[str], Place]) -> Place:
    return new_place("mending")


@pytest.fixture
def run(aws: LocalAws, engine: DockerEngine, tmp_path: Path) -> Command:
    """Run the command as a user does, in an empty folder."""
    return lambda *arguments: _run({**aws.env(), **engine.env()}, tmp_path, *arguments)


@pytest.fixture(autouse=True)
def _nothing_left(place: Place) -> Iterator[None]:
    yield
    place.aws.client("ecr").batch_delete_image(repositoryName=_ASSETS, imageIds=[{"imageTag": place.tag}])
    if place.is_kept:
        place.engine.docker("image", "rm", place.twin)


def _run(environment: Mapping[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "safe_image", *arguments]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def _state(done: subprocess.CompletedProcess[str]) -> str:
    (image,) = json.loads(done.stdout)["images"]
    return str(image["state"])


def test_before_the_first_deploy_preflight_finds_nothing(place: Place, run: Command) -> None:
    done = run("preflight", str(place.out), "--format", "json")
    assert (done.returncode, _state(done)) == (0, "absent"), done.stderr


def test_a_poisoned_tag_is_found_before_the_deploy_and_removed_with_fix(place: Place, run: Command) -> None:
    place.poison()
    found = run("preflight", str(place.out))
    assert found.returncode == 1, found.stderr
    assert "not-an-image" in found.stdout
    assert f"imageTag={place.tag},imageDigest=sha256:" in found.stdout
    assert place.is_tagged, "without --fix nothing is removed"
    fixed = run("preflight", str(place.out), "--fix")
    assert fixed.returncode == 0, fixed.stderr
    assert not place.is_tagged


def test_an_image_with_an_attestation_that_cdk_would_push_again_is_found_and_removed(
    place: Place, run: Command
) -> None:
    place.build("--provenance=true")
    found = run("preflight", str(place.out), "--format", "json")
    assert (found.returncode, _state(found)) == (1, "stale"), found.stderr
    assert run("preflight", str(place.out), "--fix").returncode == 0
    assert not place.is_kept


def test_an_image_for_another_platform_that_cdk_would_push_again_is_found(place: Place, run: Command) -> None:
    place.build("--platform=linux/arm64", "--provenance=false")
    found = run("preflight", str(place.out))
    assert found.returncode == 1, found.stderr
    assert "platform-mismatch" in found.stdout
    assert f"image rm {place.twin}" in found.stdout


def test_a_good_image_that_cdk_would_push_again_is_left_alone(place: Place, run: Command) -> None:
    place.build("--output=type=docker,attestation-inline=false,oci-mediatypes=true")
    done = run("preflight", str(place.out), "--format", "json")
    assert (done.returncode, _state(done)) == (0, "kept"), done.stdout + done.stderr
    assert place.is_kept


def test_heal_shows_its_plan_and_changes_nothing_without_yes(place: Place, run: Command) -> None:
    place.poison()
    for arguments in (["--dry-run"], []):
        done = run("heal", f"{_HOST}/{_ASSETS}:{place.tag}", *arguments)
        assert done.returncode == 1, done.stderr
        assert "batch-delete-image" in done.stdout
        assert place.is_tagged
    assert "stdin is not a terminal" in done.stderr


def test_heal_removes_no_tag_of_a_good_image(place: Place, run: Command) -> None:
    Images(place.aws, _ASSETS).good(place.tag)
    done = run("heal", f"{_HOST}/{_ASSETS}:{place.tag}", "--yes")
    assert (done.returncode, "nothing is removed" in done.stdout) == (0, True), done.stderr
    assert place.is_tagged


def test_heal_frees_the_tag_of_an_image_for_another_platform_and_deletes_nothing(aws: LocalAws, run: Command) -> None:
    images = Images(aws, "mending-arm64")
    aws.client("ecr").create_repository(repositoryName=images.name)
    digest = images.push("v1", lambda layout: layout.image(config={"architecture": "arm64"}))
    for platform in ((), ("--platform", "linux/arm64")):
        fine = run("heal", f"{images.uri}:v1", *platform, "--yes")
        assert (fine.returncode, "nothing is removed" in fine.stdout) == (0, True), fine.stderr
    freed = run("heal", f"{images.uri}:v1", "--platform", "linux/amd64", "--yes")
    assert (freed.returncode, "nothing was deleted" in freed.stdout) == (0, True), freed.stdout + freed.stderr
    assert _digests(images) == [digest]
    gone = run("heal", f"{images.uri}:v1", "--yes")
    assert (gone.returncode, "the tag does not exist" in gone.stdout) == (0, True), gone.stderr


def test_heal_keeps_an_image_that_only_its_policy_refuses(aws: LocalAws, run: Command) -> None:
    images = Images(aws, "mending-policy")
    aws.client("ecr").create_repository(repositoryName=images.name)
    digest = images.good("v1")
    kept = run("heal", f"{images.uri}:v1", "--max-size", "1B", "--yes")
    assert (kept.returncode, "A build would make the same image again" in kept.stdout) == (1, True), kept.stderr
    assert _digests(images) == [digest]


def _digests(images: Images) -> list[str]:
    listed = images.aws.client("ecr").list_images(repositoryName=images.name)["imageIds"]
    return [image["imageDigest"] for image in listed]


def test_doctor_lists_the_poisoned_tags_and_removes_them_with_fix(place: Place, run: Command) -> None:
    place.poison()
    place.build("--provenance=true")
    found = {line["subject"]: line for line in _lines(run("doctor", "--format", "json"))}
    assert found["engine"]["status"] == "ok"
    assert found["engine"]["message"].endswith("containerd's image store")
    assert found["bootstrap repository"]["message"] == f"{_ASSETS} has immutable tags"
    assert found["tags"]["status"] == "error"
    assert any(place.tag in command for command in found["tags"]["fixes"])
    assert found["images that CDK keeps here"]["status"] == "warning"
    fixed = run("doctor", "--fix", "--yes")
    assert fixed.returncode == 0, fixed.stdout + fixed.stderr
    assert not place.is_tagged
    assert not place.is_kept


def _lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = json.loads(done.stdout)["lines"]
    return lines


def test_heal_finds_the_image_that_a_stack_refused_and_after_preflight_with_fix_the_assembly_deploys(
    new_place: Callable[[str], Place], run: Command
) -> None:
    place = new_place("healed")
    place.poison()
    place.journey.refused(app="out")
    healed = run("heal", "--stack", place.journey.stack, "--yes")
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert "not-an-image" in healed.stdout
    assert not place.is_tagged
    # As another build of the same pipeline would leave it.
    place.poison()
    place.build("--provenance=true")
    assert run("preflight", str(place.out)).returncode == 1
    fixed = run("preflight", str(place.out), "--fix")
    assert fixed.returncode == 0, fixed.stdout + fixed.stderr
    built = place.journey.deploy(app="out", env=place.engine.env())
    assert built.outputs["ImageTag"] == place.tag


def test_heal_reports_a_stack_that_refused_nothing(run: Command) -> None:
    done = run("heal", "--stack", "CDKToolkit")
    assert done.returncode == 2
    assert done.stderr == (
        "safe-image: the last deploy of CDKToolkit refused no image: see the stack's events, or pass the image\n"
    )
