"""`safe-image explain`: its exit codes, its two formats, what it reads, and whether an image is to blame."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from image_verifier.image import media_types

from safe_image.cli import main
from tests.unit.images import GZIP, Layout

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/shop:1.4"
ZSTD = f"CannotPullContainerError: {IMAGE}: number of layers and diffIDs don't match: 1 != 2"
PLATFORM = "exec /app/run: exec format error"


class Terminal(io.TextIOWrapper):
    """Standard input from a pipe, or from somebody who types."""

    def __init__(self, content: bytes, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def run(*arguments: str) -> int:
    """Run the command in this process."""
    try:
        return main(("explain", *arguments))
    except SystemExit as e:
        return int(e.code or 0)


def layout(path: Path, **image: Any) -> str:
    path.mkdir()
    made = Layout(path)
    made.source(made.image(**image))
    return f"oci-layout:{path}"


@pytest.fixture
def zstd(tmp_path: Path) -> str:
    types = (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    return layout(tmp_path / "zstd", schema_2=True, layer_types=types)


@pytest.fixture
def good(tmp_path: Path) -> str:
    return layout(tmp_path / "good", layer_types=(GZIP,))


def test_a_recognised_error_is_told_with_commands_for_the_image_that_it_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(ZSTD) == 0
    told = capsys.readouterr().out
    assert told.startswith("It means: layer-type-unsupported (a finding of safe-image check)\n")
    assert (
        "aws ecr batch-delete-image --region eu-west-1 --registry-id 123456789012 --repository-name team/shop "
        "--image-ids imageTag=1.4\n"
    ) in told
    assert f"safe-image check {IMAGE}\n" in told


@pytest.mark.parametrize(
    "error",
    [
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        "CannotPullContainerError: image Manifest does not contain descriptor matching pl\natform 'linux/arm64'",
        'failed to find a descriptor for platform \\\\"linux/arm64\\\\": not found',
        "The requested image's platform (linux/amd64) does not match the detected host platform (linux/arm64/v8)",
    ],
)
def test_the_platform_that_the_error_asks_for_is_the_one_to_build_and_to_check(
    error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(error) == 0
    told = capsys.readouterr().out
    assert "docker build --platform linux/arm64" in told
    assert "\n  safe-image check REFERENCE --platform linux/arm64\n" in told
    assert run(error, "--platform", "linux/amd64") == 0
    assert "linux/arm64" not in capsys.readouterr().out


def test_the_check_of_an_agentcore_image_is_one_that_can_be_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("AgentCore: exec /app/run: exec format error") == 0
    assert "check REFERENCE --runs-on agentcore --platform linux/arm64\n" in capsys.readouterr().out


def test_no_tag_is_made_up_for_an_image_that_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ZSTD.replace(":1.4:", ":")) == 0
    told = capsys.readouterr().out
    assert "--image-ids imageTag=TAG\n" in told
    assert "latest" not in told


def test_what_is_not_the_image_is_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dial tcp 10.0.0.7:443: i/o timeout") == 0
    told = capsys.readouterr().out
    assert told.startswith("It means: no-route (not the image)\n")
    assert "safe-image check" not in told


def test_commands_that_the_text_has_no_names_for_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("no basic auth credentials") == 0
    told = capsys.readouterr().out
    assert "aws ecr get-repository-policy" not in told
    assert "{" not in told.partition("recognised by")[0]
    assert run(f"no basic auth credentials for {IMAGE}") == 0
    assert "docker login --username AWS --password-stdin 123456789012.dkr.ecr.eu-west-1.amazonaws.com\n" in (
        capsys.readouterr().out
    )


def test_what_is_not_recognised_exits_2_and_says_what_was_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("the coffee is cold") == 2
    told = capsys.readouterr().out
    assert told.startswith("NOT RECOGNISED\n")
    assert "stoppedReason" in told


def test_words_need_no_quotes_and_a_file_and_standard_input_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("exec", "/app/run:", "exec", "format", "error") == 0
    file = tmp_path / "log"
    file.write_bytes(b"\xff\x00\x80 " + PLATFORM.encode())
    assert run("-f", str(file)) == 0
    for arguments in ((), ("-f", "-")):
        monkeypatch.setattr("sys.stdin", Terminal(PLATFORM.encode()))
        assert run(*arguments) == 0


def test_somebody_at_a_terminal_is_told_what_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(PLATFORM.encode(), terminal=True))
    assert run() == 0
    assert "Ctrl-D" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "there is no text to explain"),
        ((" \n",), "there is no text to explain"),
        (("-f", "no-such-file"), "no-such-file: No such file or directory"),
        (("-f", "."), "Is a directory"),
        (("text", "-f", "file"), "not both"),
        ((PLATFORM, "--runs-on", "nomad"), "--runs-on names 'nomad'"),
        ((PLATFORM, "--platform", "amd64"), "'amd64' is not a platform"),
        ((PLATFORM, "--image", "oci-layout:"), "has no path"),
        ((PLATFORM, "--image", "NO:SUCH:IMAGE"), "NO:SUCH"),
        ((PLATFORM, "-o", "no-such-folder/file"), "no-such-folder/file"),
    ],
)
def test_wrong_usage_is_one_line_and_exits_2(
    arguments: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", Terminal(b""))
    assert run(*arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert said in told.err


def test_the_image_that_has_the_finding_is_to_blame(zstd: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ZSTD, "--image", zstd) == 1
    told = capsys.readouterr().out
    assert told.startswith(f"YES  it is the image: {zstd} has layer-type-unsupported, which gives this error")


def test_an_image_that_has_something_else_is_told_as_that(zstd: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("CannotPullContainerError: no match for platform in manifest: not found", "--image", zstd) == 1
    told = capsys.readouterr().out
    assert "ANOTHER  " in told
    assert "layer-type-unsupported" in told


def test_an_image_that_is_fine_is_not_to_blame(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ZSTD, "--image", good) == 0
    assert capsys.readouterr().out.startswith("NO  it is not the image, as it is now")


def test_the_layers_are_read_where_only_they_can_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = layout(tmp_path / "missing", config={"config": {"Entrypoint": ["/nowhere"]}})
    text = 'unable to start container process: exec: "/nowhere": stat /nowhere: no such file or directory: unknown'
    assert run(text, "--image", missing, "--format", "json") == 1
    verification = json.loads(capsys.readouterr().out)["verification"]
    assert verification["culprit"] == "yes"
    assert verification["confirmed"] == ["entrypoint-missing"]


def test_the_runtime_is_the_one_that_the_text_is_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "index"
    path.mkdir()
    made = Layout(path)
    made.source(made.index({**made.image(), "platform": {"os": "linux", "architecture": "amd64"}}))
    text = f"The image manifest, config or layer media type for the source image {IMAGE} is not supported."
    assert run(text, "--image", f"oci-layout:{path}", "--runs-on", "fargate") == 0
    capsys.readouterr()
    assert run(text, "--image", f"oci-layout:{path}", "--format", "json") == 1
    value = json.loads(capsys.readouterr().out)
    assert value["runs_on"] == "lambda"
    assert value["verification"]["confirmed"] == ["index-not-taken"]


def test_an_image_that_cannot_be_reached_leaves_the_explanation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ZSTD, "--image", f"oci-layout:{tmp_path / 'gone'}") == 2
    told = capsys.readouterr().out
    assert told.startswith("UNKNOWN  ")
    assert "It means: layer-type-unsupported" in told


def test_the_json_has_all_that_the_text_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ZSTD, "--format", "json") == 0
    value = json.loads(capsys.readouterr().out)
    assert list(value) == [
        "schema_version",
        "recognised",
        "image",
        "runs_on",
        "causes",
        "recognised_by",
        "verification",
    ]
    assert value["image"] == IMAGE
    assert value["causes"][0]["id"] == "layer-type-unsupported"
    assert value["recognised_by"][0]["whole"] is True
    assert run("nothing", "--format", "json") == 2
    value = json.loads(capsys.readouterr().out)
    assert (value["recognised"], value["causes"], value["image"]) == (False, [], None)


def test_a_text_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"\x1b[2J\x1b]0;title\x07{PLATFORM} \x1b[31m{IMAGE}\x9b1A") == 0
    assert "\x1b" not in capsys.readouterr().out
