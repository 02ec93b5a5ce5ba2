"""Images in files: archives of docker save, before and since Docker 25, and of other tools."""

from __future__ import annotations

import bz2
import gzip
import importlib
import json
import lzma
import re
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.model import Platform, sha256
from image_verifier.policy import Policy
from image_verifier.report import Report

from safe_image.cli import main
from safe_image.results.check_runner import verify_target
from safe_image.sources.archive import Archive
from safe_image.sources.docker_archive import docker_archive
from safe_image.sources.docker_push import ImageStore
from safe_image.sources.targets import TargetResolver
from tests.unit.docker_archives import LAYERS, classic_archive, config_of, layout_archive, tar_file
from tests.unit.images import GZIP, Layout

zstd: Any = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def _judged(path: Path, name: str = "", runs_on: str = "fargate", layers: bool = True) -> Report:
    policy = Policy((runs_on,), Platform.parse("linux/amd64"), verify_layers=layers)
    reference = f"docker-archive:{path}:{name}" if name else f"docker-archive:{path}"
    return verify_target(TargetResolver().target(reference, "linux/amd64"), policy)


@pytest.mark.parametrize("runs_on", ["fargate", "ecs-ec2", "sagemaker"])
def test_an_archive_of_the_classic_store_is_judged_as_docker_push_would_push_it(tmp_path: Path, runs_on: str) -> None:
    report = _judged(classic_archive(tmp_path / "shop.tar", "shop:1"), runs_on=runs_on)
    assert report.verdict == "pass", report.findings
    assert report.image.top
    assert report.image.top.media_type == media_types.DOCKER_MANIFEST
    assert {layer.media_type for layer in report.image.layers} == {media_types.DOCKER_LAYER_GZIP}
    assert report.image.size < sum(map(len, LAYERS)) / 2, "sizes are those of compressed layers"


def test_layers_that_only_the_containerd_store_pushes_uncompressed_are_refused_with_the_name_of_the_store(
    tmp_path: Path,
) -> None:
    """Lambda refuses uncompressed Docker layers, which the classic store compresses."""
    report = _judged(classic_archive(tmp_path / "shop.tar", "shop:1"), runs_on="lambda")
    (finding,) = report.errors
    assert finding.id == "layer-type-unsupported"
    assert finding.found == media_types.DOCKER_LAYER
    assert finding.message.endswith(
        "Only Docker's containerd image store, the default of new installations, pushes it so."
    )


def test_a_fault_of_both_stores_images_is_reported_once_and_names_no_store(tmp_path: Path) -> None:
    path = classic_archive(tmp_path / "shop.tar", "shop:1", config=config_of(architecture="arm64"))
    messages = [f.message for f in _judged(path, runs_on="lambda").findings if f.id == "platform-mismatch"]
    assert len(messages) == 1
    assert "image store" not in messages[0]


def test_a_finding_for_two_runtimes_names_the_store_only_for_the_runtime_that_it_divides(tmp_path: Path) -> None:
    """Docker zstd layers: Fargate refuses them as the containerd store pushes them, and Lambda is left in doubt."""
    types = (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    path = layout_archive(tmp_path, tmp_path / "shop.tar", layer_types=types, schema_2=True)
    (finding,) = [f for f in _judged(path, layers=False).errors if f.id == "layer-type-unsupported"]
    assert finding.message.endswith("the default of new installations, pushes it so.")


@pytest.mark.parametrize("layers", [True, False])
def test_the_layers_of_an_archive_give_the_same_findings_for_both_depths(tmp_path: Path, layers: bool) -> None:
    report = _judged(classic_archive(tmp_path / "shop.tar", "shop:1"), runs_on="lambda", layers=layers)
    assert [finding.id for finding in report.findings] == ["layer-type-unsupported"]


_COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}


@pytest.mark.parametrize("suffix", _COMPRESSORS)
def test_an_archive_that_is_compressed_itself_is_read_too(tmp_path: Path, suffix: str) -> None:
    compress = _COMPRESSORS[suffix]
    plain = classic_archive(tmp_path / "shop.tar", "shop:1")
    content = plain.read_bytes()
    compressed = tmp_path / f"shop.tar.{suffix}"
    # As tools do that compress in parallel: several streams, one after the other.
    compressed.write_bytes(compress(content[:3000]) + compress(content[3000:]))
    assert _judged(compressed).image.top == _judged(plain).image.top


@pytest.mark.parametrize("suffix", _COMPRESSORS)
def test_a_compressed_archive_that_breaks_off_is_a_fault(tmp_path: Path, suffix: str) -> None:
    content = _COMPRESSORS[suffix](classic_archive(tmp_path / "shop.tar", "shop:1").read_bytes())
    compressed = tmp_path / f"shop.tar.{suffix}"
    compressed.write_bytes(content[: len(content) // 2])
    with pytest.raises(Fault, match="it breaks off"):
        Archive(compressed)


@pytest.mark.parametrize(("magic", "program"), [(b"\x04\x22\x4d\x18", "unlz4"), (b"PK\x03\x04", "unzip")])
def test_the_fault_for_another_compression_names_the_program_that_decompresses_it(
    tmp_path: Path, magic: bytes, program: str
) -> None:
    path = tmp_path / "shop.tar.odd"
    path.write_bytes(magic + b"x" * 1000)
    with pytest.raises(Fault, match="cannot decompress here") as fault:
        Archive(path)
    assert fault.value.advice == f"Decompress it first: {program} {path}"


def test_compressed_layers_of_a_layout_are_not_compressed_again_to_judge_the_classic_store(tmp_path: Path) -> None:
    """Docker would do so, and their sizes would stay about the same; it would take a minute for each GB."""
    path = layout_archive(tmp_path, tmp_path / "shop.tar", layer_types=(GZIP, GZIP))
    containerd, classic = docker_archive(Archive(path), "", Platform.parse("linux/amd64"))
    assert (containerd.store, classic.store) == (ImageStore.CONTAINERD, ImageStore.CLASSIC)
    manifests = [push.open().resolve().document for push in (containerd, classic)]
    layers = [json.loads(document.content)["layers"] for document in manifests if document]
    for what in ("digest", "size"):
        assert [layer[what] for layer in layers[0]] == [layer[what] for layer in layers[1]]
    assert {layer["mediaType"] for layer in layers[1]} == {media_types.DOCKER_LAYER_GZIP}


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress, zstd.compress])
def test_layers_that_docker_load_decompresses_are_pushed_as_gzip(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    config = config_of()
    path = classic_archive(tmp_path / "shop.tar", "shop:1", config=config, layers=tuple(map(compress, LAYERS)))
    report = _judged(path, runs_on="ecs-ec2")
    assert report.verdict == "pass", report.findings
    assert {layer.media_type for layer in report.image.layers} == {media_types.DOCKER_LAYER_GZIP}


def test_manifest_json_is_read_as_go_reads_it(tmp_path: Path) -> None:
    """An old Jib writes lower-case keys, and others leave lists null."""
    entry = {"config": "config.json", "repoTags": None, "layers": ["0.tar", "1.tar"], "LayerSources": None}
    files = {"config.json": config_of(), "manifest.json": json.dumps([entry]).encode()}
    path = tar_file(tmp_path / "jib.tar", files | {f"{i}.tar": layer for i, layer in enumerate(LAYERS)})
    assert _judged(path).verdict == "pass"


def test_an_archive_whose_index_lists_no_image_is_judged_as_the_classic_store_loads_it(tmp_path: Path) -> None:
    """docker save of Docker 25.0.0 writes one for an image's ID, which the containerd store cannot load."""
    entry = {"Config": "config.json", "RepoTags": None, "Layers": ["0.tar", "1.tar"]}
    index = b'{"schemaVersion": 2, "manifests": null}'
    files = {"config.json": config_of(), "manifest.json": json.dumps([entry]).encode(), "index.json": index}
    files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    path = tar_file(tmp_path / "id.tar", files | {f"{i}.tar": layer for i, layer in enumerate(LAYERS)})
    assert _judged(path, runs_on="lambda").verdict == "pass"


def test_an_index_json_without_the_file_oci_layout_is_ignored_as_containerd_ignores_it(tmp_path: Path) -> None:
    layout = layout_archive(tmp_path, tmp_path / "layout.tar", layer_types=(GZIP,))
    with tarfile.open(layout) as archive:
        members = {m.name: archive.extractfile(m) for m in archive if m.name != "oci-layout"}
        files = {name: file.read() for name, file in members.items() if file}
    report = _judged(tar_file(tmp_path / "shop.tar", files), layers=False)
    assert report.image.top
    assert report.image.top.media_type == media_types.DOCKER_MANIFEST


def test_an_archive_of_docker_before_1_10_is_named_as_such(tmp_path: Path) -> None:
    files = {"repositories": b'{"shop": {"1": "a"}}', "a/VERSION": b"1.0", "a/json": b"{}", "a/layer.tar": LAYERS[0]}
    with pytest.raises(Fault, match=r"was written by Docker before 1\.10") as fault:
        _judged(tar_file(tmp_path / "old.tar", files))
    assert "Docker 1.10 or later is required" in fault.value.advice


def _index_archive(folder: Path, missing: Callable[[dict[str, Any], dict[str, Any]], Any]) -> tuple[Path, str, str]:
    """An archive of an index for two platforms without the files of `missing`; and the digests of index and image."""
    layout = Layout(folder / "layout")
    layout.path.mkdir()
    amd64 = {**layout.image(), "platform": {"os": "linux", "architecture": "amd64"}}
    arm64 = layout.image(config={"architecture": "arm64"}, layer_types=(GZIP, GZIP))
    arm64["platform"] = {"os": "linux", "architecture": "arm64"}
    attestation = {
        **layout.attestation(),
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    top = layout.index(amd64, arm64, attestation)
    layout.source(top)
    manifest = json.loads((layout.path / "blobs/sha256" / amd64["digest"][7:]).read_bytes())
    paths = ["blobs/" + d["digest"].replace(":", "/") for d in (manifest["config"], *manifest["layers"])]
    for descriptor in missing(amd64, arm64):
        (layout.path / "blobs/sha256" / descriptor["digest"][7:]).unlink()
    files = {str(f.relative_to(layout.path)): f.read_bytes() for f in layout.path.rglob("*") if f.is_file()}
    files["manifest.json"] = json.dumps([{"Config": paths[0], "RepoTags": ["a:1"], "Layers": paths[1:]}]).encode()
    return tar_file(folder / "index.tar", files), top["digest"], amd64["digest"]


def test_an_index_whose_other_images_are_missing_is_pushed_as_the_image_that_is_there(tmp_path: Path) -> None:
    """Lambda refuses an index, and takes the image: https://github.com/moby/moby/pull/47679"""
    path, _, digest = _index_archive(tmp_path, lambda amd64, arm64: [arm64])
    report = _judged(path, runs_on="lambda", layers=False)
    assert report.verdict == "pass", report.findings
    assert report.image.top
    assert report.image.top.digest == digest


def test_an_index_of_which_nothing_is_missing_is_pushed_as_an_index(tmp_path: Path) -> None:
    path, digest, _ = _index_archive(tmp_path, lambda amd64, arm64: [])
    report = _judged(path, runs_on="lambda", layers=False)
    assert report.image.top
    assert report.image.top.digest == digest
    assert all("Only Docker's containerd image store" in finding.message for finding in report.errors)
    assert report.verdict == "fail"


def test_an_index_of_which_every_image_is_missing_is_refused(tmp_path: Path) -> None:
    path, digest, _ = _index_archive(tmp_path, lambda amd64, arm64: [amd64, arm64])
    report = _judged(path)
    assert report.image.top
    assert report.image.top.digest == digest
    assert "manifest-missing" in {finding.id for finding in report.errors}


def test_a_wrong_config_in_an_archive_is_found(tmp_path: Path) -> None:
    config = config_of(rootfs={"type": "layers", "diff_ids": [sha256(LAYERS[0])]})
    report = _judged(classic_archive(tmp_path / "shop.tar", "shop:1", config=config))
    assert "diff-ids-count" in {finding.id for finding in report.errors}


def test_an_image_of_the_containerd_store_is_judged_as_it_lies_in_the_archive(tmp_path: Path) -> None:
    healthy = _judged(layout_archive(tmp_path, tmp_path / "shop.tar", layer_types=(GZIP, GZIP)), layers=False)
    assert healthy.verdict == "pass", healthy.findings
    assert healthy.image.top
    assert healthy.image.top.media_type == media_types.OCI_MANIFEST


def test_images_of_one_config_in_an_archive_of_the_containerd_store_are_told_apart_by_their_names(
    tmp_path: Path,
) -> None:
    """Docker lists them in one entry of manifest.json, in no fixed order."""
    layout = Layout(tmp_path / "layout")
    layout.path.mkdir()
    tops = {"shop:1": layout.image(), "docker.io/library/other:1": layout.image(schema_2=True)}
    index = [
        {**top, "annotations": {"org.opencontainers.image.ref.name": "1", "io.containerd.image.name": name}}
        for name, top in zip(("docker.io/library/shop:1", "docker.io/library/other:1"), tops.values(), strict=True)
    ]
    manifest = json.loads((layout.path / "blobs/sha256" / index[0]["digest"][7:]).read_bytes())
    paths = ["blobs/" + d["digest"].replace(":", "/") for d in (manifest["config"], *manifest["layers"])]
    files = {str(f.relative_to(layout.path)): f.read_bytes() for f in layout.path.rglob("*") if f.is_file()}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": index}).encode()
    files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    files["manifest.json"] = json.dumps([{"Config": paths[0], "RepoTags": list(tops), "Layers": paths[1:]}]).encode()
    path = tar_file(tmp_path / "both.tar", files)
    for name, top in tops.items():
        document = _judged(path, name, layers=False).image.top
        assert document
        assert (document.digest, document.media_type) == (top["digest"], top["mediaType"])
    with pytest.raises(Fault, match=re.escape(": docker.io/library/other:1, docker.io/library/shop:1")):
        _judged(path)


def test_uncompressed_docker_layers_of_the_containerd_store_are_judged_as_they_lie(tmp_path: Path) -> None:
    """As Bazel makes them, and Lambda refuses: nothing compresses them on the way to the registry."""
    layout = Layout(tmp_path / "layout")
    layout.path.mkdir()
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_types.DOCKER_MANIFEST,
        "config": layout.descriptor(media_types.DOCKER_CONFIG, config_of()),
        "layers": [layout.descriptor(media_types.DOCKER_LAYER, layer) for layer in LAYERS],
    }
    layout.source(layout.descriptor(media_types.DOCKER_MANIFEST, json.dumps(manifest).encode()))
    paths = ["blobs/" + d["digest"].replace(":", "/") for d in (manifest["config"], *manifest["layers"])]
    files = {str(f.relative_to(layout.path)): f.read_bytes() for f in layout.path.rglob("*") if f.is_file()}
    files["manifest.json"] = json.dumps([{"Config": paths[0], "RepoTags": ["a:1"], "Layers": paths[1:]}]).encode()
    report = _judged(tar_file(tmp_path / "bazel.tar", files), runs_on="lambda")
    assert "layer-type-unsupported" in {finding.id for finding in report.errors}


def test_docker_zstd_layers_of_the_containerd_store_are_refused(tmp_path: Path) -> None:
    types = (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    report = _judged(layout_archive(tmp_path, tmp_path / "shop.tar", layer_types=types, schema_2=True))
    assert "layer-type-unsupported" in {finding.id for finding in report.errors}


def test_one_of_several_images_is_chosen_by_a_name_as_docker_reads_it(tmp_path: Path) -> None:
    first, second = config_of(author="first"), config_of(author="second")
    names = [f"{i}.tar" for i in range(len(LAYERS))]
    entries = [
        {"Config": "first.json", "RepoTags": ["shop:1"], "Layers": names},
        {"Config": "second.json", "RepoTags": ["docker.io/library/other:latest"], "Layers": names},
    ]
    files = {"first.json": first, "second.json": second, "manifest.json": json.dumps(entries).encode()}
    path = tar_file(tmp_path / "both.tar", files | dict(zip(names, LAYERS, strict=True)))
    assert _judged(path, "other").image.config_content == second
    with pytest.raises(Fault, match="holds 2 images") as fault:
        _judged(path)
    assert "docker.io/library/other:latest, shop:1" in fault.value.advice


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "has no manifest.json"),
        ({"manifest.json": b"<html>"}, "docker save has not written"),
        ({"manifest.json": b"[1]"}, "docker save has not written"),
        ({"manifest.json": b'[{"Config": "c.json", "Layers": []}]'}, "lacks the config"),
        ({"manifest.json": b'[{"Config": "c", "Layers": ["../etc/passwd"]}]', "c": b"{}"}, "lacks the layer"),
    ],
)
def test_a_tar_without_an_image_is_one_line_with_exit_code_2(
    tmp_path: Path, files: dict[str, bytes], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tar_file(tmp_path / "odd.tar", files)
    assert main(["check", f"docker-archive:{path}", "--format", "json"]) == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"no tar at all" * 100, gzip.compress(b"x" * 10_000, mtime=0)[:40], b"\x1f\x8b"],
    ids=["empty", "a text", "a gzip stream that breaks off", "the beginning of one"],
)
def test_a_file_that_is_not_a_tar_is_one_line_with_exit_code_2(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd"
    path.write_bytes(content)
    assert main(["check", f"oci-archive:{path}", "--format", "json"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "is not a valid tar archive" in printed or "has no index.json" in printed or "it breaks off" in printed


def test_a_link_out_of_the_archive_or_to_itself_leads_nowhere(tmp_path: Path) -> None:
    links = {"out": "/etc/passwd", "up": "../../../etc/passwd", "round": "round"}
    archive = Archive(tar_file(tmp_path / "links.tar", {}, links))
    assert [archive.open(name) for name in links] == [None] * 3


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_that_claim_to_have_gigabytes_are_not_read(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "huge.tar"
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 8 * 1024**3
    with path.open("wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        # The file has them, and takes no room.
        file.truncate(9 * 1024**3)
    with pytest.raises(Fault, match="headers are larger"):
        Archive(path)


def test_an_archive_that_would_fill_the_disk_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(gzip.compress(bytes(1 << 20)))
    monkeypatch.setattr("safe_image.sources.archive._MIN_FREE_BYTES", 1 << 60)
    with pytest.raises(Fault, match="does not fit") as fault:
        Archive(path)
    assert "Set TMPDIR" in fault.value.advice


def test_an_oci_archive_is_an_image_layout_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = layout_archive(tmp_path, tmp_path / "shop.tar")
    assert main(["check", f"oci-archive:{path}"]) == 0
    assert "PASS" in capsys.readouterr().out
