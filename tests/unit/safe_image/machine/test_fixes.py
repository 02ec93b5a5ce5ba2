"""The fixes of a broken image: the findings that another build fixes, what is left alone, and fixes that fail."""

from __future__ import annotations

import io
import os
import pty
from pathlib import Path
from typing import Any

import pytest
from image_verifier.faults import Fault
from image_verifier.image.model import Image, Platform
from image_verifier.report import Finding, Report, Severity
from image_verifier.rules.remedies import Names

from safe_image.machine.docker import Docker
from safe_image.machine.fixes import (
    RemoveLocalImage,
    Untag,
    apply,
    can_be_fixed_by_a_build,
    is_confirmed,
    local_fixes,
    plan,
)
from safe_image.sources.aws_sessions import AwsSessions
from tests.unit.aws_server import ACCOUNT, REGION, Refusal, serving_aws
from tests.unit.programs import calls, docker

DIGEST = "sha256:" + "d" * 64
NAMES = Names("an image", REGION, ACCOUNT, "assets", "v1")


def refusal(*ids: str, severity: Severity = Severity.ERROR, acknowledged: str = "") -> Report:
    findings = [Finding(id, severity, "bad", ("fargate",), acknowledged=acknowledged) for id in ids]
    return Report(Image("an image", Platform.parse("linux/amd64")), ("fargate",), tuple(findings))


@pytest.mark.parametrize(
    ("ids", "fixed"),
    [
        (["not-an-image"], True),
        (["layer-type-unsupported"], True),
        (["diff-ids-count"], True),
        (["layer-missing"], True),
        (["platform-mismatch"], True),
        (["platform-missing"], True),
        (["no-command"], False),
        (["too-many-layers"], False),
        (["layers-not-mountable"], False),
        (["image-too-large-for-runtime"], False),
        (["image-too-small"], False),
        (["user-is-root", "label-missing"], False),
        (["user-is-root", "not-an-image"], True),
        ([], False),
    ],
)
def test_a_build_fixes_faults_of_tools_and_neither_a_policy_nor_a_dockerfile(ids: list[str], fixed: bool) -> None:
    assert can_be_fixed_by_a_build(refusal(*ids)) is fixed


def test_a_finding_that_does_not_refuse_an_image_removes_none() -> None:
    assert not can_be_fixed_by_a_build(refusal("not-an-image", severity=Severity.WARNING))
    assert not can_be_fixed_by_a_build(refusal("not-an-image", acknowledged="for a reason"))


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Removes a tag with an answer of ECR's, and returns the request."""

    def remove(response: Any) -> dict[str, Any]:
        with serving_aws() as aws:
            aws.use(monkeypatch)
            aws.answers["BatchDeleteImage"] = response
            Untag(AwsSessions(), NAMES, DIGEST).apply()
            ((_, request),) = aws.calls
            return request

    return remove


def test_a_tag_is_removed_from_the_very_digest_that_was_verified(answer: Any) -> None:
    request = answer({"imageIds": [{"imageTag": "v1", "imageDigest": DIGEST}], "failures": []})
    assert request["imageIds"] == [{"imageDigest": DIGEST, "imageTag": "v1"}]
    assert (request["registryId"], request["repositoryName"]) == (ACCOUNT, "assets")
    command = Untag(AwsSessions(), NAMES, DIGEST).command
    assert command == (
        f"aws ecr batch-delete-image --region {REGION} --registry-id {ACCOUNT} --repository-name assets "
        f"--image-ids imageTag=v1,imageDigest={DIGEST}"
    )


def test_a_tag_that_is_already_gone_is_a_success(answer: Any) -> None:
    gone = {"failureCode": "ImageNotFound", "failureReason": "it is not there"}
    answer({"imageIds": [], "failures": [{"imageId": {"imageTag": "v1", "imageDigest": DIGEST}, **gone}]})


def test_a_tag_that_has_moved_is_left_alone_and_reported(answer: Any) -> None:
    moved = {"failureCode": "ImageTagDoesNotMatchDigest", "failureReason": "The tag does not match the digest"}
    with pytest.raises(Fault, match=r"The tag v1 was not removed: ImageTagDoesNotMatchDigest"):
        answer({"imageIds": [], "failures": [{"imageId": {"imageTag": "v1", "imageDigest": DIGEST}, **moved}]})


def test_a_missing_permission_is_named(answer: Any) -> None:
    with pytest.raises(Fault) as e:
        answer(Refusal("AccessDeniedException", "not authorized"))
    assert e.value.advice.startswith(
        f"Allow ecr:BatchDeleteImage on arn:aws:ecr:{REGION}:{ACCOUNT}:repository/assets to the role that makes"
    )


def test_a_fix_that_fails_does_not_stop_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = Docker(str(docker(tmp_path, failures={"image rm -- cdkasset-aa": "conflict: it is in use"})))
    fixes = [RemoveLocalImage(engine, "cdkasset-aa"), RemoveLocalImage(engine, "cdkasset-bb")]
    output = io.StringIO()
    (fault,) = apply(fixes, output)
    assert "conflict: it is in use" in fault.message
    assert output.getvalue() == f"done: {engine.command} image rm cdkasset-bb\n"
    assert f"not done: {engine.command} image rm cdkasset-aa" in capsys.readouterr().err


def test_only_an_image_on_this_machine_is_removed_from_it(tmp_path: Path) -> None:
    engine = Docker(str(docker(tmp_path / "with", images={"cdkasset-aa": ""})))
    assert local_fixes("cdkasset-aa", engine) == [RemoveLocalImage(engine, "cdkasset-aa")]
    gone = Docker(str(docker(tmp_path / "without", failures={"image inspect": "No such image: cdkasset-aa"})))
    assert local_fixes("cdkasset-aa", gone) == []
    dead = Docker(str(docker(tmp_path / "dead", failures={"image inspect": "Cannot connect to the Docker daemon"})))
    assert local_fixes("cdkasset-aa", dead) == []
    assert local_fixes("cdkasset-aa", Docker("docker-that-is-not")) == []
    assert local_fixes("", engine) == []
    assert calls(tmp_path / "with", "docker") == ["image inspect -- cdkasset-aa"]


def test_a_plan_shows_every_command_and_no_control_character(tmp_path: Path) -> None:
    shown = plan([RemoveLocalImage(Docker("docker"), "a\x1b[2J"), RemoveLocalImage(Docker("docker"), "b")])
    assert shown == "To be done:\n  docker image rm 'a\\x1b[2J'\n  docker image rm b"


@pytest.mark.parametrize(
    ("typed", "confirmed"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("\x04", False)]
)
def test_a_terminal_gets_a_prompt_and_only_yes_is_yes(
    typed: str, confirmed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fixes = [RemoveLocalImage(Docker("docker"), "cdkasset-aa")]
    outer, inner = pty.openpty()
    with os.fdopen(inner, "r") as terminal:
        os.write(outer, typed.encode())
        monkeypatch.setattr("sys.stdin", terminal)
        assert is_confirmed(fixes, yes=False) is confirmed
    os.close(outer)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Proceed? [y/N] ")


def test_yes_needs_no_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    fixes = [RemoveLocalImage(Docker("docker"), "cdkasset-aa")]
    assert is_confirmed(fixes, yes=True)
    assert not is_confirmed(fixes, yes=False)
