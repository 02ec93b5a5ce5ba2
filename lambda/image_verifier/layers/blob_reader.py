"""One blob, streamed with bounded memory: hashed, decompressed and unpacked as each of the engines would do it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from ..faults import Fault
from ..image.model import Descriptor
from ..rules.engines import Engine
from ..sources import Source
from . import decompression, decompressors, tar, tar_headers, unpack_errors
from .facts import LayerFacts, Reading, interpretation
from .file_tree import Folder
from .stream import Stream
from .unpacking import UnpackedLayer

# How often the names in memory are counted.
_COUNT_EVERY: Final = 1 << 12

# An engine and the media type that a manifest gives the blob: one of the ways to read it.
Reader = tuple[Engine, str]


@dataclass(frozen=True)
class Limits:
    """The limits for reading the layers of one image.

    :param unpacked: bytes of all layers, unpacked. A Fargate task has at most 200 GiB for the compressed and the
        unpacked image and everything else:
        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html
    :param entries: files, folders and links in one layer. ext4 has one inode for each 16 KiB, so the largest storage
        of a Fargate task holds 13 million.
    :param nodes: names that are held in memory at once, at some 130 bytes each.
    :param copies: names that are copied because an image has a layer several times.
    """

    unpacked: int = 100 << 30
    entries: int = 10_000_000
    nodes: int = 800_000
    copies: int = 4_000_000


def out_of_time() -> Fault:
    """The fault for layers that are not read in time."""
    return Fault(
        "The layers could not all be read in the available time",
        "Deploy again. If the error persists, give the ImageVerifier a longer timeout or more memory, or set "
        "verify_layers=False.",
    )


class Stopped(Exception):
    """Another layer has failed, so nobody waits for this one."""


class LimitExceeded(Exception):
    """The layer costs more than it may; the message says what."""


class _Hash:
    """A SHA-256 that another thread updates while the next bytes are made, where a core is free for it."""

    def __init__(self, work: BlobReader) -> None:
        self._work, self._hash = work, hashlib.sha256()
        self._pending: Future[None] | None = None

    def update(self, data: bytes) -> None:
        """Hash these bytes next."""
        if self._pending:
            self._pending.result()
            self._pending = None
        if self._work.cores_are_taken:
            # At once, while the bytes are in this core's cache.
            self._hash.update(data)
        else:
            self._pending = self._work.hashing.submit(self._hash.update, data)

    def digest(self) -> str:
        """The digest as registries write it."""
        if self._pending:
            self._pending.result()
        return "sha256:" + self._hash.hexdigest()


class _Chunks:
    """A stream of bytes that counts and hashes what passes through it."""

    def __init__(self, chunks: Iterator[bytes], work: BlobReader, digest: _Hash | None) -> None:
        self._chunks, self._work, self._digest = chunks, work, digest
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._work.check_time()
            self.size += len(chunk)
            if self.size > self._work.limits.unpacked:
                raise LimitExceeded(f"it is larger than {self._work.limits.unpacked >> 30} GiB")
            if self._digest:
                self._digest.update(chunk)
            yield chunk

    def drain(self) -> None:
        """Read the rest."""
        for _ in self:
            pass


@dataclass
class BlobReader:
    """Reads the blobs of one image's layers, and counts what that has cost so far.

    :param ends_at: the moment, on `time.monotonic`, after which nothing more is read.
    :param hashing: the threads that hash.
    :param cores: the number of cores.
    :param to_read: the number of layers that are not read yet.
    :ivar stop: set when nobody waits for the layers any longer.
    """

    source: Source
    limits: Limits
    ends_at: float
    hashing: ThreadPoolExecutor
    cores: int
    to_read: int
    stop: threading.Event = field(default_factory=threading.Event)
    _unpacked: int = 0
    _nodes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cores_are_taken(self) -> bool:
        """Whether every core has a layer left to read."""
        return self.to_read >= self.cores

    def check_time(self) -> None:
        """:raises Fault: if the time is over."""
        if self.stop.is_set():
            raise Stopped
        if time.monotonic() > self.ends_at:
            raise out_of_time()

    def read(self, layer: Descriptor, readers: set[Reader]) -> tuple[LayerFacts | None, dict[str, Folder]]:
        """Read one blob as each of the readers does.

        :returns: the facts, or None where the source does not have the blob, and the unpacked folder by interpretation.
        """
        try:
            return self._read(layer, readers)
        finally:
            with self._lock:
                self.to_read -= 1

    def _read(self, layer: Descriptor, readers: set[Reader]) -> tuple[LayerFacts | None, dict[str, Folder]]:
        digest, size, compression = "", 0, ""
        readings: dict[str, Reading] = {}
        folders: dict[str, Folder] = {}
        passes: list[tuple[str, bool]] = []
        while not readings or passes:
            with self.source.open(layer) as chunks:
                if chunks is None:
                    return None, {}
                hashed = None if readings else _Hash(self)
                blob = _Chunks(chunks, self, hashed)
                source = decompression.ByteStream(blob)
                if not passes:
                    compression = decompression.compression_of(source.peek(10))
                    interpretations = {interpretation(*reader, compression) for reader in readers}
                    passes = [(each, decompressors.EXACT) for each in sorted(interpretations)]
                interpreted_as, exact = passes.pop()
                try:
                    reading, folders[interpreted_as] = self._reading(source, interpreted_as, exact)
                except decompression.Inexact:
                    passes.append((interpreted_as, True))
                    continue
                readings[interpreted_as] = reading
                if hashed:
                    digest, size = "" if reading.limit_exceeded else hashed.digest(), blob.size
        # The digest of the blob is also the diff_id of a layer that is read as it is.
        if "none" in readings:
            readings["none"] = replace(readings["none"], diff_id=digest)
        return LayerFacts(digest, size, compression, readings), folders

    def _reading(self, source: decompression.ByteStream, compression: str, exact: bool) -> tuple[Reading, Folder]:
        digest = _Hash(self) if compression != "none" else None
        chunks = _Chunks(self._counted(decompression.unpacked(source, compression, exact=exact)), self, digest)
        layer, outcome = UnpackedLayer(), _Outcome()
        with outcome.noting_errors():
            self._unpack(Stream(chunks), layer, outcome)
        self._count(layer, 0)
        for rest in (chunks, source):
            if not outcome.limit_exceeded:
                with outcome.noting_errors():
                    rest.drain()
        reading = Reading(
            diff_id=digest.digest() if digest and not outcome.limit_exceeded else "",
            unpacked=chunks.size,
            entries=outcome.entries,
            stream_error=outcome.stream_error,
            complete=outcome.complete,
            unpack_errors=tuple(layer.errors),
            limit_exceeded=outcome.limit_exceeded,
        )
        return reading, layer.root

    def _unpack(self, stream: Stream, layer: UnpackedLayer, outcome: _Outcome) -> None:
        entries = 0
        try:
            for entry in tar.entries(stream):
                entries += 1
                layer.add(entry, stream)
                if not entries % _COUNT_EVERY or layer.nodes > _COUNT_EVERY:
                    self._count(layer, entries)
                if not entry.stored:
                    self._spend(entry.size)
            outcome.complete = True
        except tar_headers.TarError as e:
            layer.report(unpack_errors.invalid_tar(str(e), entries))
        finally:
            outcome.entries = entries

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._spend(len(piece))
            yield piece

    def _spend(self, unpacked: int) -> None:
        with self._lock:
            self._unpacked += unpacked
            if self._unpacked > self.limits.unpacked:
                raise LimitExceeded(f"the layers unpack to more than {self.limits.unpacked >> 30} GiB")

    def _count(self, layer: UnpackedLayer, entries: int) -> None:
        if entries > self.limits.entries:
            raise LimitExceeded(f"it has more than {self.limits.entries} entries")
        with self._lock:
            self._nodes += layer.nodes
            layer.nodes = 0
            if self._nodes > self.limits.nodes:
                raise Fault(
                    f"The image has more than {self.limits.nodes} files, which the verifier cannot hold in memory",
                    "Remove files that the image does not need, or verify the image without its layers.",
                )


@dataclass
class _Outcome:
    """How the reading of a layer ended."""

    entries: int = 0
    complete: bool = False
    stream_error: str = ""
    limit_exceeded: str = ""

    @contextmanager
    def noting_errors(self) -> Iterator[None]:
        """Keep the errors of the stream that are facts about the layer."""
        try:
            yield
        except decompression.Broken as e:
            self.stream_error = str(e)
        except LimitExceeded as e:
            self.limit_exceeded = str(e)
