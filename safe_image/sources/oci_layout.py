"""An image in an OCI image layout, in a folder or in an archive.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import IO, Any, Final, Protocol

from image_verifier.faults import Fault
from image_verifier.image.model import MAX_MANIFEST_BYTES, Blob, Descriptor, Document, is_digest
from image_verifier.sources import Resolved

# The specification's annotation, which often is only a tag, and containerd's, which is the whole name.
_NAMES: Final = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
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
        try:
            return self._path.joinpath(name).stat().st_size
        except FileNotFoundError:
            return None

    def open(self, name: str) -> IO[bytes] | None:
        """A file; None where there is no such file."""
        try:
            return self._path.joinpath(name).open("rb")
        except FileNotFoundError:
            return None


class OciLayout:
    """One image of an OCI image layout.

    :param files: the files that have `index.json` and `blobs`.
    :param names: possible names of the image; `index.json` must have one of them. Empty where the layout has one image.
    :raises Fault: if it is not a layout, or does not hold exactly one image of these names.
    """

    at_once = 1

    def __init__(self, files: LayoutFiles, names: Collection[str] = ()) -> None:
        self._files = files
        self.reference = ":".join((str(files), *list(names)[:1]))
        self._top = self._entry(frozenset(names))

    def _entry(self, names: frozenset[str]) -> Mapping[str, Any]:
        content = self._read("index.json", MAX_MANIFEST_BYTES)
        if content is None:
            raise Fault(f"{self._files} has no index.json", "Use the path of an OCI image layout.")
        try:
            entries = [e for e in json.loads(content)["manifests"] if is_digest(e["digest"])]
            held = [_names(e) for e in entries]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
            raise Fault(
                f"{self._files} has an index.json that is not the index of an OCI image layout",
                "Create the layout again.",
            ) from e
        # One image may have several names.
        fitting = {e["digest"]: e for e, known in zip(entries, held, strict=True) if not names or names & set(known)}
        if len(fitting) != 1:
            with_name = f" with the name {' or '.join(sorted(names))}" if names else ""
            held_names = ", ".join(sorted({known[-1] for known in held if known})) or "no named image"
            raise Fault(
                f"{self._files} holds {len(fitting)} images{with_name}; it holds {held_names}",
                "Append a colon and one of these names to the path.",
            )
        entry: Mapping[str, Any] = next(iter(fitting.values()))
        return entry

    def _read(self, name: str, limit: int) -> bytes | None:
        try:
            file = self._files.open(name)
            if file is None:
                return None
            with file:
                return file.read(limit)
        except OSError as e:
            raise Fault(f"{self._files}/{name}: {e.strerror or e}") from e

    def resolve(self) -> Resolved:
        """The document that `index.json` references."""
        digest = self._top["digest"]
        content = self._read(_blob(digest), MAX_MANIFEST_BYTES + 1)
        media_type = str(self._top.get("mediaType", ""))
        return Resolved(None if content is None else Document(media_type, digest, content))

    def manifest(self, descriptor: Descriptor) -> Document | None:
        """The document of an index's child."""
        content = self._read(_blob(descriptor.digest), MAX_MANIFEST_BYTES + 1)
        return None if content is None else Document(descriptor.media_type, descriptor.digest, content)

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
        file = self._files.open(_blob(descriptor.digest))
        return closing(chunks(file)) if file else nullcontext()


def chunks(file: IO[bytes]) -> Generator[bytes, None, None]:
    """A file's bytes, chunk by chunk. The file is closed at the end.

    :param file: the file, open for reading.
    """
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}" if is_digest(digest) else "blobs/none"


def _names(entry: Mapping[str, Any]) -> Sequence[str]:
    annotations = entry.get("annotations") or {}
    return [str(annotations[key]) for key in _NAMES if annotations.get(key)]
