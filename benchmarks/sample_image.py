"""The image for measurements: 8 layers of this machine's own files, 800 MB unpacked, at least 20,000 entries."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import sysconfig
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from image_verifier.image import media_types

from tests.unit.blobs import elf

LAYERS: Final = 8
BYTES: Final = 800_000_000
ENTRIES: Final = 20_000
_LARGEST_FILE: Final = 20_000_000
# A prime, so that every turn has each part once.
_STRIDE: Final = 7919
_PROGRAM: Final = "usr/bin/program"


def layout(folder: Path) -> Path:
    """The image as an OCI layout below `folder`, built on the first call."""
    made = folder / f"image-{LAYERS}-{BYTES}-{ENTRIES}"
    if not (made / "index.json").exists():
        (made / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            layers = list(pool.map(lambda tar: _layer(made, tar), _tars()))
        _index(made, layers)
    return made


def architecture() -> str:
    """This machine's architecture, in the words of images."""
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def _tars() -> Iterator[bytes]:
    """The layers as tars, of about the same size each."""
    files = _files()
    for number in range(LAYERS):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            folders: set[str] = set()
            if not number:
                _add(tar, folders, _PROGRAM, elf({"amd64": 62, "arm64": 183}[architecture()]), 0o755)
            entries = 0
            while buffer.tell() < BYTES // LAYERS or entries < ENTRIES // LAYERS:
                name, path = next(files)
                with contextlib.suppress(OSError):
                    _add(tar, folders, name, path.read_bytes()[:_LARGEST_FILE], path.stat().st_mode & 0o7777)
                    entries += 1
        yield buffer.getvalue()


def _files() -> Iterator[tuple[str, Path]]:
    """This machine's files, repeated for ever, with their names in the tar."""
    roots = [Path(sysconfig.get_paths()["purelib"]), Path("/usr/lib"), Path("/usr/share"), Path("/usr/bin")]
    found = [
        path
        for root in roots
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK)
    ]
    # The parts are mixed, so that every layer has files of every kind; within a part the order stays.
    parts = [found[i : i + 50] for i in range(0, len(found), 50)]
    for turn in itertools.count():
        for i in range(len(parts)):
            for path in parts[i * _STRIDE % len(parts)]:
                yield f"{turn}{path}", path


def _add(tar: tarfile.TarFile, folders: set[str], name: str, content: bytes, mode: int) -> None:
    for parent in reversed(Path(name).parents[:-1]):
        if str(parent) not in folders:
            folders.add(str(parent))
            folder = tarfile.TarInfo(str(parent))
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    tar.addfile(info, io.BytesIO(content))


def _layer(folder: Path, tar: bytes) -> tuple[str, int, str]:
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    blob = compressor.compress(tar) + compressor.flush()
    return _blob(folder, blob), len(blob), "sha256:" + hashlib.sha256(tar).hexdigest()


def _blob(folder: Path, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    (folder / "blobs" / "sha256" / digest).write_bytes(content)
    return f"sha256:{digest}"


def _index(folder: Path, layers: Sequence[tuple[str, int, str]]) -> None:
    config = json.dumps(
        {
            "architecture": architecture(),
            "os": "linux",
            "config": {"Cmd": ["/" + _PROGRAM]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, _, diff_id in layers]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": {"mediaType": media_types.OCI_CONFIG, "digest": _blob(folder, config), "size": len(config)},
            "layers": [
                {"mediaType": media_types.OCI_LAYER + "+gzip", "digest": digest, "size": size}
                for digest, size, _ in layers
            ],
        }
    ).encode()
    top = {"mediaType": media_types.OCI_MANIFEST, "digest": _blob(folder, manifest), "size": len(manifest)}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
