"""The fixes of a broken image: the findings that another build fixes, what is left alone, and fixes that fail."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from image_verifier.image.model import Image, Platform
from image_verifier.report import Finding, Report, Severity
from image_verifier.rules.artifacts import ATTESTATION
from image_verifier.rules.names import BuildOutputs, Names

from safe_image.machine.docker import Docker
from safe_image.machine.fixes import (
    RemoveLocalImage,
    apply,
    can_be_fixed_by_a_build,
    local_fixes,
    only_a_change_fixes,
    plan,
)
from tests.unit.programs import calls, docker


def refusal(*ids: str, severity: Severity = Severity.ERROR, acknowledged: str = "") -> Report:
    findings = [Finding(id, severity, "bad", ("fargate",), found=ATTESTATION, acknowledged=acknowledged) for id in ids]
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
    assert can_be_fixed_by_a_build([refusal(*ids)], Names()) is fixed


def test_a_finding_that_does_not_refuse_an_image_removes_none() -> None:
    assert not can_be_fixed_by_a_build([refusal("not-an-image", severity=Severity.WARNING)], Names())
    assert not can_be_fixed_by_a_build([refusal("not-an-image", acknowledged="for a reason")], Names())


def test_the_same_build_makes_the_same_image_again_where_the_user_has_set_its_outputs() -> None:
    attestation = [refusal("not-an-image")]
    assert not only_a_change_fixes(attestation, Names(outputs=BuildOutputs.DEFAULT))
    assert only_a_change_fixes(attestation, Names(outputs=BuildOutputs.CUSTOM))


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
