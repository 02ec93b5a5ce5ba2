"""Every command of every refusal can be pasted: it is whole in the CLI's last block, and bash reads its words."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from image_verifier.custom_resource.layout import Reason, page
from image_verifier.custom_resource.properties import Properties
from image_verifier.custom_resource.reason import refusal
from image_verifier.image.media_types import DOCKER_LAYER_ZSTD
from image_verifier.image.model import Image, Platform
from image_verifier.policy import Policy
from image_verifier.report import Finding, Report, Severity
from image_verifier.rules.artifacts import ARTIFACTS
from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.names import BuildOutputs, Names
from image_verifier.rules.remedies import FOLDER, remedy

from local_aws.demo.pasting import collapsed_steps, printed_steps
from tests.terminals import BEFORE, cli_block, terminal_rows

# The longest names that AWS allows.
_REPOSITORY = "team/" * 50 + "images"
_TAG, _STACK, _DIGEST = "t" * 128, "S" * 128, "sha256:" + "5af3" * 16
_PROPERTIES = Properties(
    repository_arn=f"arn:aws:ecr:ap-southeast-2:123456789012:repository/{_REPOSITORY}",
    repository_uri=f"123456789012.dkr.ecr.ap-southeast-2.amazonaws.com/{_REPOSITORY}",
    tag=_TAG,
    digest="",
    pin="digest",
    policy=Policy(("fargate",), Platform.parse("linux/amd64")),
    construct_path="Shop/Web/Image",
)
_PUSHED = replace(_PROPERTIES.names, digest=_DIGEST)
_BUILT = replace(_PUSHED, local_image=f"cdkasset-{'0' * 64}", stack=_STACK, stack_region="ap-southeast-2")
_IMAGES = {
    "pushed by another pipeline": _PUSHED,
    "of another pipeline, by digest": replace(_PUSHED, tag=""),
    "built by CDK's own construct": _BUILT,
    "built by our construct": replace(_BUILT, outputs=BuildOutputs.DEFAULT),
    "built with outputs of the user's": replace(_BUILT, outputs=BuildOutputs.CUSTOM),
    "built with outputs that the tag leaves out": replace(_BUILT, outputs=BuildOutputs.CUSTOM_UNHASHED),
    "built in a stack with a short name": replace(_BUILT, outputs=BuildOutputs.DEFAULT, stack="Shop"),
}
# What a finding found, where the remedy depends on it.
_FOUND = {
    "not-an-image": tuple(sorted(set(ARTIFACTS.values()))),
    "layer-type-unsupported": (DOCKER_LAYER_ZSTD, "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"),
    "entrypoint-not-executable": (FOLDER,),
}
_BUILD = ["docker", "buildx", "build", ".", "-t", "REPOSITORY:TAG"]
_PLATFORM, _PLAIN = ["--platform", "linux/amd64"], ["--provenance=false", "--sbom=false"]
_OUTPUT = "--output=type=image,push=true"
_BUILDS = {
    "platform-missing": [*_BUILD, "--push", *_PLATFORM],
    "manifest-type-refused": [
        *_BUILD,
        f"{_OUTPUT},oci-mediatypes=false,compression=gzip,force-compression=true",
        *_PLAIN,
    ],
    "index-not-taken": [*_BUILD, "--push", *_PLATFORM, *_PLAIN],
    "not-an-image": [*_BUILD, "--push", *_PLAIN],
    "platform-mismatch": [*_BUILD, "--push", *_PLATFORM],
    "platform-unknown": [*_BUILD, "--push", *_PLATFORM],
    "layer-type-unsupported": [*_BUILD, f"{_OUTPUT},oci-mediatypes=true", *_PLAIN],
    "layer-type-doubtful": [*_BUILD, f"{_OUTPUT},compression=gzip,force-compression=true,oci-mediatypes=true"],
    "layer-corrupt": [*_BUILD, "--push", "--no-cache"],
}
# A command that is more than the mention of a program and its option.
_COMMAND = re.compile(
    r"REPOSITORY|docker (buildx )?build [.-]|\b(aws|ecr) [a-z]+-|--(stack|region) |--platform linux|[A-Z]=\S+;"
)


def _found(finding_id: str, what: str = "") -> Finding:
    return Finding(finding_id, Severity.ERROR, "The image is bad.", ("fargate",), found=what)


_FINDINGS = [_found(finding_id, what) for finding_id in CATALOG for what in ("", *_FOUND.get(finding_id, ()))]


def reason(finding: Finding, names: Names) -> Reason:
    image = Image(names.reference, Platform.parse("linux/amd64"))
    return refusal(Report(image, ("fargate",), (finding,)), _PROPERTIES, names, "the log group")


def pasted_from_the_block(text: str) -> list[str]:
    return [step.command for step in printed_steps(f"❌\n{cli_block(text)}") if step.command]


def pasted_from_the_cell(text: str) -> list[str]:
    return [step.command for step in collapsed_steps(BEFORE + text) if step.command]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of programs that only report the words that they get."""
    folder = tmp_path_factory.mktemp("programs")
    for name in ("aws", "docker", "safe-image"):
        program = folder / name
        program.write_text('#!/bin/sh\nprintf "%s\\0" "$(basename "$0")" "$@" >>"$CALLS"; echo >>"$CALLS"; echo {}\n')
        program.chmod(0o755)
    return folder


@cache
def calls(command: str, programs: Path) -> list[list[str]]:
    """The words of each program that a command calls, as bash parses them."""
    file = programs / "calls"
    file.write_text("")
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "CALLS": str(file)}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), command
    return [line.split("\0")[:-1] for line in file.read_text().splitlines()]


@pytest.mark.parametrize("origin", _IMAGES)
def test_every_command_is_whole_wherever_it_is_read_and_makes_the_same_calls(origin: str, programs: Path) -> None:
    for finding in _FINDINGS:
        commands = [step[2:] for step in remedy(finding, _IMAGES[origin]) if step.startswith("$ ")]
        text = page(reason(finding, _IMAGES[origin]))
        for pasted in (pasted_from_the_block(text), pasted_from_the_cell(text)):
            assert [" ".join(command.split()) for command in pasted] == commands, finding
            for command, whole in zip(pasted, commands, strict=True):
                assert calls(command, programs) == calls(whole, programs) != []


@pytest.mark.parametrize("origin", _IMAGES)
def test_every_row_of_a_command_fits_or_is_one_assignment(origin: str) -> None:
    for finding in _FINDINGS:
        for part in reason(finding, _IMAGES[origin]).paragraphs:
            assert not part.is_whole or len(part.lines[0]) <= 118 or len(shlex.split(part.text)) == 1, part


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-2"])
@pytest.mark.parametrize("origin", _IMAGES)
def test_no_terminal_shows_an_empty_row(origin: str, region: str) -> None:
    repository = f"cdk-hnb659fds-container-assets-123456789012-{region}"
    usual = replace(_IMAGES[origin], region=region, stack_region=region, repository=repository)
    tag, stack = usual.tag and "c0ffee" * 10 + "c0fe", usual.stack and "Shop"
    for finding in _FINDINGS:
        text = cli_block(page(reason(finding, replace(usual, tag=tag, stack=stack))))
        for columns in (80, 100, 120):
            rows = terminal_rows(text, columns)
            assert [rows[i - 1] for i, row in enumerate(rows) if not row.strip()] == [], (finding.id, columns)


@pytest.mark.parametrize("origin", _IMAGES)
def test_no_sentence_contains_a_command(origin: str) -> None:
    for finding in _FINDINGS:
        paragraphs = reason(finding, _IMAGES[origin]).paragraphs
        assert [part.text for part in paragraphs if not part.is_whole and _COMMAND.search(part.text)] == []


@pytest.mark.parametrize("finding_id", _BUILDS)
def test_a_build_of_another_pipeline_has_its_options_and_pushes(finding_id: str, programs: Path) -> None:
    step = next(step for step in remedy(_found(finding_id), _PUSHED) if step.startswith("$ "))
    assert calls(step[2:], programs) == [_BUILDS[finding_id]]


def test_no_other_finding_has_a_build() -> None:
    steps = [
        (finding.id, step) for finding in _FINDINGS for names in _IMAGES.values() for step in remedy(finding, names)
    ]
    assert {finding_id for finding_id, step in steps if "buildx build" in step} == set(_BUILDS)


@pytest.mark.parametrize("origin", _IMAGES)
def test_no_remedy_says_twice_to_build_or_to_push(origin: str) -> None:
    for finding in _FINDINGS:
        first, *others = remedy(finding, _IMAGES[origin])
        if re.match(r"(Build|Push|Copy) (anew|for|one|with|an|the image|the index|or push|the whole)", first):
            assert "Then build and push the image again." not in others, first
