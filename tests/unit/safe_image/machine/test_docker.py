"""The container engine's command: its calls, and the handling of unexpected answers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from image_verifier.faults import Fault
from image_verifier.image import media_types

from safe_image.machine.docker import BuildEngine, Docker, DockerImage, Missing, run
from tests.unit.programs import calls, docker, program


@pytest.mark.parametrize(
    ("version", "races"),
    [
        ("23.0.6", True),
        ("24.0.9-ce", True),
        ("25.0.15", True),
        ("25.0.16", False),
        ("25.0.20", False),
        ("26.1.5+dfsg1", True),
        ("27.5.1", True),
        ("28.1.1", True),
        ("28.2.0", False),
        ("28.5.2+dfsg4", False),
        ("29.0.0", False),
        ("dev", None),
    ],
)
def test_only_containerds_image_store_before_the_fix_pushes_attestations_to_the_tag(
    version: str, races: bool | None
) -> None:
    assert BuildEngine(version, is_containerd_store=True).races is races
    assert BuildEngine(version, is_containerd_store=False).races is False


def test_the_command_is_the_one_that_cdk_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Docker().command == "docker"
    monkeypatch.setenv("CDK_DOCKER", "/opt/podman/bin/podman")
    assert (Docker().command, Docker().name) == ("/opt/podman/bin/podman", "podman")


def test_images_are_told_apart_by_the_media_type_that_a_push_sends(tmp_path: Path) -> None:
    kept = {"cdkasset-aa": media_types.OCI_INDEX, "cdkasset-bb": media_types.OCI_MANIFEST, "cdkasset-cc": ""}
    images = Docker(str(docker(tmp_path, images=kept))).cdk_images()
    assert images == [DockerImage(name, media_type) for name, media_type in kept.items()]
    assert [image.is_index for image in images] == [True, False, False]
    assert calls(tmp_path, "docker")[-1] == "image inspect -- cdkasset-aa cdkasset-bb cdkasset-cc"


def test_a_machine_without_images_of_cdk_gets_no_inspect_call(tmp_path: Path) -> None:
    assert Docker(str(docker(tmp_path))).cdk_images() == []
    assert len(calls(tmp_path, "docker")) == 1


def test_a_name_is_never_an_option(tmp_path: Path) -> None:
    listed = "cdkasset-aa\n--help\ncdkasset--rf\ncdkasset-aa;id\ncdkasset-"
    engine = Docker(str(docker(tmp_path, answers={"image ls": listed, "image inspect": "[{}]"})))
    assert [image.name for image in engine.cdk_images()] == ["cdkasset-aa"]
    engine.remove("--all")
    assert calls(tmp_path, "docker")[-1] == "image rm -- --all"


@pytest.mark.parametrize(
    "words",
    [
        "Error response from daemon: No such image: cdkasset-aa:latest",
        "Error: No such object: cdkasset-aa",
        "Error: cdkasset-aa: image not known",
    ],
)
def test_a_missing_image_is_not_a_fault_in_any_engines_words(tmp_path: Path, words: str) -> None:
    engine = Docker(str(docker(tmp_path, failures={"image inspect": words, "image rm": words})))
    assert engine.image("cdkasset-aa") is None
    engine.remove("cdkasset-aa")
    with pytest.raises(Missing):
        engine.run("image", "rm", "--", "cdkasset-aa")


def test_an_engine_that_does_not_run_is_a_fault_with_its_words(tmp_path: Path) -> None:
    said = "Cannot connect to the Docker daemon at unix:///nowhere.sock. Is the docker daemon running?"
    with pytest.raises(Fault, match="Is the docker daemon running"):
        Docker(str(docker(tmp_path, failures={"info": said}))).engine()
    answer = '{"ServerErrors": ["permission denied"]}'
    with pytest.raises(Fault, match="has no engine: permission denied"):
        Docker(str(docker(tmp_path, answers={"info": answer}))).engine()


@pytest.mark.parametrize("answer", ["", "<html>", "[]", "[1]", '{"a": 1}', "[" * 100_000, "null"])
def test_an_answer_that_is_not_of_docker_is_a_fault(tmp_path: Path, answer: str) -> None:
    engine = Docker(str(docker(tmp_path, answers={"info": answer, "image inspect": answer})))
    with pytest.raises(Fault):
        engine.engine()
    with pytest.raises(Fault, match="does not answer as docker does"):
        engine.image("cdkasset-aa")


def test_a_program_that_hangs_or_is_missing_or_cannot_be_run_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="sleep 60 did not answer in 1 s"):
        run(["sleep", "60"], seconds=1)
    with pytest.raises(Fault, match="is not installed"):
        run([str(tmp_path / "nothing")])
    with pytest.raises(Fault, match="cannot be run"):
        run([str(tmp_path)])
    with pytest.raises(Fault, match="failed: exit code 1"):
        run(["false"])


def test_a_timeout_ends_the_processes_that_a_program_has_started(tmp_path: Path) -> None:
    plugin = tmp_path / "docker"
    plugin.write_text('#!/bin/sh\nsleep 60 & echo $! > "$0.pid"\nwait\n')
    plugin.chmod(0o755)
    started = time.monotonic()
    with pytest.raises(Fault, match="did not answer in 3 s"):
        run([str(plugin), "info"], seconds=3)
    assert time.monotonic() - started < 50
    child = (tmp_path / "docker.pid").read_text().strip()
    while _lives(child):
        assert time.monotonic() - started < 50
        time.sleep(0.05)


def _lives(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_no_shell_interprets_a_programs_arguments(tmp_path: Path) -> None:
    echo = program(tmp_path, "echo", {"$(id) `id` ; id": "as it was written"})
    assert run([str(echo), "$(id)", "`id`", ";", "id"]).strip() == "as it was written"
