"""The sources of images: one protocol, and one module for each kind of source. A source never judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from ..image.model import Blob, Descriptor, Document
from ..pool import Pool


@dataclass(frozen=True)
class Resolved:
    """A resolved reference.

    :param document: the index or manifest; None if there is none, or if it cannot be read.
    :param status: the image's status in the registry, such as `ACTIVE` or `ARCHIVED`.
    """

    document: Document | None
    status: str = "ACTIVE"


class Source(Protocol):
    """A place that holds one image. Every method raises `Fault` if it cannot determine its result."""

    @property
    def at_once(self) -> int:
        """How many parts of the image may be requested at once; 1 for a source that never waits."""

    @property
    def reference(self) -> str:
        """The image's name, as people write it."""

    def resolve(self) -> Resolved:
        """Resolve the reference."""

    def manifest(self, descriptor: Descriptor) -> Document | None:
        """Read the document that an index's child references; None if it does not exist."""

    def blob(self, descriptor: Descriptor, limit: int) -> bytes | None:
        """Read a small blob, at most `limit + 1` bytes of it; None if it does not exist."""

    def availability(self, layers: Sequence[Descriptor]) -> Mapping[str, Blob]:
        """The facts that are known about these blobs without reading them, by digest; empty if there are none."""

    def first_bytes(self, descriptor: Descriptor, count: int) -> bytes | None:
        """Read a blob's first bytes, fewer if it is shorter; None if it does not exist."""

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes] | None]:
        """Stream a layer's bytes in chunks; None if it does not exist."""


def side_by_side(at_once: int) -> Executor:
    """An executor that requests several parts of an image.

    :param at_once: how many at once. For 1 it starts no threads, which cost more time than reading from a folder.
    """
    return Pool(at_once) if at_once > 1 else _InTurn()


class _InTurn(Executor):
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as e:
            done.set_exception(e)
        return done
