"""The facts that the bytes of an image's layers give; `checks/layer_bytes` and `checks/start` judge them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..image.model import Image
from ..rules.engines import Engine
from .file_system import FileSystem
from .unpack_errors import UnpackError


@dataclass(frozen=True)
class Reading:
    """A layer as an engine reads it.

    :param diff_id: the digest of the bytes that the decoder gave; empty where a limit was exceeded.
    :param unpacked: the number of bytes that the layer unpacks to.
    :param entries: the number of entries in the tar.
    :param stream_error: the error of the engine's decoder at the end of the stream; empty where there is none.
    :param complete: whether the tar was read to its end.
    :param unpack_errors: what stops the engines while they unpack the tar, in order.
    :param limit_exceeded: which limit it exceeds, in words; empty where it exceeds none.
    """

    diff_id: str
    unpacked: int
    entries: int
    stream_error: str = ""
    complete: bool = False
    unpack_errors: tuple[UnpackError, ...] = ()
    limit_exceeded: str = ""

    def stream_error_for(self, engine: Engine) -> str:
        """The engine's error at the end of the stream; empty where it accepts the stream."""
        return "" if self.complete and engine.ignores_end else self.stream_error

    def unpack_errors_for(self, engine: Engine, *, first: bool) -> list[UnpackError]:
        """The errors that stop the engine while it unpacks the tar.

        :param first: whether this is the image's first layer.
        """
        return [error for error in self.unpack_errors if error.stops(engine.unpacker, first=first)]

    def unpacks(self, engine: Engine, *, first: bool) -> bool:
        """Whether the engine unpacks the layer to its end."""
        stopped = self.limit_exceeded or self.stream_error_for(engine) or self.unpack_errors_for(engine, first=first)
        return self.complete and not stopped


@dataclass(frozen=True)
class LayerFacts:
    """The facts that one blob's bytes give.

    :param digest: the digest of the bytes; empty where they were not all read.
    :param size: the number of bytes.
    :param compression: its compression by its first bytes: `gzip`, `zstd`, `bzip2`, `xz` or `none`.
    :param readings: by interpretation; an engine that reads the blob as it is interprets it as `none`.
    """

    digest: str
    size: int
    compression: str
    readings: Mapping[str, Reading]

    def reading(self, engine: Engine, media_type: str) -> Reading | None:
        """The layer as this engine reads it; None where it does not read it."""
        return self.readings.get(interpretation(engine, media_type, self.compression))


# The layers that an engine unpacks, bottom first: the digest of each, and its interpretation.
Stack = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Contents:
    """The facts that the bytes of an image's layers give.

    :param layers: by digest; None where the source does not have the blob.
    :param file_systems: the file systems that the layers make, by the layers that make them.
    """

    layers: Mapping[str, LayerFacts | None]
    file_systems: Mapping[Stack, FileSystem]

    def file_system(self, image: Image, engine: Engine) -> FileSystem | None:
        """The file system that the engine makes of the layers; None where it cannot unpack them all."""
        return self.file_systems.get(stack_of(image, engine, self.layers))


def interpretation(engine: Engine, media_type: str, compression: str) -> str:
    """The compression that an engine decodes a blob with; empty where it does not read the blob at all.

    :param media_type: the layer's media type in the manifest.
    :param compression: the blob's compression by its first bytes.
    """
    reads = engine.reads(media_type)
    if reads is None:
        return ""
    return compression if reads == "sniffed" and compression in engine.decoders else "none"


def stack_of(image: Image, engine: Engine, layers: Mapping[str, LayerFacts | None]) -> Stack:
    """The layers that the engine unpacks; empty where it cannot unpack one of them."""
    stack: list[tuple[str, str]] = []
    for layer in image.layers:
        if engine.counts(layer.media_type):
            facts = layers.get(layer.digest)
            reading = facts and facts.reading(engine, layer.media_type)
            if not facts or not reading or facts.digest != layer.digest:
                return ()
            if not reading.unpacks(engine, first=not stack):
                return ()
            stack.append((layer.digest, interpretation(engine, layer.media_type, facts.compression)))
    return tuple(stack)
