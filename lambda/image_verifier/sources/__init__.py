"""The sources of images: one protocol, and one module for each kind of source. A source never judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ..image.model import Blob, Descriptor, Document

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Result_co = TypeVar("_Result_co", covariant=True)


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


class Pending(Protocol[_Result_co]):
    """Work that may still run."""

    def result(self) -> _Result_co:
        """Wait for its result, or raise the exception that the work raised."""


class Workers(Protocol):
    """The workers that request several parts of an image."""

    def submit(self, work: Callable[[], _Result], /) -> Pending[_Result]:
        """Begin one piece of work."""

    def results(self, work: Callable[[_Item], _Result], items: Iterable[_Item], /) -> Iterator[_Result]:
        """The results of the work in the order of the items."""


def side_by_side(at_once: int) -> AbstractContextManager[Workers]:
    """The workers that request several parts of an image.

    :param at_once: how many at once. For 1 it starts no threads, which cost more time than reading from a folder.
    """
    if at_once == 1:
        return nullcontext(_InTurn())
    # Imported here: the command must start fast, and an image in a folder needs no threads.
    from ..pool import Pool

    return Pool(at_once)


class _Done:
    def __init__(self, value: Any) -> None:
        self._value = value

    def result(self) -> Any:
        return self._value


class _InTurn:
    def submit(self, work: Callable[[], Any], /) -> Pending[Any]:
        return _Done(work())

    def results(self, work: Callable[[Any], Any], items: Iterable[Any], /) -> Iterator[Any]:
        return map(work, items)
