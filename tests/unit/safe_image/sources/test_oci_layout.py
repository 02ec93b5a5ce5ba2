"""OCI image layouts in folders: which image a reference means, and what a registry would serve of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.model import Document, Platform
from image_verifier.policy import Policy
from image_verifier.verify import verify

from safe_image.errors import UsageError
from safe_image.sources.path_references import PathReference
from safe_image.sources.targets import TargetResolver
from tests.unit.images import Layout

REF_NAME = "org.opencontainers.image.ref.name"
AMD64 = {"platform": {"os": "linux", "architecture": "amd64"}}
ARM64 = {"platform": {"os": "linux", "architecture": "arm64"}}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    folder = tmp_path / "layout"
    folder.mkdir()
    return Layout(folder)


def _write_index(layout: Layout, *entries: dict[str, Any], **index: Any) -> None:
    document = {"schemaVersion": 2, "manifests": list(entries), **index}
    layout.path.joinpath("index.json").write_text(json.dumps(document))


def _named(descriptor: dict[str, Any], name: str) -> dict[str, Any]:
    return {**descriptor, "annotations": {REF_NAME: name}}


def _top(layout: Layout, suffix: str = "", platform: str = "linux/amd64") -> Document:
    source = TargetResolver().target(f"oci-layout:{layout.path}{suffix}", platform).open()
    document = source.resolve().document
    assert document
    return document


def test_a_name_with_a_colon_is_accepted_as_the_fault_for_a_missing_name_prints_it(layout: Layout) -> None:
    first, second = layout.image(), layout.image(schema_2=True)
    _write_index(layout, _named(first, "docker.io/library/shop:1"), _named(second, "localhost:5000/shop:2"))
    with pytest.raises(Fault) as fault:
        _top(layout)
    assert "holds 2 images: docker.io/library/shop:1, localhost:5000/shop:2" in fault.value.message
    assert _top(layout, ":docker.io/library/shop:1").digest == first["digest"]
    assert _top(layout, ":localhost:5000/shop:2").digest == second["digest"]
    assert _top(layout, ":shop:1").digest == first["digest"], "as Docker completes it"


def test_a_digest_references_every_index_and_manifest_of_the_layout(layout: Layout) -> None:
    child = layout.image()
    top = layout.index({**child, **AMD64})
    _write_index(layout, _named(top, "1"))
    for descriptor in (top, child):
        for name in ("", ":1"):
            document = _top(layout, f"{name}@{descriptor['digest']}")
            assert (document.digest, document.media_type) == (descriptor["digest"], descriptor["mediaType"])
    with pytest.raises(Fault, match="does not hold the manifest"):
        _top(layout, f"@sha256:{'0' * 64}")


def test_a_document_without_a_media_type_that_is_referenced_by_digest_is_told_by_its_fields(layout: Layout) -> None:
    manifest = layout.image(manifest={"mediaType": ""})
    index = layout.descriptor("", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())
    schema_1 = layout.descriptor("", b'{"schemaVersion": 1, "fsLayers": []}')
    types = {
        manifest["digest"]: media_types.OCI_MANIFEST,
        index["digest"]: media_types.OCI_INDEX,
        schema_1["digest"]: media_types.DOCKER_MANIFEST_1,
    }
    assert {digest: _top(layout, f"@{digest}").media_type for digest in types} == types


def test_entries_with_platforms_and_no_names_are_chosen_by_the_platform(layout: Layout) -> None:
    amd64, arm64 = layout.image(), layout.image(config={"architecture": "arm64"})
    _write_index(layout, {**amd64, **AMD64}, {**arm64, **ARM64}, mediaType=media_types.DOCKER_INDEX)
    assert _top(layout).digest == amd64["digest"]
    assert _top(layout, platform="linux/arm64").digest == arm64["digest"]


def test_entries_of_one_name_are_chosen_by_the_platform(layout: Layout) -> None:
    amd64, arm64 = layout.image(), layout.image(config={"architecture": "arm64"})
    _write_index(layout, *(_named(d, "1") for d in ({**amd64, **AMD64}, {**arm64, **ARM64})))
    assert _top(layout, ":1", "linux/arm64").digest == arm64["digest"]


def test_the_fault_for_a_platform_that_no_entry_has_lists_their_platforms(layout: Layout) -> None:
    _write_index(layout, {**layout.image(), **AMD64}, {**layout.image(schema_2=True), **AMD64})
    with pytest.raises(Fault, match="holds no image for linux/arm64; it holds images for linux/amd64") as fault:
        _top(layout, platform="linux/arm64")
    assert fault.value.advice == "Pass --platform with one of these platforms."


def test_two_images_of_one_name_are_told_apart_by_their_digests(layout: Layout) -> None:
    images = [layout.image(), layout.image(schema_2=True)]
    _write_index(layout, *(_named(image, "1") for image in images))
    with pytest.raises(Fault, match="holds 2 images with the name 1") as fault:
        _top(layout, ":1")
    for image in images:
        assert f"@{image['digest']}" in fault.value.message
        assert _top(layout, f":1@{image['digest']}").digest == image["digest"]


def test_index_json_is_read_as_go_reads_it(layout: Layout) -> None:
    image = layout.image()
    entry = {"MediaType": image["mediaType"], "DIGEST": image["digest"], "size": image["size"], "annotations": None}
    layout.path.joinpath("index.json").write_text(json.dumps({"Manifests": [entry]}))
    assert _top(layout).digest == image["digest"]


def test_an_index_json_whose_list_is_null_lists_no_image(layout: Layout) -> None:
    layout.path.joinpath("index.json").write_text('{"schemaVersion": 2, "manifests": null}')
    with pytest.raises(Fault, match=r"index\.json that lists no image"):
        _top(layout)


def test_the_type_of_an_indexs_child_is_its_own_as_a_registry_serves_it(layout: Layout) -> None:
    """dockerd compares the type inside with the one that the registry serves, not with the index's descriptor."""
    child = {**layout.image(), "mediaType": media_types.DOCKER_MANIFEST, **AMD64}
    _write_index(layout, layout.index(child, media_type=media_types.DOCKER_INDEX))
    source = TargetResolver().target(f"oci-layout:{layout.path}", "linux/amd64").open()
    report = verify(source, Policy(("ecs-ec2",), Platform.parse("linux/amd64")))
    assert report.image.document
    assert report.image.document.media_type == media_types.OCI_MANIFEST
    assert "manifest-type-mismatch" not in {finding.id for finding in report.findings}


@pytest.mark.parametrize("runs_on", ["fargate", "ecs-ec2"])
def test_an_oci_image_that_the_index_calls_a_docker_one_is_refused_by_containerd_alone(
    layout: Layout, runs_on: str
) -> None:
    """containerd requests the type of the descriptor, and registries do not serve an OCI manifest as a Docker one."""
    child = {**layout.image(), "mediaType": media_types.DOCKER_MANIFEST, **AMD64}
    _write_index(layout, layout.index(child))
    source = TargetResolver().target(f"oci-layout:{layout.path}", "linux/amd64").open()
    report = verify(source, Policy((runs_on,), Platform.parse("linux/amd64")))
    assert [finding.id for finding in report.errors] == ["index-descriptor-type"] * (runs_on == "fargate")


def test_a_docker_image_that_the_index_calls_an_oci_one_is_served_and_passes(layout: Layout) -> None:
    child = {**layout.image(schema_2=True), "mediaType": media_types.OCI_MANIFEST, **AMD64}
    _write_index(layout, layout.index(child))
    source = TargetResolver().target(f"oci-layout:{layout.path}", "linux/amd64").open()
    assert verify(source, Policy(("fargate", "eks"), Platform.parse("linux/amd64"))).verdict == "pass"


def test_a_child_without_a_type_of_its_own_has_the_type_of_its_descriptor(layout: Layout) -> None:
    child = {**layout.image(manifest={"mediaType": ""}), "mediaType": media_types.DOCKER_MANIFEST, **AMD64}
    _write_index(layout, layout.index(child))
    source = TargetResolver().target(f"oci-layout:{layout.path}", "linux/amd64").open()
    report = verify(source, Policy(("ecs-ec2",), Platform.parse("linux/amd64")))
    assert report.image.document
    assert report.image.document.media_type == media_types.DOCKER_MANIFEST


def test_a_path_may_contain_colons(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    digest = f"sha256:{'0' * 64}"
    for suffix, name, wanted in (("", "", ""), (":c:d", "c:d", ""), (f"@{digest}", "", digest)):
        parsed = PathReference.parse(f"{folder}{suffix}", "oci-layout:PATH")
        assert (parsed.path, parsed.name, parsed.digest) == (folder, name, wanted)


def test_a_path_that_does_not_exist_ends_at_the_first_colon() -> None:
    assert PathReference.parse("nowhere:a:b", "oci-layout:PATH") == PathReference(Path("nowhere"), "a:b")


@pytest.mark.parametrize("text", ["", ":tag", f"@sha256:{'0' * 64}"])
def test_a_reference_without_a_path_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="has no path: use oci-layout:PATH"):
        PathReference.parse(text, "oci-layout:PATH")


def test_a_digest_that_is_not_one_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'sha256:abc' is not a digest"):
        PathReference.parse(f"{tmp_path}@sha256:abc", "oci-layout:PATH")


def test_a_file_or_a_folder_behind_the_wrong_scheme_gets_the_right_one(tmp_path: Path) -> None:
    file = tmp_path / "shop.tar"
    file.touch()
    with pytest.raises(UsageError, match=f"is a file: use oci-archive:{file}"):
        TargetResolver().target(f"oci-layout:{file}", "linux/amd64")
    with pytest.raises(UsageError, match=f"is a folder: use oci-layout:{tmp_path}"):
        TargetResolver().target(f"docker-archive:{tmp_path}", "linux/amd64")
