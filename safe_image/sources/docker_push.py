"""The image that `docker push` sends, which depends on Docker's image store.

The classic store keeps uncompressed layers: a push compresses them with gzip and lists them in a schema 2 manifest.
containerd's image store, the default of new installations since Docker 29, pushes an image as it was loaded.
https://github.com/moby/moby/blob/master/daemon/internal/distribution/push_v2.go
https://github.com/moby/moby/blob/master/daemon/containerd/image_push.go
https://github.com/containerd/containerd/blob/main/core/images/archive/importer.go, ImportIndex
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import IO, Final, Protocol

from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.model import Blob, Descriptor, Document, sha256
from image_verifier.pool import Pool
from image_verifier.sources import Resolved, Source

from .compressed_files import MAGIC_BYTES, FileCompression, decompressed, file_compression
from .oci_layout import chunks
from .tar_index import SAVE_AGAIN

# The level of Go's and zlib's default.
_LEVEL: Final = 6
_GZIP_WINDOW: Final = 31
# The name of a blob's file in an OCI layout, which has its digest.
_BLOB: Final = re.compile(r"blobs/sha256/([0-9a-f]{64})")
# Docker recognizes bzip2 and xz as well, containerd these two alone:
# https://github.com/containerd/containerd/blob/main/pkg/archive/compression/compression.go, DetectCompression
_CONTAINERD: Final = ("gzip", "zstd")


class ImageStore(Enum):
    """The place where Docker keeps images. Its value is its name in messages."""

    CLASSIC = "classic image store"
    CONTAINERD = "containerd image store"


@dataclass(frozen=True)
class Push:
    """The image that Docker pushes from one image store.

    :param store: the store.
    :param open: opens its source, which may read all layers; raises `Fault` if the store cannot load the image.
    """

    store: ImageStore
    open: Callable[[], Source]


class ArchiveFiles(Protocol):
    """The files of an archive of `docker save`. Its `str` is its name in messages."""

    @property
    def at_once(self) -> int:
        """How many files may be read at once."""

    def size(self, name: str) -> int | None:
        """A file's size in bytes; None where there is no such file."""

    def open(self, name: str) -> IO[bytes] | None:
        """A file; None where there is no such file."""

    def place(self, name: str) -> int:
        """A file's place in the archive; files are read fastest in this order."""


# The bytes of a layer, as they are pushed. A generator ends early when it is closed.
Content = Callable[[], Generator[bytes, None, None]]


@dataclass(frozen=True)
class PushedLayer:
    """A layer of a pushed image."""

    media_type: str
    digest: str
    size: int
    content: Content


class Schema2Image:
    """An image with the schema 2 manifest that Docker makes when it pushes.

    :param reference: the image's name.
    :param config: its config.
    :param layers: its layers, bottom first.
    """

    at_once = 1

    def __init__(self, reference: str, config: bytes, layers: Sequence[PushedLayer]) -> None:
        self.reference = reference
        self._config = config
        self._layers = {layer.digest: layer for layer in layers}
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_types.DOCKER_MANIFEST,
            "config": {"mediaType": media_types.DOCKER_CONFIG, "digest": sha256(config), "size": len(config)},
            "layers": [{"mediaType": one.media_type, "digest": one.digest, "size": one.size} for one in layers],
        }
        # As containerd writes it, so that the digest is the one of its push.
        self._manifest = json.dumps(manifest, separators=(",", ":")).encode()

    def resolve(self) -> Resolved:
        """The manifest that a push sends."""
        return Resolved(Document(media_types.DOCKER_MANIFEST, sha256(self._manifest), self._manifest))

    def manifest(self, descriptor: Descriptor) -> Document | None:
        """None: the image has no index."""
        return None

    def blob(self, descriptor: Descriptor, limit: int) -> bytes | None:
        """The config, at most `limit + 1` bytes of it."""
        return self._config[: limit + 1]

    def availability(self, layers: Sequence[Descriptor]) -> Mapping[str, Blob]:
        """All layers are available."""
        return {layer.digest: Blob(True, self._layers[layer.digest].size, "AVAILABLE") for layer in layers}

    def first_bytes(self, descriptor: Descriptor, count: int) -> bytes | None:
        """A layer's first bytes."""
        with self.open(descriptor) as stream:
            return b"".join(islice(stream or (), 1))[:count]

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes] | None]:
        """A layer's bytes as a stream of chunks."""
        layer = self._layers.get(descriptor.digest)
        return closing(layer.content()) if layer else nullcontext()


def classic_push(files: ArchiveFiles, reference: str, config: bytes, layers: Sequence[str]) -> Source:
    """The image that Docker pushes from its classic store.

    :param files: the archive's files.
    :param reference: the image's name.
    :param config: the image's config.
    :param layers: the names of its layers' files, bottom first.
    """

    def pushed(name: str) -> PushedLayer:
        compression = _compression(files, name)
        if compression is None or compression.name not in _CONTAINERD:
            return _measured(media_types.DOCKER_LAYER_GZIP, _gzip(files, name, compression))
        # Docker would compress the layer again. Its size stays about the same, and nothing else depends on its bytes.
        blob = _BLOB.fullmatch(name)
        if blob is None:
            return _measured(media_types.DOCKER_LAYER_GZIP, _raw(files, name))
        return PushedLayer(media_types.DOCKER_LAYER_GZIP, f"sha256:{blob[1]}", files.size(name) or 0, _raw(files, name))

    return Schema2Image(reference, config, _each(files, layers, pushed))


def containerd_push(files: ArchiveFiles, reference: str, config: bytes, layers: Sequence[str]) -> Source:
    """The image that Docker pushes from containerd's image store, where the archive is not an OCI layout.

    :param files: the archive's files.
    :param reference: the image's name.
    :param config: the image's config.
    :param layers: the names of its layers' files, bottom first.
    """

    def pushed(name: str) -> PushedLayer:
        compression = _compression(files, name)
        is_compressed = compression is not None and compression.name in _CONTAINERD
        media_type = media_types.DOCKER_LAYER_GZIP if is_compressed else media_types.DOCKER_LAYER
        return _measured(media_type, _raw(files, name))

    return Schema2Image(reference, config, _each(files, layers, pushed))


def _each(files: ArchiveFiles, names: Sequence[str], pushed: Callable[[str], PushedLayer]) -> list[PushedLayer]:
    """The pushed layers. A layer that an image has several times is read once."""
    distinct = sorted(dict.fromkeys(names), key=files.place)
    with Pool(files.at_once) as pool:
        by_name = dict(zip(distinct, pool.results(pushed, distinct), strict=True))
    return [by_name[name] for name in names]


def _measured(media_type: str, content: Content) -> PushedLayer:
    size, digest = 0, hashlib.sha256()
    for chunk in content():
        size += len(chunk)
        digest.update(chunk)
    return PushedLayer(media_type, f"sha256:{digest.hexdigest()}", size, content)


def _compression(files: ArchiveFiles, name: str) -> FileCompression | None:
    with _opened(files, name) as file:
        return file_compression(file.read(MAGIC_BYTES))


def _opened(files: ArchiveFiles, name: str) -> IO[bytes]:
    file = files.open(name)
    if file is None:
        raise Fault(f"{files} lacks the layer {name} that its manifest.json references", SAVE_AGAIN)
    return file


def _raw(files: ArchiveFiles, name: str) -> Content:
    return lambda: chunks(_opened(files, name), f"{files}/{name}")


def _gzip(files: ArchiveFiles, name: str, compression: FileCompression | None) -> Content:
    def content() -> Generator[bytes, None, None]:
        with _opened(files, name) as file:
            plain: Iterable[bytes] = chunks(file, f"{files}/{name}")
            if compression and compression.decoder:
                plain = decompressed(file, compression, f"{files}/{name}")
            compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
            for chunk in plain:
                if compressed := compressor.compress(chunk):
                    yield compressed
            yield compressor.flush()

    return content
