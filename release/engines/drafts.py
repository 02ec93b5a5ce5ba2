"""Small images for mutations: drafts of layers, config, manifest and index, and their form in a registry."""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
import tarfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from image_verifier.image import media_types
from image_verifier.image.model import Blob, Descriptor, Document, sha256
from image_verifier.sources import Resolved

Edit = Callable[[bytes], bytes]
ABSENT: Final = object()
"""In overrides: omit the key."""


@dataclass
class DraftLayer:
    """One layer, and its faults.

    :param tar: the uncompressed bytes.
    :param compression: `gzip`, `zstd` or `none`.
    :param edits: changes of the compressed bytes; the descriptor matches the result.
    :param served: changes the bytes that the registry serves under the layer's digest.
    :param absent: the registry does not have the layer.
    :param diff_id: the diff ID in the config; by default the tar's digest.
    :param descriptor: overrides of the layer's descriptor.
    """

    tar: bytes
    compression: str
    media_type: str
    edits: list[Edit] = field(default_factory=list)
    served: Edit | None = None
    absent: bool = False
    diff_id: str | None = None
    descriptor: dict[str, Any] = field(default_factory=dict)

    def content(self) -> bytes:
        """The layer's bytes."""
        content = COMPRESSIONS[self.compression](self.tar)
        for edit in self.edits:
            content = edit(content)
        return content


@dataclass
class DraftDocument:
    """The draft of a JSON document: overrides of its keys, edits of its bytes, and overrides of its descriptor."""

    overrides: dict[str, Any] = field(default_factory=dict)
    edits: list[Edit] = field(default_factory=list)
    descriptor: dict[str, Any] = field(default_factory=dict)
    served: Edit | None = None
    absent: bool = False

    def render(self, value: Mapping[str, Any]) -> bytes:
        """The document's bytes."""
        merged = {k: v for k, v in {**value, **self.overrides}.items() if v is not ABSENT}
        content = json.dumps(merged).encode()
        for edit in self.edits:
            content = edit(content)
        return content


@dataclass
class DraftChild:
    """Another entry of an index, before or after the image's entry."""

    descriptor: dict[str, Any]
    first: bool = False
    document: bytes | None = None


@dataclass
class Draft:
    """The draft of an image."""

    layers: list[DraftLayer]
    run: dict[str, Any]
    oci: bool
    config: DraftDocument = field(default_factory=DraftDocument)
    manifest: DraftDocument = field(default_factory=DraftDocument)
    served_type: str | None = None
    diff_ids: Callable[[list[str]], list[Any]] | None = None
    layer_order: Callable[[list[Any]], list[Any]] | None = None
    index: DraftDocument | None = None
    own_platform: Any = ABSENT
    children: list[DraftChild] = field(default_factory=list)
    nested: int = 0

    @property
    def manifest_type(self) -> str:
        """The manifest's correct media type."""
        return media_types.OCI_MANIFEST if self.oci else media_types.DOCKER_MANIFEST


@dataclass(frozen=True)
class StoredImage:
    """A rendered image as a registry stores it: documents with their media types, and blobs, by digest.

    It is also a `Source`, so that our verdict is about the same bytes.
    """

    top: str
    documents: Mapping[str, tuple[str, bytes]]
    blobs: Mapping[str, bytes]
    reference: str = "generated:t"
    at_once: int = 1

    def resolve(self) -> Resolved:
        """The document at the tag."""
        media_type, content = self.documents[self.top]
        return Resolved(Document(media_type, self.top, content))

    def manifest(self, descriptor: Descriptor) -> Document | None:
        """The document of an index's child, with the registry's media type."""
        found = self.documents.get(descriptor.digest)
        return Document(found[0], descriptor.digest, found[1]) if found else None

    def blob(self, descriptor: Descriptor, limit: int) -> bytes | None:
        """A small blob."""
        content = self.blobs.get(descriptor.digest)
        return None if content is None else content[: limit + 1]

    def availability(self, layers: Sequence[Descriptor]) -> Mapping[str, Blob]:
        """The availability and the size of blobs."""
        return {
            d.digest: Blob(True, len(self.blobs[d.digest]), "AVAILABLE")
            if d.digest in self.blobs
            else Blob(False, None, "UNAVAILABLE")
            for d in layers
        }

    def first_bytes(self, descriptor: Descriptor, count: int) -> bytes | None:
        """A blob's first bytes."""
        content = self.blobs.get(descriptor.digest)
        return None if content is None else content[:count]

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Any]:
        """A blob's bytes as a stream."""
        content = self.blobs.get(descriptor.digest)
        return nullcontext(None if content is None else iter((content,)))


def stored(draft: Draft) -> StoredImage:
    """Render a draft as a registry stores it."""
    blobs: dict[str, bytes] = {}
    documents: dict[str, tuple[str, bytes]] = {}

    layers, diff_ids = [], []
    for layer in draft.layers:
        content = layer.content()
        digest = sha256(content)
        if not layer.absent:
            blobs[digest] = layer.served(content) if layer.served else content
        layers.append(_descriptor(layer.media_type, digest, len(content), layer.descriptor))
        diff_ids.append(layer.diff_id or sha256(layer.tar))

    config = draft.config.render(
        {
            "created": "2026-01-02T03:04:05Z",
            "architecture": "amd64",
            "os": "linux",
            "config": draft.run,
            "rootfs": {"type": "layers", "diff_ids": draft.diff_ids(diff_ids) if draft.diff_ids else diff_ids},
            "history": [{"created_by": f"step {i}"} for i in range(len(diff_ids))],
        }
    )
    digest = sha256(config)
    if not draft.config.absent:
        blobs[digest] = draft.config.served(config) if draft.config.served else config
    config_type = media_types.OCI_CONFIG if draft.oci else media_types.DOCKER_CONFIG

    manifest = draft.manifest.render(
        {
            "schemaVersion": 2,
            "mediaType": draft.manifest_type,
            "config": _descriptor(config_type, digest, len(config), draft.config.descriptor),
            "layers": draft.layer_order(layers) if draft.layer_order else layers,
        }
    )
    top = sha256(manifest)
    if not draft.manifest.absent:
        served = draft.manifest.served(manifest) if draft.manifest.served else manifest
        documents[top] = (draft.served_type or draft.manifest_type, served)
    if draft.index is None:
        return StoredImage(top, documents, blobs)

    own: dict[str, Any] = {"mediaType": draft.manifest_type, "digest": top, "size": len(manifest)}
    if draft.own_platform is not ABSENT:
        own["platform"] = draft.own_platform
    own = {k: v for k, v in {**own, **draft.manifest.descriptor}.items() if v is not ABSENT}
    for child in draft.children:
        if child.document is not None:
            documents[child.descriptor["digest"]] = (child.descriptor["mediaType"], child.document)
    entries = [c.descriptor for c in draft.children if c.first] + [own]
    entries += [c.descriptor for c in draft.children if not c.first]
    index_type = media_types.OCI_INDEX if draft.oci else media_types.DOCKER_INDEX
    for depth in range(draft.nested + 1):
        edits = draft.index if depth == draft.nested else DraftDocument()
        index = edits.render({"schemaVersion": 2, "mediaType": index_type, "manifests": entries})
        top = sha256(index)
        documents[top] = (index_type, index)
        entries = [{"mediaType": index_type, "digest": top, "size": len(index)}]
    return StoredImage(top, documents, blobs)


def _descriptor(media_type: str, digest: str, size: int, overrides: Mapping[str, Any]) -> dict[str, Any]:
    value = {"mediaType": media_type, "digest": digest, "size": size, **overrides}
    return {k: v for k, v in value.items() if v is not ABSENT}


def zstd(content: bytes) -> bytes:
    """A zstd frame of raw blocks: https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.1"""
    frame = bytearray(b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(content)))
    step = 1 << 16
    starts = range(0, len(content), step) if content else [0]
    for start in starts:
        block = content[start : start + step]
        last = start + step >= len(content)
        frame += struct.pack("<I", last | len(block) << 3)[:3] + block
    return bytes(frame)


def gzipped(content: bytes) -> bytes:
    """gzip, the same on every Python: the header of `gzip.compress` differs between 3.10 and 3.11."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return compressor.compress(content) + compressor.flush()


COMPRESSIONS: Final[Mapping[str, Edit]] = {"gzip": gzipped, "zstd": zstd, "none": lambda content: content}


def entry(name: str, content: bytes = b"", **more: Any) -> tuple[tarfile.TarInfo, bytes]:
    """One entry of a tar."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o755
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def tar_of(entries: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """A tar of these entries."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


# The media type of a healthy layer, by the manifest's family (OCI or not) and the layer's compression.
TYPES: Final[Mapping[tuple[bool, str], str]] = {
    (True, "gzip"): media_types.OCI_LAYER + "+gzip",
    (True, "zstd"): media_types.OCI_LAYER + "+zstd",
    (True, "none"): media_types.OCI_LAYER,
    (False, "gzip"): media_types.DOCKER_LAYER_GZIP,
    (False, "none"): media_types.DOCKER_LAYER,
}


_MACHINES: Final = {"amd64": 62, "arm64": 183}


def program(architecture: str) -> bytes:
    """The beginning of a program for a machine: an ELF header, and one segment."""
    header = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 2, _MACHINES[architecture], 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    )
    return header + struct.pack("<II6Q", 1, 5, 0, 0, 0, 120, 120, 4096)


def healthy(rng: random.Random) -> Draft:
    """A healthy image of one to four layers. No two images share a blob, since an engine fetches a blob only once."""
    oci = rng.random() < 0.6
    layers = []
    for number in range(rng.randint(1, 4)):
        unique = hashlib.sha256(rng.randbytes(16)).hexdigest()
        entries = [
            entry("bin", type=tarfile.DIRTYPE),
            entry("bin/run", program("amd64") + unique.encode()),
            entry(f"etc/{number}/{unique}", unique.encode() * rng.randint(1, 40)),
        ]
        compression = rng.choice([c for family, c in TYPES if family == oci])
        layers.append(DraftLayer(tar_of(entries), compression, TYPES[oci, compression]))
    draft = Draft(layers, {"Cmd": ["/bin/run"], "Env": ["PATH=/bin"]}, oci)
    if rng.random() < 0.3:
        draft.index = DraftDocument()
        draft.own_platform = {"os": "linux", "architecture": "amd64"}
    return draft
