"""Images for tests: an OCI layout in a folder, with single properties changed."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from image_verifier.image import media_types
from image_verifier.image.model import sha256

from safe_image.sources.oci_layout import LayoutFolder, OciLayout

GZIP = media_types.OCI_LAYER + "+gzip"


def tar_of(files: dict[str, bytes]) -> bytes:
    """A tar with these files, the same for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@dataclass
class Layout:
    """An OCI layout in a folder."""

    path: Path
    manifests: list[dict[str, Any]] = field(default_factory=list)

    def put(self, content: bytes) -> str:
        digest = sha256(content)
        blobs = self.path / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        blobs.joinpath(digest.removeprefix("sha256:")).write_bytes(content)
        return digest

    def descriptor(self, media_type: str, content: bytes, **more: Any) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": self.put(content), "size": len(content), **more}

    def image(
        self,
        *,
        layer_types: tuple[str, ...] = (GZIP,),
        layers: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
        manifest: dict[str, Any] | None = None,
        schema_2: bool = False,
    ) -> dict[str, Any]:
        """Write one image and return its manifest's descriptor; by default a healthy linux/amd64 image."""
        tars = [tar_of({f"file{i}": b"x" * (i + 1)}) for i in range(len(layer_types))]
        blobs = [gzip.compress(tar, mtime=0) for tar in tars]
        run = {"Cmd": ["/file0"]}
        config_content = {
            "architecture": "amd64",
            "os": "linux",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": [sha256(tar) for tar in tars]},
            **(config or {}),
        }
        document = {
            "schemaVersion": 2,
            "mediaType": media_types.DOCKER_MANIFEST if schema_2 else media_types.OCI_MANIFEST,
            "config": self.descriptor(
                media_types.DOCKER_CONFIG if schema_2 else media_types.OCI_CONFIG, json.dumps(config_content).encode()
            ),
            "layers": [
                {**self.descriptor(media_type, blob), **(layers or {})}
                for media_type, blob in zip(layer_types, blobs, strict=True)
            ],
            **(manifest or {}),
        }
        return self.descriptor(document["mediaType"] or media_types.OCI_MANIFEST, json.dumps(document).encode())

    def attestation(self) -> dict[str, Any]:
        """An attestation as BuildKit attaches it to an image: a manifest whose layer is an in-toto statement."""
        statement = b'{"_type": "https://in-toto.io/Statement/v0.1"}'
        config = {"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": {"type": "layers"}}
        config["rootfs"] = {"type": "layers", "diff_ids": [sha256(statement)]}
        document = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": self.descriptor(media_types.OCI_CONFIG, json.dumps(config).encode()),
            "layers": [self.descriptor(media_types.IN_TOTO, statement)],
        }
        return self.descriptor(media_types.OCI_MANIFEST, json.dumps(document).encode())

    def index(self, *children: dict[str, Any], media_type: str = media_types.OCI_INDEX) -> dict[str, Any]:
        document = {"schemaVersion": 2, "mediaType": media_type, "manifests": list(children)}
        return self.descriptor(media_type, json.dumps(document).encode())

    def source(self, top: dict[str, Any]) -> OciLayout:
        """The layout with this descriptor at its top."""
        self.path.joinpath("oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.path.joinpath("index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
        return OciLayout(LayoutFolder(self.path))
