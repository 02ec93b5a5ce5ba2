"""`safe-image check` of files that name images: the report, the exit code, and the options for open values."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from image_verifier.image import media_types

from safe_image.documents.document_targets import _READERS
from safe_image.sources.local_images import DOCUMENTS
from tests.unit.safe_image.commands.test_check import layout, run

TASK = """\
Parameters: {Tag: {Type: String}}
Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      RequiresCompatibilities: [FARGATE]
      ContainerDefinitions:
        - Image: %(good)s
        - Image: %(bad)s
  Job:
    Type: AWS::Batch::JobDefinition
    Properties: {ContainerProperties: {Image: %(bad)s}}
"""
OPEN = '  Open: {Type: "AWS::Lambda::Function", Properties: {Code: {ImageUri: !Sub "shop:${Tag}"}}}\n'


@pytest.fixture
def images(tmp_path: Path) -> dict[str, str]:
    zstd = (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    return {"good": layout(tmp_path / "good"), "bad": layout(tmp_path / "bad", layer_types=zstd)}


@pytest.fixture
def template(tmp_path: Path, images: dict[str, str]) -> Path:
    file = tmp_path / "template.yaml"
    file.write_text(TASK % images)
    return file


def test_every_kind_of_file_has_a_reader() -> None:
    assert set(_READERS) == set(DOCUMENTS)


def test_an_image_is_checked_once_and_reported_with_its_places(
    template: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", f"cloudformation:{template}") == 1
    printed = capsys.readouterr().out
    path = "Resources.Task.Properties.ContainerDefinitions"
    assert printed.startswith(f"PASS  {images['good']}\n      {template}:8 {path}[0].Image\n")
    assert (
        f"FAIL  {images['bad']}\n"
        f"      {template}:9 {path}[1].Image\n"
        f"      {template}:12 Resources.Job.Properties.ContainerProperties.Image\n"
        "      linux/amd64 on ECS on Fargate, Batch\n"
    ) in printed
    assert printed.endswith("\n2 images: 1 passed, 1 refused (2 errors)\n")


def test_github_annotates_the_line_that_names_the_image(
    template: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", f"cloudformation:{template}", "--format", "github") == 1
    command, *_ = [line for line in capsys.readouterr().out.splitlines() if line.startswith("::")]
    assert command.startswith(f"::error file={template},line=9,title=")
    assert f"also named at {template}:12 Resources.Job" in command


def test_sarif_points_to_the_line_that_names_the_image(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", f"cloudformation:{template}", "--format", "sarif") == 1
    result, *_ = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    (location,), (related,) = result["locations"], result["relatedLocations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == str(template)
    assert location["physicalLocation"]["region"] == {"startLine": 9}
    assert related["physicalLocation"]["region"] == {"startLine": 12}


@pytest.mark.parametrize("format_name", ["json", "junit", "sarif", "github", "markdown", "html", "text"])
def test_every_format_shows_places_skipped_and_unknown_images(
    template: Path, images: dict[str, str], format_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    template.write_text(template.read_text() + OPEN)
    skip = ("--skip", f"{images['bad']}=<its owner>\x1b checks it")
    assert run("check", f"cloudformation:{template}", "--format", format_name, *skip) == 2
    printed = capsys.readouterr().out
    assert "Pass --set Tag=VALUE" in printed.replace("\\", "")
    assert "\x1b" not in printed
    assert "<its owner>" not in printed or format_name not in ("html", "junit")
    if format_name != "sarif":
        assert "checks it" in printed
    if format_name in ("json", "junit", "sarif", "markdown", "html", "text"):
        assert str(template).split("/")[-1] in printed


def test_json_has_the_places_and_the_reason_to_skip(
    template: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", f"cloudformation:{template}", "--format", "json", "--skip", "*/bad=known") == 0
    good, bad = json.loads(capsys.readouterr().out)["images"]
    path = "Resources.Task.Properties.ContainerDefinitions[0].Image"
    assert good["places"] == [{"file": str(template), "line": 8, "path": path}]
    assert (good["skipped"], good["verdict"]) == ("", "pass")
    assert (bad["skipped"], bad["verdict"], len(bad["places"])) == ("known", "skipped", 2)


def test_an_image_that_is_not_known_is_never_passed(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template.write_text(template.read_text() + OPEN)
    assert run("check", f"cloudformation:{template}", "--skip", "*/bad=known") == 2
    printed = capsys.readouterr()
    line = "shop:${Tag}: only the deploy knows the parameter Tag. Pass --set Tag=VALUE."
    assert printed.err == ""
    assert f"UNKNOWN  {line}\n      {template}:13 Resources.Open.Properties.Code.ImageUri\n" in printed.out
    assert run("check", f"cloudformation:{template}", "--skip", "*/bad=known", "--unknown", "warn") == 0
    assert f"UNKNOWN  {line}\n" in capsys.readouterr().out
    assert run("check", f"cloudformation:{template}", "--unknown", "warn") == 1


def test_only_images_that_the_former_file_does_not_have_are_checked(
    template: Path, tmp_path: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    former = tmp_path / "former.json"
    own = {"Type": "AWS::Batch::JobDefinition", "Properties": {"ContainerProperties": {"Image": images["bad"]}}}
    task = {
        "Type": "AWS::ECS::TaskDefinition",
        "Properties": {"RequiresCompatibilities": ["FARGATE"], "ContainerDefinitions": [{"Image": images["bad"]}]},
    }
    former.write_text(json.dumps({"Resources": {"Task": task}}))
    assert run("check", f"cloudformation:{template}", "--changed-from", str(former)) == 1
    assert "linux/amd64 on Batch\n" in capsys.readouterr().out
    former.write_text(json.dumps({"Resources": {"Task": task, "Job": own}}))
    assert run("check", f"cloudformation:{template}", "--changed-from", str(former)) == 0
    assert capsys.readouterr().out.endswith("1 image: 1 passed\n")


def test_a_file_comes_from_standard_input(
    template: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin: Any = io.TextIOWrapper(io.BytesIO(template.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert run("check", "cloudformation:-") == 1
    assert "      <stdin>:8 Resources.Task" in capsys.readouterr().out


def test_options_override_what_the_file_says(
    template: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", f"cloudformation:{template}", "--runs-on", "ecs-ec2") == 0
    assert "linux/amd64 on ECS on EC2\n" in capsys.readouterr().out


WRONG = [
    (("cloudformation:nowhere.yaml",), "nowhere.yaml: there is no such file"),
    (("cloudformation:",), "names no file: use cloudformation:FILE, or cloudformation:- for standard input"),
    (("{template}", "--set", "Tag"), "--set 'Tag': use NAME=VALUE, such as Tag=1.4"),
    (("{template}", "--set", "Tga=1"), "--set Tga: cloudformation:"),
    (("{template}", "--skip", "a"), "--skip 'a': use PATTERN=REASON"),
    (("{template}", "{template}", "--changed-from", "a"), "--changed-from compares one file"),
    (("shop:1", "--set", "Tag=1"), "--set needs a file that names images"),
    (("shop:1", "--against", "{template}"), "stands for all images that a file names: only check reads it"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_usage_is_one_line(
    template: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", *(text.format(template=f"cloudformation:{template}") for text in arguments)) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_an_image_for_windows_is_unknown_and_can_be_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text(
        "kind: Pod\nspec:\n  nodeSelector: {kubernetes.io/arch: amd64, kubernetes.io/os: windows}\n"
        "  containers: [{image: 'registry.example.com/win:1'}]\n"
    )
    assert run("check", f"kubernetes:{file}") == 2
    message = "registry.example.com/win:1: it is for windows/amd64, which cannot be verified for EKS. Pass --skip"
    assert message in capsys.readouterr().out
    assert run("check", f"kubernetes:{file}", "--skip", "*/win:*=runs on Windows") == 0


def test_a_name_that_is_no_reference_is_unknown_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text("kind: Pod\nspec:\n  containers: [{image: 'UPPER CASE'}]\n")
    assert run("check", f"kubernetes:{file}") == 2
    assert f"Fix it at {file}:3." in capsys.readouterr().out


HOSTILE = [
    ("compose", "services: {a: {image: '" + "${A:-" * 1500 + "}" * 1500 + "'}}", "it is nested too deeply"),
    ("compose", "services: {a: {image: '" + "${A:-" * 3000 + "'}}", "a text of more than 10,000 characters"),
    ("kubernetes", '{"kind": "Pod", "a": ' + "[" * 900 + "]" * 900 + "}", "nested"),
    ("cloudformation", '"a\\e[1m": 1\n"a\\e[1m": 2\n', "is repeated"),
]


@pytest.mark.parametrize(("kind", "text", "message"), HOSTILE)
def test_a_hostile_file_is_one_printable_line(
    tmp_path: Path, kind: str, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    run("check", f"{kind}:{file}", "--format", "json")
    printed = capsys.readouterr()
    assert message in printed.err or json.loads(printed.out)["images"] == []
    assert printed.err.count("\n") <= 1
    assert "\x1b" not in printed.err


def test_every_parameter_of_a_template_may_be_set(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("--set", "Tag=1", "--set", "AWS::Region=eu-west-1")
    assert run("check", f"cloudformation:{template}", "--skip", "*/bad=known", *settings) == 0
    assert capsys.readouterr().err == ""
