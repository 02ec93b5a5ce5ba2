"""`safe-image doctor` on simulated machines: each version, variable and builder, and missing programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from image_verifier.image import media_types

from safe_image.cli import main
from safe_image.machine.diagnosis import Diagnosis, Status
from safe_image.machine.docker import Docker
from safe_image.machine.probes import diagnose
from safe_image.machine.versions import Version
from safe_image.sources.aws_sessions import AwsSessions
from tests.unit.aws_server import ACCOUNT, Aws, serving_aws
from tests.unit.json_reports import valid
from tests.unit.programs import OLD_DOCKER, calls, docker, program

Diagnose = Callable[..., dict[str, Diagnosis]]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is first on PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    return folder


@pytest.fixture
def lines(programs: Path, tmp_path: Path) -> Diagnose:
    """The diagnoses by subject, with a docker that has the arguments of `tests.unit.programs.docker`."""

    def look(version: str = "28.5.2", sessions: AwsSessions | None = None, **behaviour: Any) -> dict[str, Diagnosis]:
        engine = Docker(str(docker(programs, version, **behaviour)))
        return {line.subject: line for line in diagnose(engine, sessions, "hnb659fds", tmp_path)}

    return look


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with serving_aws() as server:
        server.use(monkeypatch)
        yield server


def package(folder: Path, name: str, content: str) -> None:
    """Install the package.json of an npm package in a folder."""
    path = folder / "node_modules" / name
    path.mkdir(parents=True)
    (path / "package.json").write_text(content)


# The engine


def test_an_engine_that_leaves_tags_on_attestations_is_an_error_that_names_the_fixed_version(lines: Diagnose) -> None:
    line = lines(OLD_DOCKER)["engine"]
    assert line.status is Status.ERROR
    assert line.message.startswith("Docker 26.1.5 with containerd's image store pushes a build's attestation")
    assert line.commands == ("Upgrade to Docker 28.2.0 or later, or to 25.0.16",)
    assert line.source == "https://github.com/moby/moby/pull/49949"


def test_the_same_engine_with_the_classic_store_is_fine(lines: Diagnose) -> None:
    found = lines(OLD_DOCKER, store="classic")
    assert found["engine"] == Diagnosis("engine", Status.OK, "Docker 26.1.5 with the classic image store")


def test_an_engine_of_unknown_version_is_unknown(lines: Diagnose) -> None:
    assert lines("dev")["engine"].status is Status.UNKNOWN


def test_a_machine_without_docker_builds_nothing_and_the_other_probes_run(programs: Path, tmp_path: Path) -> None:
    found = {line.subject: line for line in diagnose(Docker("docker-that-is-not"), None, "hnb659fds", tmp_path)}
    assert found["engine"].status is Status.OK
    assert "is not installed, so this machine builds no images" in found["engine"].message
    assert set(found) == {"engine", "environment", "cdk", "cdk-assets"}


def test_an_engine_that_does_not_answer_is_unknown_with_its_words(lines: Diagnose) -> None:
    found = lines(failures={"info": "Cannot connect to the Docker daemon"})
    assert found["engine"].status is Status.UNKNOWN
    assert "Cannot connect to the Docker daemon" in found["engine"].message


def test_podman_attaches_no_attestation(lines: Diagnose, programs: Path) -> None:
    found = lines(name="podman")
    assert found["engine"].status is Status.OK
    assert "buildx" not in found
    assert calls(programs, "podman") == []


def test_another_engine_is_a_warning_because_it_has_not_been_measured(lines: Diagnose) -> None:
    assert lines(name="finch")["engine"].status is Status.WARNING


# The builder


def test_docker_build_uses_the_engines_own_builder_although_buildx_has_selected_another(
    lines: Diagnose, programs: Path
) -> None:
    assert lines()["buildx"] == Diagnosis(
        "buildx", Status.OK, "docker build uses the engine's own builder (buildx v0.29.1)"
    )
    assert not any(call.startswith("buildx inspect") for call in calls(programs, "docker"))


@pytest.mark.parametrize("by", ["variable", "alias"])
def test_a_builder_of_another_driver_leaves_cdk_nothing_to_push(
    lines: Diagnose, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "variable":
        monkeypatch.setenv("BUILDX_BUILDER", "other")
    else:
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "config.json").write_text('{"aliases": {"builder": "buildx"}}')
    line = lines(answers={"buildx inspect": "Name: other\nDriver:   docker-container\n"})["buildx"]
    assert line.status is Status.WARNING
    assert "the driver docker-container" in line.message
    assert line.commands == (("unset BUILDX_BUILDER",) if by == "variable" else ("docker buildx uninstall",))
    asked = "buildx inspect -- other" if by == "variable" else "buildx inspect"
    assert asked in calls(programs, "docker")


def test_without_buildx_the_legacy_builder_builds(lines: Diagnose) -> None:
    line = lines(failures={"buildx version": "docker: 'buildx' is not a docker command."})["buildx"]
    assert line.status is Status.WARNING
    assert "legacy builder" in line.message


@pytest.mark.parametrize(
    ("name", "value", "store", "status"),
    [
        ("BUILDX_NO_DEFAULT_ATTESTATIONS", "1", "containerd", Status.WARNING),
        ("BUILDX_NO_DEFAULT_ATTESTATIONS", "0", "containerd", None),
        ("BUILDX_NO_DEFAULT_ATTESTATIONS", "1", "classic", None),
        ("DOCKER_BUILDKIT", "0", "containerd", Status.WARNING),
        ("DOCKER_BUILDKIT", "1", "containerd", None),
        ("DOCKER_DEFAULT_PLATFORM", "linux/arm64", "containerd", Status.WARNING),
        ("DOCKER_DEFAULT_PLATFORM", "", "containerd", None),
        ("CDK_DOCKER", "docker", "containerd", Status.OK),
        ("BUILDX_BUILDER", "default", "containerd", Status.OK),
    ],
)
def test_a_variable_is_reported_where_it_changes_the_images_that_are_built(
    lines: Diagnose, monkeypatch: pytest.MonkeyPatch, name: str, value: str, store: str, status: Status | None
) -> None:
    monkeypatch.setenv(name, value)
    found = lines(store=store, answers={"buildx inspect": "Driver: docker"})
    assert (found[name].status if name in found else None) is status
    assert ("environment" in found) is (status is None)


# CDK's tools


@pytest.mark.parametrize(
    ("name", "version", "attests"),
    [
        ("aws-cdk", "1.204.0", True),
        ("aws-cdk", "2.178.2", True),
        ("aws-cdk", "2.179.0-rc.1", True),
        ("aws-cdk", "2.179.0", False),
        ("aws-cdk", "2.1148.1", False),
        ("aws-cdk", "3.0.0", False),
        ("cdk-assets", "2.155.112", True),
        ("cdk-assets", "2.155.113", False),
        ("cdk-assets", "3.0.0-rc.142", True),
        ("cdk-assets", "3.0.0-rc.143", False),
        ("cdk-assets", "3.0.0", False),
        ("cdk-assets", "4.1.2", False),
    ],
)
def test_which_versions_let_docker_attach_an_attestation(
    lines: Diagnose, tmp_path: Path, name: str, version: str, attests: bool
) -> None:
    package(tmp_path, name, json.dumps({"version": version}))
    line = lines(store="classic")[name.removeprefix("aws-")]
    assert ("lets Docker attach" in line.message) is attests
    assert version in line.message
    assert line.status is Status.OK, "the classic image store keeps no attestation"


def test_an_attestation_is_an_error_where_it_can_take_the_tag_and_a_warning_elsewhere(
    lines: Diagnose, tmp_path: Path
) -> None:
    package(tmp_path, "aws-cdk", '{"version": "2.178.2"}')
    assert lines(OLD_DOCKER)["cdk"].status is Status.ERROR
    line = lines("28.5.2")["cdk"]
    assert (line.status, line.commands) == (Status.WARNING, ("npm install aws-cdk@2",))


def test_without_an_attestation_zstd_layers_of_a_base_image_are_the_other_trap(lines: Diagnose, tmp_path: Path) -> None:
    package(tmp_path, "aws-cdk", '{"version": "2.1148.1"}')
    assert lines(store="classic")["cdk"] == Diagnosis("cdk", Status.OK, "2.1148.1 disables attestations")
    line = lines()["cdk"]
    assert line.status is Status.WARNING
    assert "number of layers and diffIDs don't match" in line.message
    assert "oci-mediatypes=true" in line.commands[0]


def test_the_cdk_on_path_is_run_and_that_of_the_folder_is_only_read(
    lines: Diagnose, programs: Path, tmp_path: Path
) -> None:
    program(programs, "cdk", {"--version": "2.178.2 (build 1234567)"})
    assert lines()["cdk"].message.startswith("2.178.2 lets Docker")
    package(tmp_path, "aws-cdk", '{"version": "2.1148.1"}')
    assert lines()["cdk"].message.startswith("2.1148.1 disables")
    assert calls(programs, "cdk") == ["--version"]


@pytest.mark.parametrize("content", ["", "[]", "{}", "\x00"])
def test_a_damaged_package_is_unknown(lines: Diagnose, tmp_path: Path, content: str) -> None:
    package(tmp_path, "aws-cdk", content)
    line = lines()["cdk"]
    assert line.status is Status.UNKNOWN
    assert "package.json cannot be read" in line.message


def test_a_cdk_that_prints_nothing_or_fails_is_unknown(lines: Diagnose, programs: Path) -> None:
    program(programs, "cdk", {"--version": ""})
    assert lines()["cdk"].message == "answers 'nothing' to --version"
    program(programs, "cdk", {}, {"--version": "node: not found"})
    assert "node: not found" in lines()["cdk"].message


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.179.0 (build abc)", Version(2, 179, 0)),
        ("28.5.2+dfsg4", Version(28, 5, 2)),
        ("3.0.0-rc.143", Version(3, 0, 0, 143)),
        ("v0.29.1", Version(0, 29, 1)),
        ("29.0", None),
    ],
)
def test_a_version_is_found_in_the_output_of_a_program(text: str, version: Version | None) -> None:
    assert Version.parse(text) == version


# The images that CDK keeps


def test_images_with_an_attestation_are_reported_with_a_fix_for_each(lines: Diagnose, programs: Path) -> None:
    kept = {"cdkasset-aa": media_types.OCI_INDEX, "cdkasset-bb": media_types.OCI_MANIFEST}
    line = lines(images=kept)["images that CDK keeps here"]
    assert line.status is Status.WARNING
    assert line.message.startswith("1 of 2 have an attestation")
    assert [fix.command for fix in line.fixes] == [f"{programs / 'docker'} image rm cdkasset-aa"]
    assert lines("28.1.0", images=kept)["images that CDK keeps here"].status is Status.ERROR


def test_with_a_docker_that_does_not_report_media_types_every_image_may_have_an_attestation(lines: Diagnose) -> None:
    kept = {"cdkasset-aa": "", "cdkasset-bb": ""}
    line = lines(OLD_DOCKER, images=kept)["images that CDK keeps here"]
    assert line.status is Status.ERROR
    assert line.message.startswith("2 of 2 may have an attestation")
    assert lines(OLD_DOCKER, store="classic", images=kept)["images that CDK keeps here"].status is Status.OK


# The account


def test_no_credentials_leave_the_rest_of_the_lines(lines: Diagnose, aws: Aws) -> None:
    aws.answers["GetCallerIdentity"] = aws.refusal("ExpiredToken", "The security token is expired")
    found = lines(sessions=AwsSessions())
    assert found["bootstrap repository"].status is Status.UNKNOWN
    assert "ExpiredToken" in found["bootstrap repository"].message
    assert found["engine"].status is Status.OK


def test_an_account_without_a_bootstrap_is_fine(lines: Diagnose, aws: Aws) -> None:
    aws.answers["DescribeRepositories"] = aws.refusal("RepositoryNotFoundException", "no")
    assert lines(sessions=AwsSessions())["bootstrap repository"].message == (
        f"cdk-hnb659fds-container-assets-{ACCOUNT}-eu-west-1 does not exist: "
        "cdk bootstrap has not run in this account and region"
    )


def test_the_repositorys_diagnosis_stays_where_its_tags_cannot_be_listed(
    programs: Path, tmp_path: Path, aws: Aws
) -> None:
    aws.answers["DescribeRepositories"] = aws.repository("IMMUTABLE_WITH_EXCLUSION")
    aws.answers["DescribeImages"] = aws.refusal("AccessDeniedException", "not authorized")
    diagnoses = diagnose(Docker(str(docker(programs))), AwsSessions(), "hnb659fds", tmp_path)
    found = [line for line in diagnoses if line.subject == "bootstrap repository"]
    assert [line.status for line in found] == [Status.OK, Status.UNKNOWN]
    assert "has immutable tags" in found[0].message
    assert "Allow ecr:DescribeImages" in found[1].message


def test_immutable_tags_are_an_error_with_an_engine_that_pushes_more_than_the_image(lines: Diagnose, aws: Aws) -> None:
    aws.answers["DescribeImages"] = {"imageDetails": []}
    aws.answers["DescribeRepositories"] = aws.repository("IMMUTABLE")
    assert lines(OLD_DOCKER, AwsSessions())["bootstrap repository"].status is Status.ERROR
    aws.answers["DescribeRepositories"] = aws.repository("MUTABLE")
    line = lines(OLD_DOCKER, AwsSessions())["bootstrap repository"]
    assert (line.status, line.message.endswith("has mutable tags")) == (Status.OK, True)


# The command


def run(*arguments: str) -> int:
    return main(["doctor", *arguments])


@pytest.fixture
def here(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the programs, in an empty folder without a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", (tmp_path / "nothing").open("w+"))
    return programs


def test_yes_without_fix_is_a_usage_error(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--offline", "--yes") == 2
    assert capsys.readouterr().err == "safe-image: --yes does nothing without --fix: use --fix --yes\n"


def test_the_exit_code_is_1_for_an_error_2_for_unknown_and_0_for_warnings(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    docker(here)
    program(here, "cdk", {"--version": "2.1148.1"})
    assert run("--offline") == 0
    assert "warning  cdk: 2.1148.1" in capsys.readouterr().out
    program(here, "cdk", {}, {"--version": "no"})
    assert run("--offline") == 2
    docker(here, OLD_DOCKER)
    assert run("--offline") == 1


def test_fix_without_a_terminal_does_nothing_and_reports_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docker(here, images={"cdkasset-aa": media_types.OCI_INDEX})
    assert run("--offline", "--fix") == 0
    said = capsys.readouterr()
    assert "To be done:\n  docker image rm cdkasset-aa\n" in said.out
    assert said.err == ("Nothing was done: stdin is not a terminal. Run: safe-image doctor --offline --fix --yes\n")
    assert not any(call.startswith("image rm") for call in calls(here, "docker"))


def test_fix_shows_everything_before_it_does_it_also_where_the_report_is_json(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = {f"cdkasset-{number}": media_types.OCI_INDEX for number in range(9)}
    docker(here, OLD_DOCKER, images=kept)
    assert run("--offline", "--format", "json", "--fix", "--yes") == 1, "the engine stays"
    said = capsys.readouterr()
    (line,) = [line for line in valid(json.loads(said.out))["lines"] if line["fixes"]]
    assert line["fixes"] == [f"docker image rm {name}" for name in kept]
    shown = said.err.splitlines()
    assert shown[0] == "To be done:"
    assert shown[1:10] == [f"  {command}" for command in line["fixes"]]
    assert shown[10:] == [f"done: {command}" for command in line["fixes"]]
    assert calls(here, "docker")[-9:] == [f"image rm -- {name}" for name in kept]


def test_a_report_of_many_images_shows_some_and_says_how_many_more(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    docker(here, images={f"cdkasset-{number}": media_types.OCI_INDEX for number in range(9)})
    assert run("--offline") == 0
    assert "         and 4 more, which --fix shows\n" in capsys.readouterr().out


def test_a_fix_that_fails_is_reported_and_the_others_are_applied(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "conflict: unable to remove repository reference: container 1234 is using it"
    kept = {"cdkasset-aa": media_types.OCI_INDEX, "cdkasset-bb": media_types.OCI_INDEX}
    docker(here, images=kept, failures={"image rm -- cdkasset-aa": said})
    assert run("--offline", "--fix", "--yes") == 2
    output = capsys.readouterr()
    assert "safe-image: not done: docker image rm cdkasset-aa: docker image rm failed: conflict" in output.err
    assert "done: docker image rm cdkasset-bb\n" in output.out


def test_the_output_of_programs_moves_no_cursor(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docker(here, "28.5.2\x1b[2J")
    assert run("--offline") == 0
    assert "\x1b" not in capsys.readouterr().out
