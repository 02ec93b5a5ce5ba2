"""A name without a registry that Docker Hub does not serve: what has this name on this machine is named instead."""

from __future__ import annotations

import json
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest
from image_verifier.faults import Fault
from image_verifier.image.references import Reference
from image_verifier.retry import RetryBudget

from safe_image.sources.bare_names import BareNameImage, is_bare, local_hints
from safe_image.sources.distribution import Distribution
from tests.unit.docker_server import docker_server
from tests.unit.registry_server import Answer, Registry, serving


@pytest.fixture(autouse=True)
def no_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


@pytest.mark.parametrize(
    ("text", "bare"),
    [("shop", True), ("team/shop:1", True), ("docker.io/library/shop", False), ("localhost/shop", False)],
)
def test_a_name_is_bare_if_docker_hub_is_only_its_default(text: str, bare: bool) -> None:
    assert is_bare(text, Reference.parse(text)) is bare


def test_a_folder_a_file_and_an_assembly_of_the_name_are_named_with_their_schemes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("build").mkdir()
    Path("assembly").mkdir()
    Path("assembly/manifest.json").touch()
    Path("shop.tar").touch()
    Path("t.yaml").touch()
    names = ("cdk.out", "build", "assembly", "shop.tar", "t.yaml", "nothing", "oci-layot:x", "cloudfromation:x")
    hints = {name: list(local_hints(name)) for name in names}
    assert hints == {
        "cdk.out": ["For the images of a cloud assembly, run cdk synth, and use cdk.out:cdk.out."],
        "build": ["The folder build exists: use oci-layout:build."],
        "assembly": ["The folder assembly exists: use cdk.out:assembly."],
        "shop.tar": ["The file shop.tar exists: use docker-archive:shop.tar or oci-archive:shop.tar."],
        "t.yaml": [
            "The file t.yaml exists: use cloudformation:t.yaml, task-definition:t.yaml, terraform:t.yaml, "
            "kubernetes:t.yaml or compose:t.yaml."
        ],
        "nothing": [],
        "oci-layot:x": ["Did you mean oci-layout:x?"],
        "cloudfromation:x": ["Did you mean cloudformation:x?"],
    }


def test_an_image_of_the_local_docker_is_named_with_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"/images/shop:1/json": (HTTPStatus.OK, json.dumps({"Id": "sha256:abc"}).encode())}
    with docker_server(answers) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        assert list(local_hints("shop:1")) == ["The local Docker has an image of this name: use docker-daemon:shop:1."]
        assert list(local_hints("shop:2")) == []


def _of_a_registry(registry: Registry, text: str) -> BareNameImage:
    """An image that Docker Hub is asked for, here a registry of this machine."""
    reference = replace(Reference.parse(text), registry=registry.host)
    return BareNameImage(Distribution(), reference, text, RetryBudget.of(1.0))


def test_the_fault_for_an_image_that_docker_hub_lacks_names_the_folder_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop").mkdir()
    with serving() as registry:
        with pytest.raises(Fault, match="Docker Hub has no image shop") as absent:
            _of_a_registry(registry, "shop").resolve()
        assert absent.value.advice == "The folder shop exists: use oci-layout:shop."
        assert _of_a_registry(registry, "nothing").resolve().document is None
        # Docker Hub denies access to an image that does not exist.
        registry.answers["/v2/library/shop/manifests/latest"] = Answer(403)
        with pytest.raises(Fault) as denied:
            _of_a_registry(registry, "shop").resolve()
        assert denied.value.advice == "The folder shop exists: use oci-layout:shop."


def test_without_a_docker_the_fault_says_how_to_bring_the_image_from_another_machine() -> None:
    with serving() as registry:
        registry.answers["/v2/library/shop/manifests/1.4"] = Answer(403)
        with pytest.raises(Fault) as denied:
            _of_a_registry(registry, "shop:1.4").resolve()
        assert "run docker save -o shop.tar shop:1.4 there, and check docker-archive:shop.tar" in denied.value.advice


def test_with_a_docker_that_lacks_the_image_the_fault_keeps_its_own_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as registry, docker_server({}) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        registry.answers["/v2/library/shop/manifests/1.4"] = Answer(403)
        with pytest.raises(Fault) as denied:
            _of_a_registry(registry, "shop:1.4").resolve()
        assert "docker save" not in denied.value.advice
        assert "The name has no registry, which means Docker Hub: add the registry's host" in denied.value.advice


def test_an_image_that_docker_hub_has_is_read_though_a_folder_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop").mkdir()
    with serving() as registry:
        registry.image("library/shop", "latest")
        assert _of_a_registry(registry, "shop").resolve().document
