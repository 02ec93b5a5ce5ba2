"""A remedy follows from the finding and from how the image was built, and its commands run as they are pasted."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from image_verifier.custom_resource.layout import command
from image_verifier.report import Finding, Severity
from image_verifier.rules.advice import ADVICE
from image_verifier.rules.artifacts import ARTIFACTS, ATTESTATION, BUILD_CACHE
from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.causes import USUAL_CAUSES
from image_verifier.rules.meanings import MEANINGS
from image_verifier.rules.names import BuildOutputs, Names
from image_verifier.rules.remedies import FOLDER, RELATIVE_PATH, prevention, remedy

TAG, DIGEST = "c0ffee" * 10 + "c0fe", "sha256:" + "d" * 64
ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
BUILT = Names(
    reference=f"123456789012.dkr.ecr.ap-southeast-2.amazonaws.com/assets:{TAG}",
    region="ap-southeast-2",
    registry_id="123456789012",
    repository="cdk-hnb659fds-container-assets-123456789012-ap-southeast-2",
    tag=TAG,
    digest=DIGEST,
    local_image=f"cdkasset-{TAG}",
    outputs=BuildOutputs.DEFAULT,
    construct="Shop/Web/Image",
    stack="Shop",
    stack_region="ap-southeast-2",
)
ELSEWHERE = replace(BUILT, local_image="", outputs=BuildOutputs.UNKNOWN, construct="", stack="", repository="shop")


def found(finding_id: str, what: str = "") -> Finding:
    return Finding(finding_id, Severity.ERROR, "bad", ("fargate",), found=what)


def text(finding: Finding, names: Names) -> str:
    return "\n".join(remedy(finding, names))


def test_every_finding_has_a_cause_a_remedy_now_and_for_good_and_a_source() -> None:
    assert list(ADVICE) == list(USUAL_CAUSES) == list(MEANINGS) == list(CATALOG)
    for advice in ADVICE.values():
        assert advice.now.endswith((".", ":")) or advice.now.partition("\n")[0].endswith(":")
        assert advice.prevention.endswith(".")
    for cause in USUAL_CAUSES.values():
        assert cause.text.endswith(".")
        assert re.fullmatch(r"https://[a-z0-9.-]+/\S+", cause.source), cause.source


@pytest.mark.parametrize(
    ("finding_id", "what"),
    [
        ("not-an-image", ATTESTATION),
        ("layer-type-unsupported", ZSTD),
        ("index-not-taken", ""),
        ("manifest-type-refused", ""),
    ],
)
def test_with_own_outputs_the_remedy_names_the_construct_and_the_keyword_and_removes_nothing(
    finding_id: str, what: str
) -> None:
    steps = remedy(found(finding_id, what), replace(BUILT, outputs=BuildOutputs.CUSTOM))
    assert steps[0].startswith("Remove outputs= from Shop/Web/Image:")
    assert not [step for step in steps if step.startswith("$ ")]


def test_own_outputs_that_the_tag_leaves_out_are_removed_together_with_the_invalidation() -> None:
    steps = remedy(found("not-an-image", ATTESTATION), replace(BUILT, outputs=BuildOutputs.CUSTOM_UNHASHED))
    assert steps[0].startswith("Remove outputs= and invalidation= from Shop/Web/Image:")
    assert steps[-1] == "Then deploy again, since the change gives the image a new tag."


@pytest.mark.parametrize("finding_id", ["not-an-image", "layer-type-unsupported", "platform-mismatch"])
def test_an_image_of_the_constructs_own_build_is_replaced_and_nobody_is_sent_to_upgrade_a_tool(finding_id: str) -> None:
    steps = remedy(found(finding_id), BUILT)
    assert "$ safe-image heal --stack Shop --region ap-southeast-2" in steps
    assert "upgrade" not in " ".join(steps).lower()
    assert "docker build" not in " ".join(steps)


def test_nobody_who_has_the_construct_is_told_to_use_it() -> None:
    for outputs in (BuildOutputs.DEFAULT, BuildOutputs.CUSTOM):
        for finding_id in ("not-an-image", "layer-type-unsupported", "platform-mismatch"):
            assert "SafeDockerImageAsset" not in prevention(found(finding_id), replace(BUILT, outputs=outputs))
    assert "SafeDockerImageAsset" in prevention(found("not-an-image"), ELSEWHERE)


def test_an_image_of_another_pipeline_gets_the_options_of_its_own_build() -> None:
    assert "--provenance=false" in text(found("not-an-image", ATTESTATION), ELSEWHERE)
    assert "oci-mediatypes=true" in text(found("layer-type-unsupported", ZSTD), ELSEWHERE)
    assert "safe-image heal" not in text(found("not-an-image", ATTESTATION), ELSEWHERE)


@pytest.mark.parametrize("what", sorted(set(ARTIFACTS.values()) - {ATTESTATION, BUILD_CACHE}))
def test_somebody_elses_artifact_is_never_removed(what: str) -> None:
    for names in (BUILT, ELSEWHERE):
        steps = text(found("not-an-image", what), names)
        assert f"not {what}" in steps
        assert "list-images" in steps
        assert "delete" not in steps
        assert "attestation" not in steps


def test_a_build_cache_gets_a_tag_of_its_own() -> None:
    assert "--cache-to" in text(found("not-an-image", BUILD_CACHE), ELSEWHERE)


def test_an_image_whose_dockerfile_must_change_is_not_removed_first() -> None:
    steps = text(found("entrypoint-missing", "/app"), BUILT)
    assert "delete" not in steps
    assert "heal" not in steps
    assert "the change gives the image a new tag" in steps


def test_a_folder_is_not_made_executable() -> None:
    assert "chmod" in text(found("entrypoint-not-executable", "/app"), BUILT)
    for what in (FOLDER, RELATIVE_PATH):
        assert "chmod" not in text(found("entrypoint-not-executable", what), BUILT)


def test_a_program_for_another_machine_leads_to_the_lines_of_the_dockerfile_that_choose_it() -> None:
    steps = text(found("entrypoint-wrong-machine"), replace(BUILT, platform="linux/arm64"))
    assert "--platform=$BUILDPLATFORM" in steps
    assert "ARG TARGETARCH" in steps
    assert "programs for arm64" in steps


def test_a_doubtful_platform_leads_to_the_platforms_that_are_known() -> None:
    doubtful = replace(found("platform-doubtful"), expected="linux/amd64", found="linux/arm64")
    assert text(doubtful, replace(BUILT, platform="linux/arm64")).startswith("Change the platform to linux/amd64, or ")
    assert remedy(found("platform-doubtful"), BUILT)[0].startswith("Change the platform to one that the runtime ")


def test_an_encrypted_layer_is_not_cured_by_another_media_type() -> None:
    steps = text(found("layer-type-unsupported", "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), BUILT)
    assert "without encryption" in steps


def test_every_line_of_a_command_fits_and_none_ends_in_a_backslash() -> None:
    steps = [step[2:] for step in remedy(found("layer-missing"), BUILT) if step.startswith("$ ")]
    lines = [part.text for step in steps for part in command(step)]
    assert len(lines) > 8
    assert max(map(len, lines)) <= 113, "after five columns"
    assert not any("\\" in line for line in lines)


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("shape", ["lines", "padded", "collapsed"])
def test_the_commands_make_the_same_calls_however_they_are_pasted(shell: str, shape: str, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    (tmp_path / "aws").write_text(f'#!/bin/sh\nprintf "%s " "$@" >>{calls}; echo >>{calls}; echo "{{ a  b }}"\n')
    (tmp_path / "aws").chmod(0o755)
    for step in remedy(found("layer-missing"), BUILT):
        if step.startswith("$ ") and "heal" not in step:
            lines = [part.text for part in command(step[2:])]
            pasted = {
                "lines": "\n".join(lines),
                "padded": "\n".join(line.ljust(120) for line in lines),
                "collapsed": " ".join(" ".join(lines).split()),
            }[shape]
            environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CDK_DOCKER": "no-such-engine"}
            done = subprocess.run([shell, "-c", pasted], env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
    repository = f"--region ap-southeast-2 --registry-id 123456789012 --repository-name {BUILT.repository}"
    kept = "cdk-safe-image-rejected-dddddddddddd"
    assert [line.strip() for line in calls.read_text().splitlines()] == [
        f"ecr batch-get-image --image-ids imageDigest={DIGEST} --query images[0].imageManifest --output text "
        + repository,
        f"ecr put-image --image-tag {kept} --image-digest {DIGEST} --image-manifest {{ a  b }} {repository}",
        f"ecr describe-images --image-ids imageTag={kept},imageDigest={DIGEST} {repository}",
        f"ecr batch-delete-image --image-ids imageTag={TAG},imageDigest={DIGEST} {repository}",
    ]
