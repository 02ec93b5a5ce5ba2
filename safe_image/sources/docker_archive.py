"""An image that `docker save` has written, as `docker push` would push it.

The content of such an archive depends on Docker's image store. containerd's store writes the image itself, as it is
pushed. The classic store writes uncompressed layers; a push compresses them with gzip and lists them in a schema 2
manifest. This module does the same, so that sizes and digests are those of a real image.
https://github.com/moby/docker-image-spec/blob/main/spec.md and
https://github.com/moby/moby/blob/master/daemon/internal/distribution/push_v2.go
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import islice
from typing import IO, Any, Final

from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.model import MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, Blob, Descriptor, Document, sha256
from image_verifier.image.references import Reference
from image_verifier.sources import Resolved, Source

from .archive import Archive
from .oci_layout import OciLayout, chunks

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_LEVEL: Final = 6
_GZIP_WINDOW: Final = 31
_SAVE: Final = "Create the archive again: docker save -o FILE IMAGE"


def docker_archive(files: Archive, name: str) -> Source:
    """The image of an archive.

    :param files: the archive.
    :param name: the image's name; empty where the archive holds one image.
    :raises Fault: if `docker save` has not written it, or it does not hold exactly one image of that name.
    """
    entries = _entries(files)
    entry = _entry_named(files, entries, name)
    layers = [str(layer) for layer in entry.get("Layers") or ()]
    if files.size("index.json") is not None:
        several = sum(len(_tags(each)) or 1 for each in entries) > 1
        image = OciLayout(files, [_full(tag) for tag in ([name] if name else _tags(entry))] if several else ())
        # Since Docker 25 the classic store also writes a layout: with OCI media types, and uncompressed layers.
        plain = not any(map(_is_compressed, (files.open(layer) for layer in layers)))
        top = image.resolve().document
        if not (plain and top and top.media_type == media_types.OCI_MANIFEST):
            return image
    return _PushedImage(files, entry, layers)


class _PushedImage:
    """An image of the classic store, as `docker push` would push it."""

    at_once = 1

    def __init__(self, files: Archive, entry: Mapping[str, Any], layers: Sequence[str]) -> None:
        self._files = files
        self.reference = next(iter(entry.get("RepoTags") or ()), str(files))
        config = files.open(str(entry.get("Config")))
        if config is None:
            raise Fault(f"{files} lacks the config that its manifest.json references", _SAVE)
        with config:
            self._config = config.read(MAX_CONFIG_BYTES + 1)
        missing = [name for name in layers if files.size(name) is None]
        if missing:
            raise Fault(f"{files} lacks the layer {missing[0]} that its manifest.json references", _SAVE)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            pushed = list(pool.map(self._pushed, layers))
        self._names = {descriptor["digest"]: name for descriptor, name in zip(pushed, layers, strict=True)}
        self._sizes = {descriptor["digest"]: descriptor["size"] for descriptor in pushed}
        self._manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": media_types.DOCKER_MANIFEST,
                "config": {
                    "mediaType": media_types.DOCKER_CONFIG,
                    "size": len(self._config),
                    "digest": sha256(self._config),
                },
                "layers": pushed,
            }
        ).encode()

    def _pushed(self, name: str) -> dict[str, Any]:
        size, digest = 0, hashlib.sha256()
        for chunk in self._compressed(name):
            size += len(chunk)
            digest.update(chunk)
        return {
            "mediaType": media_types.DOCKER_LAYER_GZIP,
            "size": size,
            "digest": f"sha256:{digest.hexdigest()}",
        }

    def _compressed(self, name: str) -> Generator[bytes, None, None]:
        file = self._files.open(name)
        assert file
        if _is_compressed(self._files.open(name)):
            yield from chunks(file)
            return
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
        for chunk in chunks(file):
            if compressed := compressor.compress(chunk):
                yield compressed
        yield compressor.flush()

    def resolve(self) -> Resolved:
        """The manifest that a push sends."""
        return Resolved(Document(media_types.DOCKER_MANIFEST, sha256(self._manifest), self._manifest))

    def manifest(self, descriptor: Descriptor) -> Document | None:
        """None: a pushed image of the classic store has no index."""
        return None

    def blob(self, descriptor: Descriptor, limit: int) -> bytes | None:
        """The config, at most `limit + 1` bytes of it."""
        return self._config[: limit + 1]

    def availability(self, layers: Sequence[Descriptor]) -> Mapping[str, Blob]:
        """All layers are available, with their compressed sizes."""
        return {layer.digest: Blob(True, self._sizes[layer.digest], "AVAILABLE") for layer in layers}

    def first_bytes(self, descriptor: Descriptor, count: int) -> bytes | None:
        """A layer's first bytes."""
        with self.open(descriptor) as stream:
            return b"".join(islice(stream or (), 1))[:count]

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes] | None]:
        """A layer's bytes as a stream of chunks, compressed as a push compresses them."""
        name = self._names.get(descriptor.digest)
        return closing(self._compressed(name)) if name else nullcontext()


def _entries(files: Archive) -> Sequence[Mapping[str, Any]]:
    """The entries of `manifest.json`, one for each image."""
    file = files.open("manifest.json")
    if file is None:
        also = "; or use oci-archive: instead of docker-archive:" if files.size("index.json") is not None else ""
        raise Fault(f"{files} has no manifest.json and was not written by docker save", f"{_SAVE}{also}")
    with file:
        content = file.read(MAX_MANIFEST_BYTES)
    try:
        entries: list[Mapping[str, Any]] = list(json.loads(content))
        for entry in entries:
            _tags(entry)
    except (ValueError, TypeError, AttributeError, RecursionError) as e:
        raise Fault(f"{files} has a manifest.json that docker save has not written", _SAVE) from e
    return entries


def _tags(entry: Mapping[str, Any]) -> Sequence[str]:
    return [str(tag) for tag in entry.get("RepoTags") or ()]


def _entry_named(files: Archive, entries: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """The entry of the image with a name."""
    named = {_full(tag): entry for entry in entries for tag in _tags(entry)}
    if not name and len(entries) == 1:
        return entries[0]
    if name and (entry := named.get(_full(name))):
        return entry
    held = ", ".join(sorted(tag for entry in entries for tag in _tags(entry)))
    raise Fault(
        f"{files} does not hold the image {name}" if name else f"{files} holds {len(entries)} images",
        f"Append a colon and one of these names to the path: {held}." if held else f"{_SAVE}, with the image's name",
    )


def _full(name: str) -> str:
    """A name as Docker completes it: `app` becomes `docker.io/library/app:latest`."""
    try:
        reference = Reference.parse(name)
    except ValueError:
        return name
    return f"{reference.registry}/{reference.repository}:{reference.tag}"


def _is_compressed(file: IO[bytes] | None) -> bool:
    if file is None:
        return False
    with file:
        start = file.read(4)
    return start.startswith(_GZIP) or start == _ZSTD
