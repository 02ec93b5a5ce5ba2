"""The commands of a refusal, pasted from the places where people read it, cure the deploy and delete nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_aws import ACCOUNT, REGION, LocalAws
from local_aws.demo.pasting import (
    PrintedStep,
    collapsed_steps,
    commands_by_hand,
    heal_commands,
    last_block,
    paste,
    printed_steps,
)
from local_aws.toolchain import install_aws_cli
from local_engines import debian
from local_engines.dockerd import DockerEngine
from tests.deploy.conftest import NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import Step
from tests.terminals import github_log, terminal_rows
from tests.unit.images import Layout

_ASSETS = f"cdk-hnb659fds-container-assets-{ACCOUNT}-{REGION}"


@dataclass(frozen=True)
class Cure:
    """A refused deploy, its commands as they were pasted, and the deploy after them.

    :param tag: the tag of the image, on an attestation that an index of the repository references.
    :param index: the digest of that index.
    :param held: the digests that the index references.
    :param pasted: the results of the commands as the CLI's last block shows them.
    :param pasted_again: the results of the same commands from a cell with white space collapsed, after the others.
    :param pasted_from_a_log: the results of the same commands from the log of a pipeline, after the others.
    :param left: the tags by digest after the commands.
    """

    tag: str
    index: str
    held: tuple[str, ...]
    refused: Step
    pasted: list[subprocess.CompletedProcess[str]]
    pasted_again: list[subprocess.CompletedProcess[str]]
    pasted_from_a_log: list[subprocess.CompletedProcess[str]]
    left: dict[str, set[str]]
    deployed: Step

    @property
    def steps(self) -> list[PrintedStep]:
        return printed_steps(self.refused.output)


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with DockerEngine.start() as running:
        yield running


@pytest.fixture(scope="module")
def cure(
    aws: LocalAws, engine: DockerEngine, new_journey: NewJourney, tmp_path_factory: pytest.TempPathFactory
) -> Cure:
    journey, context = new_journey("asset"), tmp_path_factory.mktemp("context")
    shutil.copy(debian.unpacked("bookworm", ("busybox-static",)) / "bin" / "busybox", context)
    (context / "Dockerfile").write_text(
        'FROM scratch\nCOPY busybox /bin/busybox\nCMD ["/bin/busybox", "echo", "cured"]\n'
    )
    out = journey.synth("out", directory=context)
    (asset,) = json.loads((out / f"{journey.stack}.assets.json").read_text())["dockerImages"].values()
    (destination,) = asset["destinations"].values()
    tag, images = destination["imageTag"], Images(aws, _ASSETS)
    index = images.push("with-provenance", _image_beside_its_attestation)
    held = tuple(child["digest"] for child in json.loads(_manifest(aws, index))["manifests"])
    aws.client("ecr").put_image(repositoryName=_ASSETS, imageManifest=_manifest(aws, held[1]), imageTag=tag)

    refused = journey.refused(app="out")
    environment = _shell_without_docker(aws, tmp_path_factory.mktemp("bin"))
    pasted = [paste(command, environment) for command in commands_by_hand(printed_steps(refused.output))]
    again = [paste(command, environment) for command in commands_by_hand(collapsed_steps(refused.reason))]
    logged = [paste(command, environment) for command in commands_by_hand(_steps_in_a_log(refused.output))]
    deployed = journey.deploy(app="out", env=engine.env())
    return Cure(tag, index, held, refused, pasted, again, logged, _tags(aws), deployed)


def _steps_in_a_log(output: str) -> list[PrintedStep]:
    """The steps in the log of a pipeline, whose times are not selected."""
    return printed_steps("\n".join(line.partition(" ")[2] for line in github_log(output).splitlines()))


def _image_beside_its_attestation(layout: Layout) -> dict[str, Any]:
    image = {**layout.image(config={"author": "pasted"}), "platform": {"os": "linux", "architecture": "amd64"}}
    unknown = {"os": "unknown", "architecture": "unknown"}
    return layout.index(image, {**layout.attestation(), "platform": unknown})


def _shell_without_docker(aws: LocalAws, folder: Path) -> dict[str, str]:
    """The environment of somebody with the AWS CLI and without Docker, as in a pipeline that only deploys."""
    for program in ("bash", "env"):
        (folder / program).symlink_to(str(shutil.which(program)))
    return {**aws.env(), "PATH": os.pathsep.join([str(install_aws_cli()), str(folder)])}


def _manifest(aws: LocalAws, digest: str) -> str:
    found = aws.client("ecr").batch_get_image(repositoryName=_ASSETS, imageIds=[{"imageDigest": digest}])
    return str(found["images"][0]["imageManifest"])


def _tags(aws: LocalAws) -> dict[str, set[str]]:
    tags: dict[str, set[str]] = {}
    for image in aws.client("ecr").list_images(repositoryName=_ASSETS)["imageIds"]:
        tags.setdefault(image["imageDigest"], set()).update(filter(None, [image.get("imageTag", "")]))
    return tags


def test_the_first_step_is_one_line(cure: Cure) -> None:
    stack = cure.refused.events[0]["StackName"]
    assert [line.strip() for line in cure.steps[0].command.splitlines()] == [
        f"safe-image heal --stack {stack} --region {REGION}"
    ]
    assert heal_commands(cure.steps) == [cure.steps[0].command]


def test_no_command_has_a_backslash_and_none_is_wider_than_the_clis_last_block(cure: Cure) -> None:
    lines = [line for step in cure.steps for line in step.command.splitlines()]
    assert len(lines) > 8
    assert all("\\" not in line and len(line.rstrip()) <= 118 for line in lines)


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_no_terminal_shows_an_empty_row(cure: Cure, columns: int) -> None:
    rows = terminal_rows(last_block(cure.refused.output).rstrip(), columns)
    first, last = (
        next(i for i, row in enumerate(rows) if mark in row) for mark in ("Message returned", "Full report:")
    )
    reason = rows[first : last + 1]
    assert [reason[i - 1] for i, row in enumerate(reason) if not row.strip()] == []


def test_every_place_shows_the_same_commands(cure: Cure) -> None:
    collapsed = [" ".join(step.command.split()) for step in cure.steps]
    assert [step.command for step in collapsed_steps(cure.refused.reason)] == collapsed
    # The event's line, which comes first.
    event = cure.refused.output[: cure.refused.output.index("❌")]
    assert [" ".join(step.command.split()) for step in printed_steps(event)] == collapsed
    assert [" ".join(step.command.split()) for step in _steps_in_a_log(cure.refused.output)] == collapsed


def test_the_pasted_commands_succeed_where_there_is_no_docker_and_when_they_are_pasted_again(cure: Cure) -> None:
    assert len(cure.pasted) == len(cure.pasted_again) == len(cure.pasted_from_a_log) == 2
    for done in (*cure.pasted, *cure.pasted_again, *cure.pasted_from_a_log):
        assert done.returncode == 0, done.stdout


def test_the_pasted_commands_free_the_tag_and_delete_nothing(cure: Cure) -> None:
    attestation = cure.held[1]
    # Another journey in the same repository can have left a tag on an equal attestation.
    assert f"cdk-safe-image-rejected-{attestation.removeprefix('sha256:')[:12]}" in cure.left[attestation]
    assert cure.tag not in cure.left[attestation]
    assert cure.left[cure.index] == {"with-provenance"}
    assert set(cure.held) <= set(cure.left)


def test_the_deploy_after_the_pasted_commands_succeeds(cure: Cure) -> None:
    assert cure.deployed.status == "CREATE_COMPLETE"
    assert cure.deployed.outputs["ImageTag"] == cure.tag
