"""`safe-image preflight` with a usage error, or an unknown result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from safe_image.cli import main
from tests.unit.aws_server import ACCOUNT, Aws, serving_aws
from tests.unit.json_reports import valid
from tests.unit.programs import docker
from tests.unit.safe_image.sources.test_cloud_assembly import UNBOUND, assembly


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with serving_aws() as server:
        server.use(monkeypatch)
        server.answers["AssumeRole"] = server.refusal("AccessDenied", "no", 403)
        yield server


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x" * 5000], "is not a folder: run cdk synth"),
        (["nowhere"], "is not a folder: run cdk synth, and pass the cloud assembly that it writes"),
        (["."], "is not a cloud assembly"),
        (["out", "--runs-on", "moon"], "safe-image: --runs-on names 'moon', which is not a runtime: use one of"),
        (["out", "-o", "/nowhere/report"], "--output /nowhere/report"),
    ],
)
def test_a_usage_error_is_one_line_with_exit_code_2(
    arguments: list[str],
    words: str,
    aws: Aws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assembly(tmp_path / "out")
    aws.answers["DescribeImages"] = aws.answers["BatchGetImage"] = aws.refusal("RepositoryNotFoundException", "no")
    monkeypatch.setenv("CDK_DOCKER", "docker-that-is-not")
    assert main(["preflight", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_an_image_for_a_platform_that_no_runtime_accepts_is_unknown(
    aws: Aws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = assembly(tmp_path / "out", source={"directory": "asset", "platform": "windows/amd64"})
    assert main(["preflight", str(out)]) == 2
    assert "the result is unknown: images for windows/amd64 cannot be verified" in capsys.readouterr().out


def test_an_engine_that_does_not_answer_leaves_a_local_image_unknown(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers["DescribeImages"] = aws.answers["BatchGetImage"] = aws.refusal("RepositoryNotFoundException", "no")
    dead = docker(tmp_path / "programs", failures={"image inspect": "Cannot connect to the Docker daemon"})
    monkeypatch.setenv("CDK_DOCKER", str(dead))
    out = assembly(tmp_path / "out", {**UNBOUND, "assumeRoleArn": ""})
    assert main(["preflight", str(out), "--format", "json"]) == 2
    (image,) = valid(json.loads(capsys.readouterr().out))["images"]
    assert image["state"] == "unknown"
    assert "Cannot connect to the Docker daemon" in image["message"]
    assert image["repository"] == f"assets-{ACCOUNT}-eu-west-1"


def test_denied_credentials_leave_an_image_unknown_and_name_the_permission(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = aws.refusal("AccessDeniedException", "not authorized")
    aws.answers["DescribeImages"] = aws.answers["BatchGetImage"] = denied
    monkeypatch.setenv("CDK_DOCKER", "docker-that-is-not")
    assert main(["preflight", str(assembly(tmp_path / "out"))]) == 2
    said = capsys.readouterr().out
    assert said.startswith("UNKNOWN   Shop/Image (Shop) ")
    assert "Allow ecr:" in said
    assert said.endswith("\n1 image, 0 of them would break a deploy, 1 unknown\n")


def test_an_assembly_without_images_is_fine(aws: Aws, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.json").write_text('{"artifacts": {}}')
    assert main(["preflight", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "0 images, 0 of them would break a deploy\n"
    assert aws.calls == []
