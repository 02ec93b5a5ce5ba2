"""`safe-image explain`: its exit codes, its two formats, what it reads, and whether an image is to blame."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from image_verifier.image import media_types
from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.meanings import MEANINGS

from safe_image.cli import main
from tests.unit.images import GZIP, Layout
from tests.unit.json_reports import valid

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


def test_a_recognised_error_is_reported_with_a_check_of_the_image_that_it_references(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(ZSTD) == 0
    told = capsys.readouterr().out
    assert told.startswith("The image has zstd layers under Docker's media type")
    assert "  zstd-not-counted · stage: pull · to blame: image, base image\n" in told
    assert f"safe-image check {IMAGE} --runs-on fargate\n" in told


@pytest.mark.parametrize(
    "text", [ZSTD, PLATFORM, f"failed to get stream processor for application/vnd.in-toto+json {IMAGE}"]
)
def test_nothing_that_deletes_is_printed_for_an_image_that_nobody_has_checked(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(text) == 0
    told = capsys.readouterr().out
    assert "batch-delete-image" not in told
    assert "docker image rm" not in told


@pytest.mark.parametrize(
    "error",
    [
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        "CannotPullContainerError: image Manifest does not contain descriptor matching pl\natform 'linux/arm64'",
        'failed to find a descriptor for platform \\\\"linux/arm64\\\\": not found',
        "The requested image's platform (linux/amd64) does not match the detected host platform (linux/arm64/v8)",
    ],
)
def test_the_platform_that_the_error_requires_is_the_one_to_build_for(
    error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(error) == 0
    assert "docker buildx build . -t REPOSITORY:TAG --push --platform linux/arm64" in capsys.readouterr().out
    assert run(error, "--platform", "linux/amd64") == 0
    assert "docker buildx build . -t REPOSITORY:TAG --push --platform linux/amd64" in capsys.readouterr().out


def test_an_agentcore_image_is_checked_for_arm64(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("AgentCore: exec /app/run: exec format error") == 0
    assert "check REFERENCE --runs-on agentcore --platform linux/arm64\n" in capsys.readouterr().out


def test_where_no_image_is_to_blame_the_network_is_named_and_no_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("CannotPullContainerError: failed to resolve ref x: dial tcp 10.0.0.7:443: i/o timeout") == 0
    told = capsys.readouterr().out
    assert "registry-unreachable · stage: resolve · to blame: network\n" in told
    assert "safe-image check" not in told


def test_commands_that_the_text_has_no_names_for_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("no basic auth credentials") == 0
    told = capsys.readouterr().out
    assert "aws ecr get-repository-policy" not in told
    assert "{" not in told.partition("Recognised by")[0]
    assert run(f"no basic auth credentials for {IMAGE}") == 0
    assert "docker login --username AWS --password-stdin 123456789012.dkr.ecr.eu-west-1.amazonaws.com\n" in (
        capsys.readouterr().out
    )


def test_what_is_not_recognised_exits_2_and_says_what_would_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("the coffee is cold") == 2
    told = capsys.readouterr().out
    assert told.startswith("NOT RECOGNISED\n")
    assert "safe-image explain --service CLUSTER/SERVICE" in told


@pytest.mark.parametrize("finding_id", CATALOG)
def test_the_id_of_a_finding_is_explained(finding_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(finding_id) == 0
    told = capsys.readouterr().out
    assert told.startswith(MEANINGS[finding_id])
    assert f"  {finding_id} · stage: " in told


REFUSAL = """\
CREATE_FAILED | Image refused: 2 of 2 layers have a type that Lambda does not unpack [layer-type-unsupported]
  Lambda would have said: InvalidImage(ImageLayerFailure: UnsupportedImageLayerDetected)
Also: The tag points at a signature [not-an-image]
To fix it:
  Build with OCI layer types.
  aws ecr batch-delete-image --repository-name shop --image-ids imageTag=1
  Then deploy again.
Construct: Shop/Image
Image: shop:1
"""


@pytest.mark.parametrize("shown", [REFUSAL, "".join(f"> {line}\n" for line in REFUSAL.splitlines())])
def test_our_own_refusal_leads_to_its_finding_its_runtime_and_its_commands_as_printed(
    shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shown, "--format", "json") == 0
    value = valid(json.loads(capsys.readouterr().out))
    assert [cause["id"] for cause in value["causes"]] == ["layer-type-unsupported", "not-an-image"]
    assert value["causes"][0]["title"] == "2 of 2 layers have a type that Lambda does not unpack"
    assert value["causes"][0]["remedy"] == [
        "Build with OCI layer types.",
        "$ aws ecr batch-delete-image --repository-name shop --image-ids imageTag=1",
        "Then deploy again.",
    ]
    assert value["runs_on"] == "lambda"


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
        ((PLATFORM, "--image", ""), "a reference is empty: pass the name of an image"),
        (("--service", ""), "--service is empty: pass a name or an ARN"),
        (("--stack", " "), "--stack is empty: pass a name or an ARN"),
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
    verification = valid(json.loads(capsys.readouterr().out))["verification"]
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
    value = valid(json.loads(capsys.readouterr().out))
    assert value["runs_on"] == "lambda"
    assert value["verification"]["confirmed"] == ["index-not-taken"]


def test_an_image_that_cannot_be_reached_leaves_the_explanation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ZSTD, "--image", f"oci-layout:{tmp_path / 'gone'}", "--format", "json") == 2
    assert valid(json.loads(capsys.readouterr().out))["verification"]["culprit"] is None
    assert run(ZSTD, "--image", f"oci-layout:{tmp_path / 'gone'}") == 2
    told = capsys.readouterr().out
    assert told.startswith("UNKNOWN  ")
    assert "zstd-not-counted · stage: pull" in told


def test_the_json_has_all_that_the_text_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ZSTD, "--format", "json") == 0
    value = valid(json.loads(capsys.readouterr().out))
    assert list(value) == [
        "report",
        "schema_version",
        "tool",
        "checked_at",
        "recognised",
        "image",
        "runs_on",
        "causes",
        "findings",
        "recognised_by",
        "verification",
    ]
    assert value["image"] == IMAGE
    assert list(value["causes"][0]) == [
        "id",
        "title",
        "meaning",
        "stage",
        "blame",
        "confirm",
        "remedy",
        "prevention",
        "sources",
    ]
    assert value["causes"][0]["id"] == "zstd-not-counted"
    assert value["causes"][0]["blame"] == ["image", "base image"]
    assert value["findings"][0] == "layer-type-unsupported"
    assert len(value["causes"]) <= 3
    assert value["recognised_by"][0]["whole"] is True
    assert run("nothing", "--format", "json") == 2
    value = valid(json.loads(capsys.readouterr().out))
    assert (value["recognised"], value["causes"], value["image"]) == (False, [], None)


def test_a_text_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"\x1b[2J\x1b]0;title\x07{PLATFORM} \x1b[31m{IMAGE}\x9b1A") == 0
    assert "\x1b" not in capsys.readouterr().out
