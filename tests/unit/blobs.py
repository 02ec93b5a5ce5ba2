"""Images with layers made byte by byte, and tars with headers made field by field."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from image_verifier.image import media_types
from image_verifier.image.model import Blob, Descriptor, Document, Platform, sha256
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.sources import Resolved
from image_verifier.verify import verify

END = bytes(1024)


def header(
    name: bytes | str,
    kind: bytes = b"0",
    *,
    size: int | bytes = 0,
    mode: int = 0o755,
    uid: int = 0,
    gid: int = 0,
    link: bytes | str = b"",
    magic: bytes = b"ustar\00000",
    prefix: bytes = b"",
    device: tuple[int, int] = (0, 0),
    checksum: bytes | None = None,
    mtime: bytes = b"00000000000\0",
) -> bytes:
    """One block of a tar. A `size` in bytes is used as it is."""
    name, link = (x.encode() if isinstance(x, str) else x for x in (name, link))
    length = size if isinstance(size, bytes) else b"%011o\0" % size
    block = struct.pack(
        "100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12x",
        name, b"%07o\0" % mode, b"%07o\0" % uid, b"%07o\0" % gid, length, mtime, b" " * 8, kind, link, magic,
        b"", b"", b"%07o\0" % device[0], b"%07o\0" % device[1], prefix,
    )  # fmt: skip
    return block[:148] + (b"%06o\0 " % sum(block) if checksum is None else checksum) + block[156:]


def padded(content: bytes) -> bytes:
    """Content, padded as in a tar."""
    return content + bytes(-len(content) % 512)


def file(name: bytes | str, content: bytes = b"", **more: Any) -> bytes:
    """A file, or another entry with content."""
    return header(name, size=len(content), **more) + padded(content)


def folder(name: str, **more: Any) -> bytes:
    """A folder."""
    return header(name, b"5", **more)


def link(name: str, target: str) -> bytes:
    """A symbolic link."""
    return header(name, b"2", link=target)


def pax(**records: bytes | str) -> bytes:
    """A header with PAX records; `__` in a key stands for a dot."""
    content = b"".join(_record(k.replace("__", "."), v) for k, v in records.items())
    return file("pax", content, kind=b"x")


def _record(key: str, value: bytes | str) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    body = b" %s=%s\n" % (key.encode(), value)
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def elf(machine: int = 62, *, wide: bool = True, interpreter: bytes = b"", kind: int = 2) -> bytes:
    """The beginning of a program: an ELF header, a program header, and the path of a loader if there is one."""
    path = interpreter + b"\0" if interpreter else b""
    if wide:
        head = struct.pack(
            "<4sBBB9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, kind, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0
        )
        entry = struct.pack("<IIQQQQQQ", 3 if path else 1, 4, 120, 0, 0, len(path), len(path), 1)
    else:
        head = struct.pack(
            "<4sBBB9xHHIIIIIHHHHHH", b"\x7fELF", 1, 1, 1, kind, machine, 1, 0, 52, 0, 0, 52, 32, 1, 0, 0, 0
        )
        entry = struct.pack("<IIIIIIII", 3 if path else 1, 84, 0, 0, len(path), len(path), 4, 1)
    return head + entry + path


PROGRAM = file("program", elf())


@dataclass
class InMemory:
    """An image in memory. Each blob can differ from its digest."""

    layers: Sequence[bytes]
    diff_ids: Sequence[str]
    config: Mapping[str, Any] = field(default_factory=dict)
    types: Sequence[str] = ()
    served: Mapping[str, Iterable[bytes] | None] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    reference: str = "test:tag"

    def __post_init__(self) -> None:
        run = {"Cmd": ["/program"], **self.config}
        self._config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": run,
                "rootfs": {"type": "layers", "diff_ids": list(self.diff_ids)},
            }
        ).encode()
        types = self.types or [media_types.OCI_LAYER + "+gzip"] * len(self.layers)
        descriptors = [
            {"mediaType": t, "digest": sha256(b), "size": self.sizes.get(sha256(b), len(b))}
            for t, b in zip(types, self.layers, strict=True)
        ]
        self._manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": media_types.OCI_MANIFEST,
                "config": {
                    "mediaType": media_types.OCI_CONFIG,
                    "digest": sha256(self._config),
                    "size": len(self._config),
                },
                "layers": descriptors,
            }
        ).encode()
        self._blobs = {sha256(blob): blob for blob in self.layers}
        self.opened: list[str] = []

    at_once = 1

    def resolve(self) -> Resolved:
        return Resolved(Document(media_types.OCI_MANIFEST, sha256(self._manifest), self._manifest))

    def manifest(self, descriptor: Descriptor) -> Document | None:
        raise AssertionError("there is no index")

    def blob(self, descriptor: Descriptor, limit: int) -> bytes | None:
        return self._config

    def availability(self, layers: Sequence[Descriptor]) -> Mapping[str, Blob]:
        return {}

    def first_bytes(self, descriptor: Descriptor, count: int) -> bytes | None:
        return self._blobs[descriptor.digest][:count]

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes] | None]:
        self.opened.append(descriptor.digest)
        served = self.served.get(descriptor.digest, [self._blobs[descriptor.digest]])
        return nullcontext(None if served is None else iter(served))


def image(*tars: bytes, **more: Any) -> InMemory:
    """An image with these tars, each as a gzip layer with its diff_id."""
    return InMemory([gzip.compress(tar, mtime=0) for tar in tars], [sha256(tar) for tar in tars], **more)


def report(source: InMemory, runtime: str = "fargate", platform: str = "linux/amd64") -> Report:
    """Verify an image with its layers."""
    return verify(source, Policy((runtime,), Platform.parse(platform), verify_layers=True))


def found(source: InMemory, runtime: str = "fargate", **more: Any) -> list[str]:
    """The IDs of the findings that refuse an image."""
    return [finding.id for finding in report(source, runtime, **more).errors]
