"""The way of docs/adopting.md: a running stack of plain CDK reports, then lets pass, then protects, and goes back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_aws import ACCOUNT, REGION, LocalAws
from local_engines import debian
from local_engines.dockerd import DockerEngine
from tests.deploy.conftest import NewJourney
from tests.deploy.journey import Step

# Five steps of the CDK CLI. The unit tests of SafeImages cover each by its template.
pytestmark = pytest.mark.exhaustive

_ASSETS = f"cdk-hnb659fds-container-assets-{ACCOUNT}-{REGION}"
_SERVICES = {"Web", "Worker"}


@dataclass(frozen=True)
class Steps:
    """The journey.

    :param plain: the stack before, with images of plain CDK.
    :param reported: `cdk diff` with SafeImages.report.
    :param tags: the number of tags in the repository after each deploy, by its name.
    :param layers: the digests of the layers of the images of plain CDK, and of those that SafeImages built.
    """

    plain: Step
    reported: Step
    never: Step
    protected: Step
    back: Step
    tags: dict[str, int]
    layers: tuple[set[str], set[str]]


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with DockerEngine.start() as running:
        yield running


@pytest.fixture(scope="module")
def steps(
    aws: LocalAws, engine: DockerEngine, new_journey: NewJourney, tmp_path_factory: pytest.TempPathFactory
) -> Steps:
    journey, folders = new_journey("adopting"), {}
    busybox = debian.unpacked("bookworm", ("busybox-static",)) / "bin" / "busybox"
    for name in sorted(_SERVICES):
        folders[name] = str(tmp_path_factory.mktemp(name))
        shutil.copy(busybox, folders[name])
        text = f'FROM scratch\nCOPY busybox /bin/busybox\nCMD ["/bin/busybox", "echo", "{name}"]\n'
        Path(folders[name], "Dockerfile").write_text(text)
    tags: dict[str, set[str]] = {"before": _tags(aws)}

    def deploy(way: str) -> Step:
        step = journey.deploy(env=engine.env(), images=folders, way=way)
        tags[way] = _tags(aws)
        return step

    plain = deploy("plain")
    reported = journey.cdk("diff", "--fail", env=engine.env(), images=folders, way="report")
    never, protected = deploy("never"), deploy("protect")
    back = journey.deploy(env=engine.env(), images=folders, way="plain")
    tags["back"] = _tags(aws)
    counts = {way: len(found - tags["before"]) for way, found in tags.items()}
    layers = [_layers(aws, found) for found in (tags["plain"] - tags["before"], tags["never"] - tags["plain"])]
    return Steps(plain, reported, never, protected, back, counts, (layers[0], layers[1]))


def _tags(aws: LocalAws) -> set[str]:
    return {image["imageTag"] for image in aws.client("ecr").list_images(repositoryName=_ASSETS)["imageIds"]}


def _layers(aws: LocalAws, tags: set[str]) -> set[str]:
    ids: Any = [{"imageTag": tag} for tag in tags]
    images = aws.client("ecr").batch_get_image(repositoryName=_ASSETS, imageIds=ids)["images"]
    return {layer["digest"] for image in images for layer in json.loads(image["imageManifest"])["layers"]}


def test_report_warns_of_each_image_and_changes_no_template(steps: Steps) -> None:
    assert steps.reported.code == 0, "cdk diff --fail finds no difference"
    assert steps.reported.output.count("is not verified") == len(_SERVICES)


def test_the_first_protected_deploy_builds_each_image_once_under_a_new_tag(steps: Steps) -> None:
    assert steps.tags == {"before": 0, "plain": 2, "never": 4, "protect": 4, "back": 4}
    assert steps.never.asked == ["Create"] * 2


def test_the_first_protected_deploy_pushes_the_layers_that_are_there_under_their_old_digests(steps: Steps) -> None:
    plain, protected = steps.layers
    assert protected == plain


def test_the_first_protected_deploy_replaces_the_tasks_of_each_service_and_the_next_does_not(steps: Steps) -> None:
    assert len(steps.never.touched("AWS::ECS::Service")) == len(_SERVICES)
    assert set(steps.never.images.values()).isdisjoint(steps.plain.images.values())
    assert steps.protected.asked[:2] == ["Create"] * 2
    assert steps.protected.images == steps.never.images


def test_the_way_back_returns_to_the_old_tags_and_leaves_nothing_behind(steps: Steps) -> None:
    assert steps.back.images == steps.plain.images
    assert set(steps.back.asked) == {"Delete"}
    assert steps.back.status == "UPDATE_COMPLETE"
    assert not steps.back.output.count("fail: ")
