"""What only the layers' bytes can tell: each is streamed once, in parallel, with bounded memory.

What comes out are facts; the checks in `checks/contents.py` and `checks/start.py` judge them.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Final

from ..faults import Fault
from ..image.model import Descriptor, Image, is_digest
from ..rules.engines import Engine
from ..sources import Source
from . import decompression, decompressors, tar
from .file_system import FileSystem, Folder, Layer, UnpackError, copied

# More layers at once would need more memory than a small Lambda has.
_MOST_AT_ONCE: Final = 8
# One image's layers at a time: the bound on memory is the process's, not the image's.
_ONE_AT_A_TIME: Final = threading.Lock()
# How often the names in memory are counted.
_COUNT_EVERY: Final = 1 << 12


@dataclass(frozen=True)
class Limits:
    """What the layers of one image may cost.

    :param unpacked: bytes of all layers, unpacked. A Fargate task has at most 200 GiB for the compressed and the
        unpacked image and everything else:
        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html
    :param entries: files, folders and links in one layer. ext4 has one inode for each 16 KiB, so the largest storage
        of a Fargate task holds 13 million.
    :param nodes: names that are held in memory at once, at some 130 bytes each.
    :param copies: names that are laid over others once more, where an image has a layer several times.
    """

    unpacked: int = 100 << 30
    entries: int = 10_000_000
    nodes: int = 800_000
    copies: int = 4_000_000


@dataclass(frozen=True)
class Reading:
    """A layer as an engine reads it.

    :param diff_id: the digest of the bytes that the decoder gave; empty where reading was given up.
    :param unpacked: the number of bytes that it unpacks to.
    :param entries: the number of entries in the tar.
    :param error: what the engine's decoder says of a stream that ends in an error; empty where it does not.
    :param whole: whether the tar was read to its end.
    :param troubles: what stops the engines while they unpack it, in order.
    :param excess: which limit it exceeds, in words; empty where it does not.
    """

    diff_id: str
    unpacked: int
    entries: int
    error: str = ""
    whole: bool = False
    troubles: tuple[UnpackError, ...] = ()
    excess: str = ""

    def error_for(self, engine: Engine) -> str:
        """What the engine says of the end of the stream; empty where it takes it."""
        return "" if self.whole and engine.ignores_end else self.error

    def troubles_for(self, engine: Engine, *, first: bool) -> list[UnpackError]:
        """What stops the engine while it unpacks the tar.

        :param first: whether this is the image's first layer.
        """
        return [trouble for trouble in self.troubles if trouble.stops(engine.family, first=first)]

    def unpacks(self, engine: Engine, *, first: bool) -> bool:
        """Whether the engine gets through it."""
        stuck = self.excess or self.error_for(engine) or self.troubles_for(engine, first=first)
        return self.whole and not stuck


@dataclass(frozen=True)
class LayerFacts:
    """What the bytes of one blob tell.

    :param digest: the digest of its bytes; empty where they were not all read.
    :param size: their number.
    :param compression: what it is by its first bytes: `gzip`, `zstd`, `bzip2`, `xz` or `none`.
    :param readings: by what it is taken for; an engine that reads it raw takes it for `none`.
    """

    digest: str
    size: int
    compression: str
    readings: Mapping[str, Reading]

    def reading(self, engine: Engine, media_type: str) -> Reading | None:
        """The layer as this engine reads it; None where it does not."""
        return self.readings.get(_taken_for(engine, media_type, self.compression))


# The layers that an engine unpacks, bottom first: the digest of each, and what it is taken for.
Stack = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Contents:
    """What the bytes of an image's layers tell.

    :param layers: by digest; None where the source does not have the blob.
    :param file_systems: what the layers make, by the layers that make it.
    """

    layers: Mapping[str, LayerFacts | None]
    file_systems: Mapping[Stack, FileSystem]

    def file_system(self, image: Image, engine: Engine) -> FileSystem | None:
        """What the engine makes of the layers; None where it cannot unpack them all."""
        return self.file_systems.get(_stack(image, engine, self.layers))


def _taken_for(engine: Engine, media_type: str, compression: str) -> str:
    """What the engine takes a blob for; empty where it does not read it at all."""
    reads = engine.reads(media_type)
    if reads is None:
        return ""
    return compression if reads == "sniffed" and compression in engine.decoders else "none"


def _stack(image: Image, engine: Engine, layers: Mapping[str, LayerFacts | None]) -> Stack:
    """The layers that the engine unpacks; none of them where one cannot be."""
    stack: list[tuple[str, str]] = []
    for layer in image.layers:
        if engine.counts(layer.media_type):
            facts = layers.get(layer.digest)
            reading = facts and facts.reading(engine, layer.media_type)
            if not facts or not reading or facts.digest != layer.digest:
                return ()
            if not reading.unpacks(engine, first=not stack):
                return ()
            stack.append((layer.digest, _taken_for(engine, layer.media_type, facts.compression)))
    return tuple(stack)


def read_layers(
    image: Image,
    source: Source,
    engines: Sequence[Engine],
    limits: Limits | None = None,
    ends_at: float = math.inf,
) -> Contents:
    """Stream every layer that one of the engines unpacks.

    :param limits: what the layers may cost; what costs more becomes a fact, or a fault where nothing can be told.
    :param ends_at: the moment, on `time.monotonic`, after which nothing more is read, which is a fault.
    :raises Fault: if the source cannot tell, or a layer cannot be read here though an engine might.
    """
    wanted: dict[str, tuple[Descriptor, set[tuple[Engine, str]]]] = {}
    for layer in image.layers:
        blob = image.blobs.get(layer.digest)
        ways = {(engine, layer.media_type) for engine in engines if engine.counts(layer.media_type)}
        ways = {(engine, media_type) for engine, media_type in ways if engine.reads(media_type)}
        if ways and is_digest(layer.digest) and (blob is None or blob.available):
            wanted.setdefault(layer.digest, (layer, set()))[1].update(ways)
    # The largest first, so that none of them is left for the end.
    order = sorted(wanted.values(), key=lambda layer_ways: -layer_ways[0].size)
    workers = min(_cores(), _MOST_AT_ONCE)
    with (
        _ONE_AT_A_TIME,
        ThreadPoolExecutor(workers, "layers") as pool,
        ThreadPoolExecutor(workers, "hashing") as hashing,
    ):
        work = _Work(source, limits or Limits(), ends_at, hashing, cores=workers, to_read=len(order))
        readers = {layer.digest: pool.submit(work.read, layer, ways) for layer, ways in order}
        try:
            for reader in wait(readers.values(), return_when=FIRST_EXCEPTION).done:
                reader.result()
        except BaseException:
            # Nobody waits for the others.
            work.stop.set()
            raise
        results = {digest: reader.result() for digest, reader in readers.items()}
    layers = {digest: facts for digest, (facts, _) in results.items()}
    folders = {digest: made for digest, (_, made) in results.items()}
    stacks = {_stack(image, engine, layers) for engine in engines}
    return Contents(layers, _file_systems(stacks, folders, work.limits.copies))


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _file_systems(
    stacks: set[Stack], folders: Mapping[str, dict[str, Folder]], most_copies: int
) -> Mapping[Stack, FileSystem]:
    copies = 0
    uses = Counter(layer for stack in stacks for layer in stack)
    made: dict[Stack, FileSystem] = {}
    for stack in stacks - {()}:
        made[stack] = FileSystem()
        for digest, compression in stack:
            uses[digest, compression] -= 1
            folder = folders[digest][compression]
            if uses[digest, compression]:
                folder, names = copied(folder)
                copies += names
                if copies > most_copies:
                    raise Fault(
                        f"The image has layers several times, which makes more than {most_copies} files of them",
                        "Leave the layers out that come again, or verify the image without its layers.",
                    )
            else:
                del folders[digest][compression]
            made[stack].lay_over(folder, digest)
        made[stack].mount()
    return made


class _Stopped(Exception):
    """Another layer has failed, and nobody waits for this one."""


class _Excess(Exception):
    """The layer costs more than it may; the message says what."""


class _Hash:
    """A SHA-256 on which another thread works while the next bytes are made, where a core is free for it."""

    def __init__(self, work: _Work) -> None:
        self._work, self._hash = work, hashlib.sha256()
        self._under_way: Future[None] | None = None

    def update(self, data: bytes) -> None:
        """Hash this next."""
        if self._under_way:
            self._under_way.result()
            self._under_way = None
        if self._work.cores_are_taken:
            # At once, while the bytes are in this core's cache.
            self._hash.update(data)
        else:
            self._under_way = self._work.hashing.submit(self._hash.update, data)

    def digest(self) -> str:
        """The digest as registries write it."""
        if self._under_way:
            self._under_way.result()
        return "sha256:" + self._hash.hexdigest()


class _Chunks:
    """Bytes on their way, counted and hashed as they go by."""

    def __init__(self, chunks: Iterator[bytes], work: _Work, digest: _Hash | None) -> None:
        self._chunks, self._work, self._digest = chunks, work, digest
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if self._work.stop.is_set():
                raise _Stopped
            if time.monotonic() > self._work.ends_at:
                raise Fault(
                    "The layers could not all be read in the time that there is for them",
                    "Deploy again; if it stays, give the ImageVerifier a longer timeout or more memory, or write "
                    "verify_layers=False.",
                )
            self.size += len(chunk)
            if self.size > self._work.limits.unpacked:
                raise _Excess(f"it has more than {self._work.limits.unpacked >> 30} GiB")
            if self._digest:
                self._digest.update(chunk)
            yield chunk

    def drain(self) -> None:
        """Let the rest go by."""
        for _ in self:
            pass


@dataclass
class _Work:
    """The reading of one image's layers, and what that has cost so far."""

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
        """Whether there are layers left for every core."""
        return self.to_read >= self.cores

    def read(self, layer: Descriptor, ways: set[tuple[Engine, str]]) -> tuple[LayerFacts | None, dict[str, Folder]]:
        """One blob, read in each of these ways, together with the folders that are made of it."""
        try:
            return self._read(layer, ways)
        finally:
            with self._lock:
                self.to_read -= 1

    def _read(self, layer: Descriptor, ways: set[tuple[Engine, str]]) -> tuple[LayerFacts | None, dict[str, Folder]]:
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
                source = decompression.Source(blob)
                if not passes:
                    compression = decompression.compression_of(source.peek(10))
                    taken = {_taken_for(engine, media_type, compression) for engine, media_type in ways}
                    passes = [(each, decompressors.EXACT) for each in sorted(taken)]
                taken_for, exact = passes.pop()
                try:
                    reading, folders[taken_for] = self._reading(source, taken_for, exact)
                except decompression.Inexact:
                    passes.append((taken_for, True))
                    continue
                readings[taken_for] = reading
                if hashed:
                    digest, size = "" if reading.excess else hashed.digest(), blob.size
        # What is read as it is has the digest of the blob.
        if "none" in readings:
            readings["none"] = replace(readings["none"], diff_id=digest)
        return LayerFacts(digest, size, compression, readings), folders

    def _reading(self, source: decompression.Source, compression: str, exact: bool) -> tuple[Reading, Folder]:
        digest = _Hash(self) if compression != "none" else None
        chunks = _Chunks(self._counted(decompression.unpacked(source, compression, exact=exact)), self, digest)
        stream = tar.Stream(chunks)
        layer = Layer()
        entries, whole, error, excess = 0, False, "", ""
        try:
            for entry in tar.entries(stream):
                entries += 1
                layer.add(entry, stream)
                if not entries % _COUNT_EVERY or layer.nodes > _COUNT_EVERY:
                    self._count(layer, entries)
                if not entry.stored:
                    self._spend(entry.size)
            whole = True
        except tar.TarError as e:
            layer.trouble(UnpackError.of_tar(str(e), entries))
        except decompression.Broken as e:
            error = str(e)
        except _Excess as e:
            excess = str(e)
        self._count(layer, 0)
        for rest in (chunks, source):
            try:
                if not excess:
                    rest.drain()
            except decompression.Broken as e:
                error = str(e)
            except _Excess as e:
                excess = str(e)
        diff_id = digest.digest() if digest and not excess else ""
        return Reading(diff_id, chunks.size, entries, error, whole, tuple(layer.troubles), excess), layer.root

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._spend(len(piece))
            yield piece

    def _spend(self, unpacked: int) -> None:
        with self._lock:
            self._unpacked += unpacked
            if self._unpacked > self.limits.unpacked:
                raise _Excess(f"the layers unpack to more than {self.limits.unpacked >> 30} GiB")

    def _count(self, layer: Layer, entries: int) -> None:
        if entries > self.limits.entries:
            raise _Excess(f"it has more than {self.limits.entries} entries")
        with self._lock:
            self._nodes += layer.nodes
            layer.nodes = 0
            if self._nodes > self.limits.nodes:
                raise Fault(
                    f"The image has more than {self.limits.nodes} files, which the verifier cannot hold in memory",
                    "Leave out of the image what it does not need, or verify it without its layers.",
                )
