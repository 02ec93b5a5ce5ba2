"""Files that others have written: each odd one is answered in one line with exit code 2, and never read for ever."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image_verifier.image.model import sha256

from safe_image.cli import main
from tests.unit.images import GZIP, Layout, tar_of

LAYER = tar_of({"run": b"x"})
CONFIG = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/run"]},
        "rootfs": {"type": "layers", "diff_ids": [sha256(LAYER)]},
    }
).encode()


def _one_line(reference: str, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["check", reference, "--format", "json", *options]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1, printed
    assert "the check itself failed" not in printed
    return printed


def _layout(folder: Path, odd: str, make: Callable[[Path], None]) -> str:
    """A layout with one file replaced by `make`: `index`, `manifest`, `config` or `layer`."""
    layout = Layout(folder / "layout")
    layout.path.mkdir()
    top = layout.image(layer_types=(GZIP,))
    layout.source(top)
    manifest = json.loads(layout.path.joinpath("blobs/sha256", top["digest"][7:]).read_bytes())
    digests = {"manifest": top, "config": manifest["config"], "layer": manifest["layers"][0]}
    path = layout.path / "index.json"
    if odd != "index":
        path = layout.path / "blobs/sha256" / digests[odd]["digest"][7:]
    path.unlink()
    make(path)
    return f"oci-layout:{layout.path}"


def _link_to_a_pipe(path: Path) -> None:
    os.mkfifo(f"{path}.pipe")
    path.symlink_to(f"{path}.pipe")


ODD_FILES: dict[str, Callable[[Path], None]] = {
    "a pipe": lambda path: os.mkfifo(path),
    "a link to a pipe": _link_to_a_pipe,
    "a folder": lambda path: path.mkdir(),
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a terminal": lambda path: path.symlink_to("/dev/tty"),
    "standard input": lambda path: path.symlink_to("/dev/stdin"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "memory": lambda path: path.symlink_to("/proc/self/mem"),
}


@pytest.mark.parametrize("odd", ["index", "manifest", "config", "layer"])
@pytest.mark.parametrize("kind", ODD_FILES)
def test_what_is_not_a_regular_file_of_a_layout_is_one_line(
    tmp_path: Path, odd: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = _one_line(_layout(tmp_path, odd, ODD_FILES[kind]), capsys, "--layers")
    assert "is not a regular file" in printed or "cannot be read" in printed or kind == "memory"


@pytest.mark.parametrize("kind", ["a pipe", "an endless device", "a link to itself"])
@pytest.mark.parametrize("scheme", ["docker-archive", "oci-archive"])
def test_an_archive_that_is_not_a_regular_file_is_one_line(
    tmp_path: Path, scheme: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "shop.tar"
    ODD_FILES[kind](path)
    _one_line(f"{scheme}:{path}", capsys)


def _archive(path: Path, manifest: bytes, members: tuple[tarfile.TarInfo, ...] = (), **files: bytes) -> str:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in {"manifest.json": manifest, "c.json": CONFIG, "l.tar": LAYER, **files}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for member in members:
            archive.addfile(member)
    return f"docker-archive:{path}"


def _manifest(**changes: Any) -> bytes:
    return json.dumps([{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l.tar"], **changes}]).encode()


@pytest.mark.parametrize(
    "manifest",
    [
        _manifest(Layers=5),
        _manifest(Layers=True),
        _manifest(Layers="l.tar"),
        _manifest(Layers={"l.tar": 1}),
        _manifest(Layers=[[]]),
        _manifest(Layers=[5]),
        _manifest(RepoTags=5),
        _manifest(RepoTags=[{}]),
        _manifest(RepoTags="abc"),
        _manifest(Config=[]),
        _manifest(Config=None),
        _manifest(Config="/etc/passwd"),
        _manifest(Layers=["../../etc/passwd"]),
        b"[]",
        b"[null]",
        b"null",
        b"{}",
        b"5",
        b'"x"',
        b"[" * 100_000,
        b'[{"Config":' * 100_000,
        b'[{"Config": ' + b"9" * 5_000 + b"}]",
        _manifest(Layers=["l.tar"] * 400_000),
    ],
    ids=lambda manifest: manifest[:60].decode(),
)
def test_an_odd_manifest_json_is_one_line(tmp_path: Path, manifest: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    _one_line(_archive(tmp_path / "odd.tar", manifest), capsys)


def test_a_layer_that_an_image_has_many_times_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safe_image.sources import docker_push

    measured: list[str] = []
    real = docker_push._measured

    def counting(media_type: str, content: docker_push.Content) -> docker_push.PushedLayer:
        measured.append(media_type)
        return real(media_type, content)

    monkeypatch.setattr(docker_push, "_measured", counting)
    assert main(["check", _archive(tmp_path / "many.tar", _manifest(Layers=["l.tar"] * 20_000))]) == 1
    assert len(measured) == 2, "once for each image store"


@pytest.mark.parametrize("size", [1 << 60, 1 << 33, -1, -512, -(1 << 62), (1 << 88) - 1])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_an_entry_whose_size_cannot_be_true_is_one_line(
    tmp_path: Path, size: int, kind: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    info = tarfile.TarInfo("manifest.json")
    info.type = kind
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT)[:512])
    header[124:136] = (b"\x80" if size >= 0 else b"\xff") + size.to_bytes(11, "big", signed=size < 0)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "lying.tar"
    path.write_bytes(bytes(header) + b"{}".ljust(512, b"\0") + bytes(1024))
    _one_line(f"docker-archive:{path}", capsys)


@pytest.mark.parametrize(
    "record",
    [
        "size=-1024",
        "size=99999999999999999999999",
        "size=nan",
        "GNU.sparse.size=-1",
        "GNU.sparse.map=0,1,2",
        "GNU.sparse.major=1",
        "path=" + "x/" * 200_000,
    ],
    ids=lambda record: record[:24],
)
def test_an_odd_extended_header_is_one_line(tmp_path: Path, record: str, capsys: pytest.CaptureFixture[str]) -> None:
    key, _, value = record.partition("=")
    path = tmp_path / "pax.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("manifest.json")
        info.size, info.pax_headers = len(_manifest()), {key: value}
        archive.addfile(info, io.BytesIO(_manifest()))
    _one_line(f"docker-archive:{path}", capsys)


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE])
def test_an_entry_that_is_not_a_file_is_as_if_it_were_missing(
    tmp_path: Path, kind: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    info = tarfile.TarInfo("device")
    info.type, info.devmajor, info.devminor = kind, 1, 5
    reference = _archive(tmp_path / "odd.tar", _manifest(Config="device"), (info,))
    assert "lacks the config" in _one_line(reference, capsys)


def _assembly(folder: Path, artifacts: dict[str, Any], **files: Any) -> str:
    folder.mkdir()
    folder.joinpath("manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    for name, content in files.items():
        path = folder / f"{name}.json"
        content(path) if callable(content) else path.write_text(json.dumps(content))
    return f"cdk.out:{folder}"


_ASSETS = {"assets": {"type": "cdk:asset-manifest", "properties": {"file": "assets.json"}}}


@pytest.mark.parametrize("kind", ODD_FILES)
def test_an_asset_manifest_that_is_not_a_regular_file_is_one_line(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _one_line(_assembly(tmp_path / "cdk.out", _ASSETS, assets=ODD_FILES[kind]), capsys)


@pytest.mark.parametrize("file", ["nope.json", "", ".", "a\0b", "/etc/passwd", "/proc/self/environ"])
def test_an_asset_manifest_that_is_elsewhere_or_nowhere_is_one_line(
    tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    artifacts = {"assets": {"type": "cdk:asset-manifest", "properties": {"file": file}}}
    _one_line(_assembly(tmp_path / "cdk.out", artifacts), capsys)


def test_a_template_that_is_its_own_nested_stack_thirty_times_is_read_once(tmp_path: Path) -> None:
    stack = {"Type": "AWS::CloudFormation::Stack", "Metadata": {"aws:asset:path": "template.json"}}
    artifacts = {
        **_ASSETS,
        "Stack": {
            "type": "aws:cloudformation:stack",
            "environment": "aws://123456789012/eu-west-1",
            "properties": {"templateFile": "template.json"},
            "dependencies": ["assets"],
        },
    }
    images: dict[str, Any] = {"dockerImages": {}}
    template = {"Resources": {f"Nested{i}": stack for i in range(30)}}
    assert main(["check", _assembly(tmp_path / "cdk.out", artifacts, assets=images, template=template)]) == 0


def test_an_assembly_that_is_its_own_stage_thirty_times_is_read_once(tmp_path: Path) -> None:
    stage = {"type": "cdk:cloud-assembly", "properties": {"directoryName": "."}}
    assert main(["check", _assembly(tmp_path / "cdk.out", {f"Stage{i}": stage for i in range(30)})]) == 0


@pytest.mark.parametrize("size", [-1, -(1 << 63), 0, (1 << 63) - 1, 1 << 63, 10**400])
@pytest.mark.parametrize("what", ["layer", "config"])
def test_a_size_that_cannot_be_true_is_a_finding(tmp_path: Path, what: str, size: int) -> None:
    layout = Layout(tmp_path)
    top = layout.image(layers={"size": size} if what == "layer" else None)
    if what == "config":
        manifest = json.loads(layout.path.joinpath("blobs/sha256", top["digest"][7:]).read_bytes())
        manifest["config"]["size"] = size
        top = layout.descriptor(top["mediaType"], json.dumps(manifest).encode())
    layout.source(top)
    assert main(["check", f"oci-layout:{layout.path}", "--layers"]) == 1


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"a":' * 200_000], ids=["lists", "objects"])
@pytest.mark.parametrize("what", ["index", "manifest", "config"])
def test_json_that_is_nested_too_deep_is_refused(tmp_path: Path, what: str, content: bytes) -> None:
    layout = Layout(tmp_path)
    top = layout.image()
    if what == "manifest":
        top = layout.descriptor(top["mediaType"], content)
    elif what == "config":
        manifest = json.loads(layout.path.joinpath("blobs/sha256", top["digest"][7:]).read_bytes())
        manifest["config"] = layout.descriptor(manifest["config"]["mediaType"], content)
        top = layout.descriptor(top["mediaType"], json.dumps(manifest).encode())
    layout.source(top)
    if what == "index":
        layout.path.joinpath("index.json").write_bytes(content)
    assert main(["check", f"oci-layout:{layout.path}"]) == (2 if what == "index" else 1)
