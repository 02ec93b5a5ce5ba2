"""An image in a folder: the OCI image layout.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any, Final

from ..findings import Fault
from ..image import MAX_MANIFEST_BYTES, Blob, Descriptor, Document, is_digest
from . import Resolved

_REF_NAME: Final = "org.opencontainers.image.ref.name"
_CHUNK: Final = 1 << 20


class OciLayout:
    """One image of an OCI image layout.

    :param path: the folder that holds `index.json` and `blobs`.
    :param tag: the `org.opencontainers.image.ref.name` of the image; None where the layout has only one.
    :raises Fault: if the folder is not a layout, or does not hold the one image that was asked for.
    """

    def __init__(self, path: Path, tag: str | None = None) -> None:
        self._path = path
        self._tag = tag
        self.reference = f"oci-layout:{path}" + (f":{tag}" if tag else "")
        self._top = self._entry()

    def _entry(self) -> Mapping[str, Any]:
        index = self._path / "index.json"
        try:
            with index.open("rb") as file:
                document = json.loads(file.read(MAX_MANIFEST_BYTES))
            entries = [e for e in document["manifests"] if is_digest(e["digest"])]
            names = [e.get("annotations", {}).get(_REF_NAME, "") for e in entries]
        except OSError as e:
            raise Fault(f"{index}: {e.strerror or e}", "Name a folder that holds an OCI image layout.") from e
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise Fault(f"{index} is not the index of an OCI image layout", "Make the layout again.") from e
        fitting = [e for e, name in zip(entries, names, strict=True) if self._tag in (None, name)]
        if len(fitting) != 1:
            held = ", ".join(sorted(filter(None, names))) or "no named image"
            raise Fault(
                f"{self._path} holds {len(fitting)} images of that name; it holds {held}",
                f"Write oci-layout:{self._path}:NAME with one of these names.",
            )
        entry: Mapping[str, Any] = fitting[0]
        return entry

    def _file(self, digest: str) -> Path:
        return self._path.joinpath("blobs", *digest.split(":")) if is_digest(digest) else self._path / "blobs" / "none"

    def _read(self, digest: str, limit: int) -> bytes | None:
        try:
            with self._file(digest).open("rb") as file:
                return file.read(limit)
        except FileNotFoundError:
            return None
        except OSError as e:
            raise Fault(f"{self._file(digest)}: {e.strerror or e}") from e

    def resolve(self) -> Resolved:
        """The document that `index.json` names."""
        digest = self._top["digest"]
        content = self._read(digest, MAX_MANIFEST_BYTES + 1)
        media_type = str(self._top.get("mediaType", ""))
        return Resolved(None if content is None else Document(media_type, digest, content))

    def manifest(self, descriptor: Descriptor) -> Document | None:
        """The document that an index's child names."""
        content = self._read(descriptor.digest, MAX_MANIFEST_BYTES + 1)
        return None if content is None else Document(descriptor.media_type, descriptor.digest, content)

    def blob(self, descriptor: Descriptor, limit: int) -> bytes | None:
        """A small blob, at most `limit + 1` bytes of it."""
        return self._read(descriptor.digest, limit + 1)

    def availability(self, layers: Sequence[Descriptor]) -> Mapping[str, Blob]:
        """Which blobs are files here, and how large they are."""
        return {layer.digest: self._availability(layer.digest) for layer in layers}

    def _availability(self, digest: str) -> Blob:
        try:
            return Blob(True, self._file(digest).stat().st_size, "AVAILABLE")
        except FileNotFoundError:
            return Blob(False, None, "UNAVAILABLE")

    def first_bytes(self, descriptor: Descriptor, count: int) -> bytes | None:
        """A blob's first bytes."""
        return self._read(descriptor.digest, count)

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes] | None]:
        """A layer's bytes as a stream of chunks."""
        return closing(self._chunks(descriptor.digest)) if self._file(descriptor.digest).exists() else nullcontext()

    def _chunks(self, digest: str) -> Generator[bytes, None, None]:
        with self._file(digest).open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
