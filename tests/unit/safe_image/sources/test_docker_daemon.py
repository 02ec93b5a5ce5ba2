"""An image of the local Docker is judged as this Docker pushes it; tests/local_aws does the same with real ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import Report

from safe_image.cli import main
from safe_image.errors import UsageError
from safe_image.results.check_runner import verify_target
from safe_image.sources.docker_api import DockerApi, DockerEndpoint
from safe_image.sources.docker_daemon import SavedImage
from safe_image.sources.targets import TargetResolver
from tests.unit.docker_archives import LAYERS, classic_archive, layout_archive
from tests.unit.docker_server import Answers, docker_server
from tests.unit.images import GZIP

CLASSIC = {"OSType": "linux", "Architecture": "x86_64", "DriverStatus": [["Backing Filesystem", "extfs"]]}
CONTAINERD = {**CLASSIC, "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
NAME = "docker.io/library/shop:1"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Docker of this machine."""
    for name in ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


def _answers(archive: bytes, info: dict[str, Any]) -> Answers:
    return {
        "/info": (HTTPStatus.OK, json.dumps(info).encode()),
        "/images/shop:1/json": (HTTPStatus.OK, json.dumps({"Id": "sha256:abc"}).encode()),
        f"/images/get?names={quote(NAME, safe='')}": (HTTPStatus.OK, archive),
    }


def _judged(runs_on: str, layers: bool) -> Report:
    policy = Policy((runs_on,), Platform.parse("linux/amd64"), verify_layers=layers)
    return verify_target(TargetResolver().target("docker-daemon:shop:1", "linux/amd64"), policy)


@pytest.mark.parametrize("layers", [False, True])
def test_an_image_of_the_classic_store_is_compressed_as_its_push_compresses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: bool
) -> None:
    archive = classic_archive(tmp_path / "shop.tar", "shop:1").read_bytes()
    requests: list[str] = []
    with docker_server(_answers(archive, CLASSIC), requests) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        report = _judged("lambda", layers)
    assert report.verdict == "pass", report.findings
    assert {layer.media_type for layer in report.image.layers} == {media_types.DOCKER_LAYER_GZIP}
    if not layers:
        assert len([path for path in requests if path.startswith("/images/get")]) == 2, "once to list, once to compress"


def test_an_archive_of_the_classic_store_gives_the_same_image_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = classic_archive(tmp_path / "shop.tar", "shop:1")
    with docker_server(_answers(path.read_bytes(), CLASSIC)) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        top = _judged("fargate", layers=False).image.top
    document = TargetResolver().target(f"docker-archive:{path}", "linux/amd64").open().resolve().document
    assert top == document


@pytest.mark.parametrize("layers", [False, True])
def test_an_image_of_the_containerd_store_is_judged_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: bool
) -> None:
    types = (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    archive = layout_archive(tmp_path, tmp_path / "shop.tar", layer_types=types, schema_2=True).read_bytes()
    requests: list[str] = []
    with docker_server(_answers(archive, CONTAINERD), requests) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        report = _judged("fargate", layers)
    assert "layer-type-unsupported" in {finding.id for finding in report.errors}
    assert all("image store" not in finding.message for finding in report.findings), "this Docker has one"
    if not layers:
        assert len([path for path in requests if path.startswith("/images/get")]) == 1


def test_no_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = layout_archive(tmp_path, tmp_path / "shop.tar", layer_types=(GZIP,)).read_bytes()
    folder = tmp_path / "temporary"
    folder.mkdir(mode=0o500)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with docker_server(_answers(archive, CONTAINERD)) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        monkeypatch.setattr("tempfile.mkstemp", None)
        assert _judged("fargate", layers=False).verdict == "pass"
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda answers: answers.pop("/images/shop:1/json"), "the local Docker has no image shop:1"),
        (lambda answers: answers.update({"/info": (HTTPStatus.OK, b"<html>")}), "does not answer as Docker does"),
        (lambda answers: answers.update({"/info": (HTTPStatus.OK, b"[" * 100_000)}), "does not answer as Docker does"),
        (
            lambda answers: answers.update({"/info": (HTTPStatus.FORBIDDEN, b'{"message": "no"}')}),
            "refuses /info: 403 no",
        ),
    ],
)
def test_a_docker_that_does_not_have_the_image_or_answers_oddly_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], object],
    words: str,
) -> None:
    answers = dict(_answers(classic_archive(tmp_path / "shop.tar", "shop:1").read_bytes(), CLASSIC))
    change(answers)
    with docker_server(answers) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        assert main(["check", "docker-daemon:shop:1", "--format", "json"]) == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize("length", [0, 100, 3000])
def test_an_archive_that_breaks_off_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], length: int
) -> None:
    archive = classic_archive(tmp_path / "shop.tar", "shop:1").read_bytes()[:length]
    with docker_server(_answers(archive, CLASSIC)) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        assert main(["check", "docker-daemon:shop:1", "--format", "json"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("unix:///nowhere/docker.sock", "does not answer: No such file or directory"),
        ("ssh://me@host", "which safe-image cannot connect to"),
        ("npipe:////./pipe/docker_engine", "which safe-image cannot connect to"),
        ("tcp://127.0.0.1:1", "does not answer: Connection refused"),
        ("tcp://127.0.0.1:99999999", "cannot be reached"),
        ("nonsense", "which safe-image cannot connect to"),
    ],
)
def test_a_docker_that_cannot_be_reached_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str, words: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert main(["check", "docker-daemon:shop:1", "--format", "json"]) == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1


def test_the_docker_is_chosen_as_the_docker_command_chooses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "docker"
    identifier = hashlib.sha256(b"remote").hexdigest()
    meta = config / "contexts/meta" / identifier / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": "remote", "Endpoints": {"docker": {"Host": "tcp://10.0.0.1:2375"}}}))
    certificates = config / "contexts/tls" / identifier / "docker"
    assert DockerEndpoint.of_environment().host == f"unix://{tmp_path}/none.sock", "DOCKER_HOST"
    monkeypatch.delenv("DOCKER_HOST")
    assert DockerEndpoint.of_environment() == DockerEndpoint("unix:///var/run/docker.sock")
    config.joinpath("config.json").write_text('{"currentContext": "remote"}')
    assert DockerEndpoint.of_environment() == DockerEndpoint("tcp://10.0.0.1:2375")
    certificates.mkdir(parents=True)
    assert DockerEndpoint.of_environment() == DockerEndpoint("tcp://10.0.0.1:2375", certificates)
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert DockerEndpoint.of_environment() == DockerEndpoint("unix:///var/run/docker.sock")
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    with pytest.raises(Fault, match="there is no Docker context 'nowhere'"):
        DockerEndpoint.of_environment()
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.2:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert DockerEndpoint.of_environment() == DockerEndpoint("tcp://10.0.0.2:2376", config)


def test_a_reference_without_a_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="has no name: use docker-daemon:NAME"):
        TargetResolver().target("docker-daemon:", "linux/amd64")


def test_layers_that_are_read_in_any_order_have_their_own_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    archive = classic_archive(tmp_path / "shop.tar", "shop:1").read_bytes()
    with docker_server(_answers(archive, CLASSIC)) as host:
        files = SavedImage(DockerApi(DockerEndpoint(host)), NAME)
        for number in (1, 0, 1, 0, 0, 1):
            file = files.open(f"{number}/layer.tar")
            assert file
            with file:
                assert file.read() == LAYERS[number]
