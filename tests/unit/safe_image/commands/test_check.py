"""`safe-image check`: its exit codes, its reports, and its error messages."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from image_verifier import __version__
from image_verifier.image import media_types

from safe_image.cli import main
from safe_image.commands import COMMANDS
from safe_image.formats.text.text_page import TextPage
from tests.unit.images import GZIP, Layout
from tests.unit.registry_server import Answer, serving

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def good(tmp_path: Path) -> str:
    return layout(tmp_path / "good")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    return layout(tmp_path / "bad", layer_types=(media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD))


def layout(path: Path, **image: Any) -> str:
    path.mkdir()
    made = Layout(path)
    made.source(made.image(**image))
    return f"oci-layout:{path}"


def run(*arguments: str) -> int:
    """Run the command in this process."""
    try:
        return main(arguments)
    except SystemExit as e:
        return int(e.code or 0)


# Exit codes and reports


def test_fail_on_says_which_severities_refuse_an_image(good: str, bad: str) -> None:
    zstd = ("check", bad, "--runs-on", "agentcore", "--platform", "linux/arm64", "--acknowledge")
    doubtful = (*zstd, "platform-mismatch=the test's is amd64")
    assert run(*doubtful) == 0
    assert run(*doubtful, "--fail-on", "warning") == 1
    assert run("check", bad) == 1
    assert run("check", bad, "--fail-on", "never") == 0
    assert run("check", bad, "oci-layout:/nowhere", "--fail-on", "never") == 2


def test_a_required_condition_is_checked(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", good, "--require", "non-root-user", "--require", "label:team") == 1
    said = capsys.readouterr().out
    assert "error user-is-root" in said
    assert "error label-missing" in said
    assert run("check", good, "--require", "max-layers:50") == 0


def test_an_unknown_requirement_is_a_usage_error(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", good, "--require", "root") == 2
    assert "--require names 'root', which is not a requirement: use one of non-root-user" in capsys.readouterr().err


def test_a_healthy_image_passes_with_exit_code_0(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", good) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"PASS  {good}\n")
    assert printed.out.endswith("\n1 image: 1 passed\n")
    assert printed.err == ""


def test_a_broken_image_is_refused_with_the_error_of_fargate_and_commands(
    bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", bad) == 1
    printed = capsys.readouterr().out
    assert printed.startswith(f"FAIL  {bad}\n")
    assert "error layer-type-unsupported (fargate)" in printed
    assert "ECS on Fargate would have said:" in printed
    assert "CannotPullContainerError: number of layers and diffIDs don't match: 1 != 2" in printed
    assert "<- layer-type-unsupported" in printed
    assert "to fix it:" in printed
    assert printed.endswith("\n1 image: 1 refused (1 error)\n")


def test_an_unknown_result_is_one_line_with_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", f"oci-layout:{tmp_path}/nowhere") == 2
    printed = capsys.readouterr()
    assert printed.err == "", "a pipeline's log would show it twice"
    assert printed.out.startswith(f"UNKNOWN  oci-layout:{tmp_path}/nowhere: ")
    assert printed.out.count("nowhere is not an OCI image layout (it has no index.json)") == 1
    assert "Traceback" not in printed.out


def test_an_unknown_result_has_a_line_on_standard_error_beside_a_report_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", f"oci-layout:{tmp_path}/nowhere", "--format", "json") == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "nowhere is not an OCI image layout (it has no index.json)" in printed


def test_the_highest_exit_code_of_several_images_counts(
    good: str, bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", good, bad) == 1
    assert run("check", good, bad, f"oci-layout:{tmp_path}/nowhere") == 2
    assert capsys.readouterr().out.endswith("3 images: 1 passed, 1 refused, 1 unknown (1 error)\n")


def test_json_is_one_object_in_the_references_order(
    good: str, bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = f"oci-layout:{tmp_path}/nowhere"
    assert run("check", bad, nowhere, good, "--format", "json", "--runs-on", "fargate", "--runs-on", "ecs-ec2") == 2
    report = json.loads(capsys.readouterr().out)
    assert report["schema_version"] == 1
    assert [i["reference"] for i in report["images"]] == [bad, nowhere, good]
    assert [i["verdict"] for i in report["images"]] == ["fail", "unknown", "pass"]
    assert all(i["runs_on"] == ["fargate", "ecs-ec2"] for i in report["images"])
    assert len({frozenset(i) for i in report["images"]}) == 1, "every image has the same keys"
    finding = report["images"][0]["findings"][0]
    assert finding["id"] == "layer-type-unsupported"
    assert finding["runs_on"] == ["fargate"]
    assert "diffIDs don't match" in finding["runtime_error"]
    assert "nowhere" in report["images"][1]["fault"]["message"]


def test_a_finding_can_be_acknowledged_with_a_reason(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", bad, "--acknowledge", "layer-type-unsupported=runs on EKS 1.34 only") == 0
    printed = capsys.readouterr().out
    assert "acknowledged: runs on EKS 1.34 only" in printed
    assert printed.endswith("1 image: 1 passed (1 acknowledged)\n")


def test_min_size_and_max_size_bound_an_image(good: str) -> None:
    assert run("check", good, "--min-size", "50MiB") == 1
    assert run("check", good, "--max-size", "1B") == 1
    assert run("check", good, "--min-size", "1B", "--max-size", "1.5GB") == 0


def test_a_tag_of_a_layout_is_named_after_its_path(tmp_path: Path) -> None:
    made = Layout(tmp_path)
    top = {**made.image(), "annotations": {"org.opencontainers.image.ref.name": "v1"}}
    made.source(top)
    assert run("check", f"oci-layout:{tmp_path}:v1") == 0
    assert run("check", f"oci-layout:{tmp_path}:v2") == 2


def test_an_image_in_a_registry_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as registry:
        registry.image("app", "v1")
        assert run("check", f"{registry.host}/app:v1") == 0
        assert run("check", f"{registry.host}/app:v2") == 1
        assert "image-missing" in capsys.readouterr().out


def test_twenty_images_cost_one_token_service_and_one_pool(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as registry:
        for number in range(20):
            registry.image("app", f"v{number}")
        assert run("check", *(f"{registry.host}/app:v{number}" for number in range(20))) == 0
    assert "20 images: 20 passed" in capsys.readouterr().out


# The file


def test_a_report_goes_to_a_file(bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.json"
    assert run("check", bad, "--format", "json", "-o", str(report)) == 1
    assert json.loads(report.read_text())["images"][0]["verdict"] == "fail"
    assert capsys.readouterr().out == ""
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")] == []


def test_a_run_that_breaks_leaves_the_last_report_and_nothing_half_written(
    good: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report.txt"
    report.write_text("the last one")

    def breaks(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("safe_image.formats.check.check_text._image", breaks)
    assert run("check", good, "-o", str(report)) == 2
    assert report.read_text() == "the last one"
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")] == []


def test_an_output_in_a_missing_folder_is_refused_before_any_request(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as registry:
        assert run("check", f"{registry.host}/app", "-o", "/nowhere/report") == 2
        assert registry.asked == []
    assert capsys.readouterr().err.count("\n") == 1


def test_a_device_is_written_to_and_not_replaced(good: str) -> None:
    assert run("check", good, "-o", "/dev/null") == 0
    assert not Path("/dev/null").is_file()


# Wrong usage


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--runs-on", "fargat"], "--runs-on names 'fargat', which is not a runtime: use fargate"),
        (["--platform", "amd64"], "'amd64' is not a platform: use os/architecture, such as linux/amd64"),
        (["--platform", "linux/arm/v7"], "ECS on Fargate cannot run linux/arm/v7: use linux/amd64 or linux/arm64"),
        (["--min-size", "50 lots"], "--min-size '50 lots' is not a size: use a number and a unit, such as 50MiB"),
        (["--max-size", "-1"], "--max-size '-1' is not a size"),
        (["--max-size", "500"], "--max-size '500' is not a size: use a number and a unit, such as 50MiB"),
        (
            ["--min-size", "2GiB", "--max-size", "1GiB"],
            "--min-size (2.0 GiB) is above --max-size (1.0 GiB)",
        ),
        (["--acknowledge", "layer-foreign"], "use ID=REASON, a finding's id and the reason"),
        (["--acknowledge", "layer-forein=x"], "not a finding's id: use layer-foreign"),
        (["--format", "xml"], "invalid choice: 'xml'"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate (see safe-image check --help)"),
        (
            ["--formt", "json"],
            "unrecognized arguments: --formt json: did you mean --format? (see safe-image check --help)",
        ),
        (["--max-sice=1GiB"], "--max-sice=1GiB: did you mean --max-size?"),
        (["--fail-on", "warnin"], "invalid choice: 'warnin': did you mean warning?"),
    ],
)
def test_a_wrong_argument_is_one_line_that_says_what_to_use(
    good: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", good, *arguments) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_a_mistyped_command_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("chekc", "registry.example.com/shop:1") == 2
    assert ": did you mean check? (see safe-image --help)" in capsys.readouterr().err


def test_the_help_has_each_command_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    for name, purpose in COMMANDS.items():
        assert [name, purpose] in [line.strip().split(maxsplit=1) for line in lines]


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("Shop:1.4", "is not a repository's name"),
        ("https://registry.example.com/shop", "remove https://"),
        ("./shop", "use oci-layout:./shop"),
        ("docker-archive:shop.tar", "the file shop.tar does not exist"),
        ("docker-archive:", "'docker-archive:' has no path"),
        ("cdk.out:cdk.out", "cdk.out is not a cloud assembly (it has no manifest.json): run cdk synth, and pass the f"),
        ("oci-layout:", "'oci-layout:' has no path"),
        ("shop@sha256:12", "64 hexadecimal digits"),
    ],
)
def test_a_wrong_reference_is_one_line_that_says_what_to_use(
    good: str, reference: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", good, reference) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == "", "nothing is checked before every argument is right"


def test_a_missing_reference_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_is_one_line_and_its_traceback_is_there_for_debug(
    good: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("safe_image.results.check_runner.verify", breaks)
    assert run("check", good, "--format", "json") == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "KeyError" in printed
    assert run("check", good, "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


# What it is written on


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("no real terminal")


def test_a_terminal_gets_colours_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert TextPage.of(Terminal()).colour
    assert not TextPage.of(io.StringIO()).colour
    monkeypatch.setenv("NO_COLOR", "1")
    assert not TextPage.of(Terminal()).colour


def test_an_image_cannot_write_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = layout(tmp_path / "hostile", layer_types=(GZIP, "\x1b[2Jowned"))
    assert run("check", hostile) == 1
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "owned" in printed


def test_a_command_is_printed_whole_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as registry:
        registry.gate = lambda asked: Answer(404, b"{}", {"Content-Type": "application/json"})
        run("check", f"{registry.host}/app:v1")
    assert "\n      - Push the image, or reference a tag that the repository has.\n" in capsys.readouterr().out


# The process


def test_the_module_prints_its_version() -> None:
    done = subprocess.run([sys.executable, "-m", "safe_image", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"safe-image {__version__}\n"


def test_a_reader_that_closes_the_pipe_sees_no_traceback(good: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "safe_image", "check", good],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
