"""Archives as docker save writes them, from the classic image store and from containerd's."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from image_verifier.image.model import sha256

from tests.unit.blobs import elf
from tests.unit.images import Layout, tar_of

LAYERS = (tar_of({"one": b"1" * 5000}), tar_of({"app": elf(62)}))


def config_of(layers: tuple[bytes, ...] = LAYERS, **more: Any) -> bytes:
    content = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/app"]},
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
    }
    return json.dumps({**content, **more}).encode()


def tar_file(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
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


def classic_archive(path: Path, *tags: str, config: bytes = b"", layers: tuple[bytes, ...] = LAYERS) -> Path:
    """As docker save wrote it before Docker 25: a folder for each layer, the second a link to the first's."""
    config = config or config_of(layers)
    entry = {"Config": "config.json", "RepoTags": list(tags), "Layers": [f"{i}/layer.tar" for i in range(len(layers))]}
    files = {"config.json": config, "manifest.json": json.dumps([entry]).encode()}
    files |= {f"shared/{i}.tar": layer for i, layer in enumerate(layers)}
    return tar_file(path, files, {f"{i}/layer.tar": f"../shared/{i}.tar" for i in range(len(layers))})


def layout_archive(folder: Path, path: Path, **image: Any) -> Path:
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
    return tar_file(path, {**files, "manifest.json": json.dumps([entry]).encode()})
