"""Where bytes come from: one protocol, one module for each kind of source. A source never judges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from ..image import Blob, Descriptor, Document


@dataclass(frozen=True)
class Resolved:
    """What a reference points at.

    :param document: the index or manifest; None where there is nothing, or nothing that can be had.
    :param status: the registry's own word for the image, such as `ACTIVE` or `ARCHIVED`.
    """

    document: Document | None
    status: str = "ACTIVE"


class Source(Protocol):
    """A place that holds one image. Every method raises `Fault` when it cannot tell."""

    @property
    def reference(self) -> str:
        """The image's name as people write it."""

    def resolve(self) -> Resolved:
        """What the reference points at."""

    def manifest(self, descriptor: Descriptor) -> Document | None:
        """The document that an index's child names; None where it is not there."""

    def blob(self, descriptor: Descriptor, limit: int) -> bytes | None:
        """A small blob, at most `limit + 1` bytes of it; None where it is not there."""

    def availability(self, layers: Sequence[Descriptor]) -> Mapping[str, Blob]:
        """What is known of these blobs without reading them, by digest; empty where nothing is."""

    def first_bytes(self, descriptor: Descriptor, count: int) -> bytes | None:
        """A blob's first bytes, fewer where it is shorter; None where it is not there."""

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes] | None]:
        """A layer's bytes as a stream of chunks; None where it is not there."""
