"""An image in an OCI image layout, in a folder or in an archive.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, Protocol

from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.go_json import RAW, STRING, GoJsonError, Struct, decode
from image_verifier.image.model import MAX_MANIFEST_BYTES, Blob, Descriptor, Document, Index, Platform, is_digest
from image_verifier.image.references import Reference
from image_verifier.image.schemas import OCI_INDEX
from image_verifier.sources import Resolved

from .regular_files import open_regular, regular_size

# The specification's annotation, which often is only a tag, and containerd's, which is the whole name.
_NAMES: Final = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
# The kinds of documents without a media type, by a field that only they have.
_TYPES: Final = {
    "manifests": media_types.OCI_INDEX,
    "layers": media_types.OCI_MANIFEST,
    "fsLayers": media_types.DOCKER_MANIFEST_1,
}
_DOCUMENT: Final = Struct("images.unknownDocument", {"mediaType": STRING, **dict.fromkeys(_TYPES, RAW)})
_LINUX_AMD64: Final = Platform("linux", "amd64")
_CHUNK: Final = 1 << 20


class LayoutFiles(Protocol):
    """The files of a layout. Its `str` is its name in messages."""

    def size(self, name: str) -> int | None:
        """A file's size in bytes; None where there is no such file."""

    def open(self, name: str) -> IO[bytes] | None:
        """A file; None where there is no such file."""


class LayoutFolder:
    """The files of a folder.

    :param path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def size(self, name: str) -> int | None:
        """A file's size in bytes; None where there is no such file."""
        return regular_size(self._path / name)

    def open(self, name: str) -> IO[bytes] | None:
        """A file; None where there is no such file."""
        return open_regular(self._path / name)


@dataclass(frozen=True)
class _Entry:
    """A descriptor of `index.json`, and the names of its image."""

    descriptor: Descriptor
    names: tuple[str, ...]

    def has_name(self, name: str) -> bool:
        return name in self.names or full_name(name) in map(full_name, self.names)

    def __str__(self) -> str:
        return self.names[-1] if self.names else f"@{self.descriptor.digest}"


class EmptyLayout(Fault):
    """A layout whose `index.json` lists no image."""


class OciLayout:
    """One image of an OCI image layout.

    :param files: the files that have `index.json` and `blobs`.
    :param names: possible names of the image; `index.json` must have one of them. Empty where the layout has one image.
    :param digest: the digest of the image's index or manifest, in place of a name.
    :param platform: chooses among several images of these names, or without a name.
    :raises EmptyLayout: if it lists no image.
    :raises Fault: if it is not a layout, or does not hold exactly one image of these names.
    """

    at_once = 1

    def __init__(
        self, files: LayoutFiles, names: Sequence[str] = (), *, digest: str = "", platform: Platform = _LINUX_AMD64
    ) -> None:
        self._files = files
        self._top = self._by_digest(digest) if digest else self._find(names, platform)
        self.reference = f"{files}:{names[0]}" if names else f"{files}@{digest}" if digest else str(files)

    def _by_digest(self, digest: str) -> Descriptor:
        size = self._files.size(_blob(digest))
        if size is None:
            raise Fault(
                f"{self._files} does not hold the manifest {digest}",
                f"Use one of its images: {_list(self._entries())}.",
            )
        return Descriptor("", digest, size)

    def _find(self, names: Sequence[str], platform: Platform) -> Descriptor:
        entries = self._entries()
        # One image may have several names.
        fitting = {e.descriptor.digest: e for e in entries if not names or any(map(e.has_name, names))}
        if len(fitting) == 1:
            return next(iter(fitting.values())).descriptor
        with_name = f" with the name {' or '.join(sorted(names))}" if names else ""
        if fitting and all(e.descriptor.platform for e in fitting.values()):
            return self._for_platform(tuple(e.descriptor for e in fitting.values()), platform, with_name)
        if not entries:
            raise EmptyLayout(f"{self._files} has an index.json that lists no image", "Create the layout again.")
        held = [str(entry) for entry in fitting.values()]
        if fitting and len(set(held)) < len(held):
            # Two images have one name.
            held = [f"@{digest}" for digest in fitting]
        raise Fault(
            f"{self._files} holds {len(fitting)} images{with_name}: {', '.join(sorted(held))}"
            if fitting
            else f"{self._files} holds no image{with_name}, but {_list(entries)}",
            "Append one of them to the path, a name after a colon.",
        )

    def _for_platform(self, images: tuple[Descriptor, ...], platform: Platform, with_name: str) -> Descriptor:
        chosen = Index(Document("", "", b""), "", images).choose(platform)
        if chosen is None:
            held = ", ".join(sorted({str(image.platform) for image in images}))
            raise Fault(
                f"{self._files} holds no image{with_name} for {platform}; it holds images for {held}",
                "Pass --platform with one of these platforms.",
            )
        return chosen

    def _entries(self) -> list[_Entry]:
        content = self._read("index.json", MAX_MANIFEST_BYTES)
        if content is None:
            raise Fault(
                f"{self._files} is not an OCI image layout (it has no index.json)",
                "Use the path of a folder or tar file that has one.",
            )
        try:
            manifests = decode(content, OCI_INDEX)["manifests"]
        except GoJsonError as e:
            raise Fault(
                f"{self._files} has an index.json that is not the index of an OCI image layout: {e}",
                "Create the layout again.",
            ) from e
        return [_Entry(Descriptor.of(m), _names(m["annotations"])) for m in manifests if is_digest(m["digest"])]

    def _read(self, name: str, limit: int) -> bytes | None:
        file = self._files.open(name)
        if file is None:
            return None
        try:
            with file:
                return file.read(limit)
        except OSError as e:
            raise _unreadable(f"{self._files}/{name}", e) from e

    def resolve(self) -> Resolved:
        """The document that `index.json` references, with the media type that a push would send."""
        child = self.manifest(self._top)
        return Resolved(child and replace(child, media_type=self._top.media_type or child.media_type))

    def manifest(self, descriptor: Descriptor) -> Document | None:
        """The document of an index's child, with the media type that a registry would serve: its own."""
        content = self._read(_blob(descriptor.digest), MAX_MANIFEST_BYTES + 1)
        if content is None:
            return None
        return Document(_media_type(content, descriptor), descriptor.digest, content)

    def blob(self, descriptor: Descriptor, limit: int) -> bytes | None:
        """A small blob, at most `limit + 1` bytes of it."""
        return self._read(_blob(descriptor.digest), limit + 1)

    def availability(self, layers: Sequence[Descriptor]) -> Mapping[str, Blob]:
        """The blobs that exist as files, and their sizes."""
        return {layer.digest: self._availability(layer.digest) for layer in layers}

    def _availability(self, digest: str) -> Blob:
        size = self._files.size(_blob(digest))
        return Blob(False, None, "UNAVAILABLE") if size is None else Blob(True, size, "AVAILABLE")

    def first_bytes(self, descriptor: Descriptor, count: int) -> bytes | None:
        """A blob's first bytes."""
        return self._read(_blob(descriptor.digest), count)

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes] | None]:
        """A layer's bytes as a stream of chunks."""
        name = _blob(descriptor.digest)
        file = self._files.open(name)
        return closing(chunks(file, f"{self._files}/{name}")) if file else nullcontext()


def _media_type(content: bytes, descriptor: Descriptor) -> str:
    """The media type that a registry serves a document with: its own, else the one of its descriptor.

    :param content: an index or a manifest.
    :param descriptor: its descriptor; one that comes from a digest alone has no media type.
    """
    try:
        document = decode(content, _DOCUMENT)
    except GoJsonError:
        return descriptor.media_type
    if document["mediaType"] or descriptor.media_type:
        return str(document["mediaType"] or descriptor.media_type)
    return next((media_type for field, media_type in _TYPES.items() if document[field] not in (None, "null")), "")


def chunks(file: IO[bytes], name: str) -> Generator[bytes, None, None]:
    """A file's bytes, chunk by chunk. The file is closed at the end.

    :param file: the file, open for reading.
    :param name: its name in messages.
    :raises Fault: if it cannot be read.
    """
    with file:
        try:
            while chunk := file.read(_CHUNK):
                yield chunk
        except OSError as e:
            raise _unreadable(name, e) from e


def full_name(name: str) -> str:
    """A name as Docker completes it: `app` becomes `docker.io/library/app:latest`."""
    try:
        reference = Reference.parse(name)
    except ValueError:
        return name
    return f"{reference.registry}/{reference.repository}:{reference.tag}"


def _unreadable(name: str, error: OSError) -> Fault:
    return Fault(f"{name}: {error.strerror or error}")


def _list(entries: Sequence[_Entry]) -> str:
    return ", ".join(sorted(set(map(str, entries)))) or "no image"


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}" if is_digest(digest) else "blobs/none"


def _names(annotations: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(annotations[key]) for key in _NAMES if annotations.get(key))
