"""A source that counts the bytes of layers that are read of it, for a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from image_verifier.image.model import Blob, Descriptor, Document
from image_verifier.sources import Resolved, Source

from .targets import Target

if TYPE_CHECKING:
    from .docker_push import Push


def counted(target: Target, expect: Callable[[int], None], advance: Callable[[int], None]) -> Target:
    """The target, whose image reports how many bytes of its layers were read.

    :param target: the image.
    :param expect: called with the compressed size of all layers, as soon as it is known.
    :param advance: called with the size of each chunk, from any thread.
    """
    open_pushes = target.open_pushes

    def counted_pushes() -> tuple[Push, ...]:
        assert open_pushes
        return tuple(replace(push, open=_counting(push.open)) for push in open_pushes())

    def _counting(open_: Callable[[], Source]) -> Callable[[], Source]:
        return lambda: _CountedSource(open_(), expect, advance)

    return replace(target, open=_counting(target.open), open_pushes=open_pushes and counted_pushes)


@dataclass(frozen=True)
class _CountedSource:
    source: Source
    expect: Callable[[int], None]
    advance: Callable[[int], None]

    @property
    def at_once(self) -> int:
        return self.source.at_once

    @property
    def reference(self) -> str:
        return self.source.reference

    def resolve(self) -> Resolved:
        return self.source.resolve()

    def manifest(self, descriptor: Descriptor) -> Document | None:
        return self.source.manifest(descriptor)

    def blob(self, descriptor: Descriptor, limit: int) -> bytes | None:
        return self.source.blob(descriptor, limit)

    def availability(self, layers: Sequence[Descriptor]) -> Mapping[str, Blob]:
        self.expect(sum({layer.digest: layer.size for layer in layers}.values()))
        return self.source.availability(layers)

    def first_bytes(self, descriptor: Descriptor, count: int) -> bytes | None:
        return self.source.first_bytes(descriptor, count)

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Iterator[bytes] | None]:
        opened: AbstractContextManager[Iterator[bytes] | None] = self.source.open(descriptor)
        with opened as chunks:
            yield chunks and self._each(chunks)

    def _each(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.advance(len(chunk))
            yield chunk
