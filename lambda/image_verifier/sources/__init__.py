"""Where bytes come from: one protocol, one module for each kind of source. A source never judges."""

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
    """What a reference points at.

    :param document: the index or manifest; None where there is nothing, or nothing that can be had.
    :param status: the registry's own word for the image, such as `ACTIVE` or `ARCHIVED`.
    """

    document: Document | None
    status: str = "ACTIVE"


class Source(Protocol):
    """A place that holds one image. Every method raises `Fault` when it cannot tell."""

    @property
    def at_once(self) -> int:
        """How many of its parts may be asked for at once; 1 where nothing is waited for."""

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


def side_by_side(at_once: int) -> Executor:
    """What asks for several parts of an image.

    :param at_once: how many at once. One after the other needs no threads, which cost more than what a folder gives.
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
