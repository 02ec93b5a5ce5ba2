"""Images in files: archives of docker save, before and since Docker 25, and of other tools."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.model import Platform, sha256
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.verify import verify

from safe_image.cli import main
from safe_image.sources.archive import Archive
from safe_image.sources.docker_archive import docker_archive
from tests.unit.blobs import elf
from tests.unit.images import GZIP, Layout, tar_of

LAYERS = (tar_of({"one": b"1" * 5000}), tar_of({"app": elf(62)}))


def _judged(path: Path, name: str = "", runs_on: str = "fargate", layers: bool = True) -> Report:
    policy = Policy((runs_on,), Platform.parse("linux/amd64"), verify_layers=layers)
    return verify(docker_archive(Archive(path), name), policy)


def _config(layers: tuple[bytes, ...] = LAYERS, **more: Any) -> bytes:
    content = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/app"]},
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
    }
    return json.dumps({**content, **more}).encode()


def _written(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return path


def _saved(path: Path, *tags: str, config: bytes = b"", layers: tuple[bytes, ...] = LAYERS) -> Path:
    """As docker save wrote it before Docker 25: a folder for each layer, the second a link to the first's."""
    config = config or _config(layers)
    entry = {"Config": "config.json", "RepoTags": list(tags), "Layers": [f"{i}/layer.tar" for i in range(len(layers))]}
    files = {"config.json": config, "manifest.json": json.dumps([entry]).encode()}
    files |= {f"shared/{i}.tar": layer for i, layer in enumerate(layers)}
    return _written(path, files, {f"{i}/layer.tar": f"../shared/{i}.tar" for i in range(len(layers))})


def _layout(folder: Path, path: Path, **image: Any) -> Path:
    """An OCI layout as a tar, with the manifest.json that Docker writes beside it since 25."""
    layout = Layout(folder / "layout")
    layout.path.mkdir()
    top = layout.image(**image)
    layout.source(top)
    manifest = json.loads((layout.path / "blobs/sha256" / top["digest"][7:]).read_bytes())
    entry = {
        "Config": "blobs/" + manifest["config"]["digest"].replace(":", "/"),
        "RepoTags": ["shop:1"],
        "Layers": ["blobs/" + layer["digest"].replace(":", "/") for layer in manifest["layers"]],
    }
    files = {str(f.relative_to(layout.path)): f.read_bytes() for f in layout.path.rglob("*") if f.is_file()}
    return _written(path, {**files, "manifest.json": json.dumps([entry]).encode()})


@pytest.mark.parametrize("runs_on", ["fargate", "ecs-ec2", "lambda", "sagemaker"])
def test_an_archive_of_the_classic_store_is_judged_as_docker_push_would_push_it(tmp_path: Path, runs_on: str) -> None:
    report = _judged(_saved(tmp_path / "shop.tar", "shop:1"), runs_on=runs_on)
    assert report.verdict == "pass", report.findings
    assert report.image.top
    assert report.image.top.media_type == media_types.DOCKER_MANIFEST
    assert {layer.media_type for layer in report.image.layers} == {media_types.DOCKER_LAYER_GZIP}
    assert report.image.size < sum(map(len, LAYERS)) / 2, "sizes are those of compressed layers"


def test_an_archive_that_is_compressed_itself_is_read_too(tmp_path: Path) -> None:
    plain = _saved(tmp_path / "shop.tar", "shop:1")
    compressed = tmp_path / "shop.tar.gz"
    compressed.write_bytes(gzip.compress(plain.read_bytes()))
    assert _judged(compressed).image.top == _judged(plain).image.top


def test_a_wrong_config_in_an_archive_is_found(tmp_path: Path) -> None:
    config = _config(rootfs={"type": "layers", "diff_ids": [sha256(LAYERS[0])]})
    report = _judged(_saved(tmp_path / "shop.tar", "shop:1", config=config))
    assert "diff-ids-count" in {finding.id for finding in report.errors}


def test_an_image_of_the_containerd_store_is_judged_as_it_lies_in_the_archive(tmp_path: Path) -> None:
    healthy = _judged(_layout(tmp_path, tmp_path / "shop.tar", layer_types=(GZIP, GZIP)), layers=False)
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
    files["manifest.json"] = json.dumps([{"Config": paths[0], "RepoTags": list(tops), "Layers": paths[1:]}]).encode()
    path = _written(tmp_path / "both.tar", files)
    for name, top in tops.items():
        document = _judged(path, name, layers=False).image.top
        assert document
        assert (document.digest, document.media_type) == (top["digest"], top["mediaType"])
    with pytest.raises(Fault, match="holds 2 images with the name") as fault:
        _judged(path)
    assert "docker.io/library/other:1, docker.io/library/shop:1" in str(fault.value)


def test_uncompressed_docker_layers_of_the_containerd_store_are_judged_as_they_lie(tmp_path: Path) -> None:
    """As Bazel makes them, and Lambda refuses: nothing compresses them on the way to the registry."""
    layout = Layout(tmp_path / "layout")
    layout.path.mkdir()
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_types.DOCKER_MANIFEST,
        "config": layout.descriptor(media_types.DOCKER_CONFIG, _config()),
        "layers": [layout.descriptor(media_types.DOCKER_LAYER, layer) for layer in LAYERS],
    }
    layout.source(layout.descriptor(media_types.DOCKER_MANIFEST, json.dumps(manifest).encode()))
    paths = ["blobs/" + d["digest"].replace(":", "/") for d in (manifest["config"], *manifest["layers"])]
    files = {str(f.relative_to(layout.path)): f.read_bytes() for f in layout.path.rglob("*") if f.is_file()}
    files["manifest.json"] = json.dumps([{"Config": paths[0], "RepoTags": ["a:1"], "Layers": paths[1:]}]).encode()
    report = _judged(_written(tmp_path / "bazel.tar", files), runs_on="lambda")
    assert "layer-type-unsupported" in {finding.id for finding in report.errors}


def test_docker_zstd_layers_of_the_containerd_store_are_refused(tmp_path: Path) -> None:
    types = (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    report = _judged(_layout(tmp_path, tmp_path / "shop.tar", layer_types=types, schema_2=True))
    assert "layer-type-unsupported" in {finding.id for finding in report.errors}


def test_one_of_several_images_is_chosen_by_a_name_as_docker_reads_it(tmp_path: Path) -> None:
    first, second = _config(author="first"), _config(author="second")
    names = [f"{i}.tar" for i in range(len(LAYERS))]
    entries = [
        {"Config": "first.json", "RepoTags": ["shop:1"], "Layers": names},
        {"Config": "second.json", "RepoTags": ["docker.io/library/other:latest"], "Layers": names},
    ]
    files = {"first.json": first, "second.json": second, "manifest.json": json.dumps(entries).encode()}
    path = _written(tmp_path / "both.tar", files | dict(zip(names, LAYERS, strict=True)))
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
    path = _written(tmp_path / "odd.tar", files)
    assert main(["check", f"docker-archive:{path}"]) == 2
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
    assert main(["check", f"oci-archive:{path}"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "is not a valid tar archive" in printed or "has no index.json" in printed


def test_a_link_out_of_the_archive_or_to_itself_leads_nowhere(tmp_path: Path) -> None:
    links = {"out": "/etc/passwd", "up": "../../../etc/passwd", "round": "round"}
    archive = Archive(_written(tmp_path / "links.tar", {}, links))
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
    path = _layout(tmp_path, tmp_path / "shop.tar")
    assert main(["check", f"oci-archive:{path}"]) == 0
    assert "PASS" in capsys.readouterr().out
