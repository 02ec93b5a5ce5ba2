"""The formats that other programs read, and how much an image may grow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from image_verifier.image import media_types
from image_verifier.rules.meanings import MEANINGS

from safe_image.cli import main
from tests.unit.images import GZIP, Layout

HOSTILE = "application/vnd.docker.image.rootfs.diff.tar.<b>%0A::set-output|`x`\x1b[31m\x07]]>"


@pytest.fixture
def images(tmp_path: Path) -> Mapping[str, str]:
    """References by the fault that their image has."""
    made = {}
    types = {
        "good": (GZIP, GZIP),
        "zstd": (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD),
        "hostile": (GZIP, HOSTILE),
    }
    for name, layer_types in types.items():
        layout = Layout(tmp_path / name)
        layout.path.mkdir()
        layout.source(layout.image(layer_types=layer_types, schema_2=name == "zstd"))
        made[name] = f"oci-layout:{layout.path}"
    return made | {"nowhere": f"oci-layout:{tmp_path}/nowhere"}


def _report(format_: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main(["check", *arguments, "--format", format_])
    return capsys.readouterr().out


def test_a_long_table_shows_both_ends_and_every_layer_with_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    types = [media_types.DOCKER_LAYER_GZIP] * 40
    types[19] = media_types.DOCKER_LAYER_ZSTD
    layout = Layout(tmp_path)
    layout.source(layout.image(layer_types=tuple(types), schema_2=True))
    text = _report("text", capsys, f"oci-layout:{tmp_path}")
    rows = [line.split() for line in text.splitlines() if re.match(r" +(\d+ +\d+ bytes|\.\.\.) ", line)]
    shown = [int(row[0]) if row[0] != "..." else " ".join(row[1:]) for row in rows]
    assert shown == [*range(1, 11), "9 layers", 20, "10 layers", *range(31, 41)]


def test_junit_has_a_suite_for_an_image_and_a_test_for_each_runtime(
    images: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    names = [images[name] for name in ("good", "zstd", "nowhere")]
    text = _report("junit", capsys, *names, "--runs-on", "fargate", "--runs-on", "eks")
    suites = ElementTree.fromstring(text)
    assert [suite.get("name") for suite in suites] == names
    assert [case.get("name") for case in suites[0].findall("testcase")] == [
        "can be run on ECS on Fargate",
        "can be run on EKS",
    ]
    assert not suites[0].findall(".//failure")
    failure = suites[1].find("testcase/failure")
    assert failure is not None
    assert failure.get("type") == "layer-type-unsupported"
    assert "number of layers and diffIDs don't match" in str(failure.text)
    assert suites[2].findall(".//error"), "what could not be told is an error and no failure"
    assert (suites.get("tests"), suites.get("errors")) == ("6", "2")


@pytest.mark.parametrize("format_", ["text", "junit", "sarif", "github", "markdown", "html"])
def test_an_error_that_was_not_measured_is_marked_in_every_format(
    images: Mapping[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], format_: str
) -> None:
    layout = Layout(tmp_path / "nameless")
    layout.path.mkdir()
    layout.source(layout.image(config={"config": {"Cmd": ["/run"], "Env": ["=1"]}}))
    marked = "ECS on Fargate would have said (predicted from its source)"
    assert marked in " ".join(_report(format_, capsys, f"oci-layout:{layout.path}").split())
    assert "predicted" not in _report(format_, capsys, images["zstd"])


def test_junit_stays_xml_with_any_text_of_an_image(
    images: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = _report("junit", capsys, images["hostile"])
    ElementTree.fromstring(text)
    assert "\x1b" not in text


def _sarif(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    (run,) = json.loads(_report("sarif", capsys, *arguments))["runs"]
    found: dict[str, Any] = run
    return found


def test_sarif_has_a_result_for_each_finding_and_its_rule(
    images: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = _sarif(capsys, images["good"], images["zstd"])
    (result,) = (r for r in run["results"] if r["level"] == "error")
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["id"] == result["ruleId"] == "layer-type-unsupported"
    assert rule["shortDescription"]["text"] == MEANINGS["layer-type-unsupported"]
    assert "would have said: CannotPullContainerError" in result["message"]["text"]
    (location,) = result["locations"]
    assert unquote(location["physicalLocation"]["artifactLocation"]["uri"]) == images["zstd"]
    assert run["invocations"][0]["executionSuccessful"]


def test_sarif_has_faults_and_acknowledged_findings(
    images: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    waiver = "layer-type-unsupported=only EKS of today pulls it"
    run = _sarif(capsys, images["zstd"], images["nowhere"], "--acknowledge", waiver)
    (suppressed,) = (r["suppressions"] for r in run["results"] if r["ruleId"] == "layer-type-unsupported")
    assert suppressed[0]["justification"] == "only EKS of today pulls it"
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"]
    assert "has no index.json" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_a_result_is_the_same_for_the_next_tag_of_a_repository(tmp_path: Path) -> None:
    from safe_image.formats.check.check_sarif import _repository

    assert _repository("registry.example.com:5000/shop:1.4") == "registry.example.com:5000/shop"
    assert _repository("registry.example.com/shop@sha256:00") == "registry.example.com/shop"


def test_github_has_one_line_for_each_annotation(images: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    text = _report("github", capsys, images["zstd"], images["good"], images["nowhere"])
    errors = [line for line in text.splitlines() if line.startswith("::error ")]
    assert len(errors) == 2
    title, message = re.fullmatch(r"::error title=(.*?)::(.*)", errors[0]).groups()  # type: ignore[union-attr]
    assert title.endswith("%3A layer-type-unsupported")
    assert "%0A" in message
    assert "docker build" in message
    assert f"Verified: {images['good']}" in text


def test_no_image_can_write_a_workflow_command_of_its_own(
    images: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = _report("github", capsys, images["hostile"])
    assert all(line.startswith(("::error ", "::warning ", "::notice ", "Refused: ")) for line in text.splitlines())
    assert "%250A" in text, "a percent sign of the image's own is no escape"


def test_markdown_has_a_table_and_the_findings(images: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    text = _report("markdown", capsys, images["good"], images["zstd"], images["nowhere"])
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert [row[1] for row in rows] == ["✅ passed", "❌ refused", "⚠️ unknown"]
    assert "**layer-type-unsupported** (error)" in text
    assert "has no index.json" in text


def test_markdown_escapes_the_text_of_an_image(images: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    text = _report("markdown", capsys, images["hostile"])
    assert "<b>" not in re.sub(r"`+ .*? `+|`[^`]*`", "", text).replace("\\<b\\>", "")


def test_one_run_can_report_in_several_formats(
    images: Mapping[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / f"report.{name}" for name in ("json", "markdown", "sarif")}
    formats = [text for name, file in files.items() for text in ("--format", f"{name}={file}")]
    assert main(["check", images["zstd"], "--format", "github", *formats]) == 1
    assert capsys.readouterr().out.startswith("::error ")
    assert json.loads(files["json"].read_text())["images"][0]["verdict"] == "fail"
    assert json.loads(files["sarif"].read_text())["version"] == "2.1.0"
    assert "❌ refused" in files["markdown"].read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "text", "--format", "json"], "only one can go to standard output: use json=FILE"),
        (["--format", "yaml=report"], "invalid choice: 'yaml=report'"),
        (["--format", "json="], "--format json= has no file: use json or json=FILE"),
        (
            ["--format", "json=a.json", "--format", "html=./a.json"],
            "--format json and --format html have the same file",
        ),
        (["--format", "json=a.json", "--format", "html", "-o", "a.json"], "have the same file a.json: use two files"),
        (["-o", ""], "--output is empty: use the path of a file"),
        (["--format", "json=a.json", "-o", "b.json"], "every --format has a file already"),
        (["--max-growth", "20%"], "needs --against"),
        (["--against", "Shop", "--max-growth", "20%"], "is not a repository's name"),
        (["--against", "cdk.out:x"], "use one of the references"),
    ],
)
def test_invalid_formats_and_growth_are_one_line(
    images: Mapping[str, str], arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", images["good"], *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out


@pytest.mark.parametrize(("growth", "code"), [("0%", 1), ("1MiB", 0), ("30%", 1), ("900%", 0)])
def test_an_image_may_grow_by_max_growth_and_no_more(
    tmp_path: Path, growth: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    references = []
    for layers in (1, 3):
        layout = Layout(tmp_path / str(layers))
        layout.path.mkdir()
        layout.source(layout.image(layer_types=(GZIP,) * layers))
        references.append(f"oci-layout:{layout.path}")
    small, large = references
    assert main(["check", large, "--against", small, "--max-growth", growth]) == code
    assert ("image-grew" in capsys.readouterr().out) == bool(code)


def test_an_invalid_growth_says_what_to_use(images: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", images["good"], "--against", images["good"], "--max-growth", "much"]) == 2
    assert "is not a valid growth: use 20% or 50MiB" in capsys.readouterr().err
