"""Reads the layers of an image: each is streamed once, in parallel, with bounded memory, and gives facts."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from contextlib import contextmanager
from typing import Final

from ..faults import Fault
from ..image.model import Descriptor, Image, is_digest
from ..pool import Pool
from ..rules.engines import Engine
from ..sources import Source
from .blob_reader import BlobReader, Limits, Reader, out_of_time
from .facts import Contents, LayerFacts, Stack, stack_of
from .file_system import FileSystem
from .file_tree import Folder, copy_of

# More layers at once would need more memory than a small Lambda has.
_MAX_AT_ONCE: Final = 8
# One image's layers at a time: the bound on memory is the process's, not the image's.
_ONE_AT_A_TIME: Final = threading.Lock()


def read_layers(
    image: Image,
    source: Source,
    engines: Sequence[Engine],
    limits: Limits | None = None,
    ends_at: float = math.inf,
) -> Contents:
    """Stream every layer that one of the engines unpacks; all of them again if one does not match its digest.

    :param limits: what the layers may cost. A layer that costs more becomes a fact, or a fault where nothing would
        be known.
    :param ends_at: the moment, on `time.monotonic`, after which nothing more is read, which is a fault.
    :raises Fault: if the source fails, if it gives other bytes at the second reading, or if a layer cannot be read here
        though an engine might read it.
    """
    limits = limits or Limits()
    contents = _read_once(image, source, engines, limits, ends_at)
    wrong = _wrong_layers(contents)
    if not wrong:
        return contents
    # The network may have changed the bytes. The first reading is dropped before the second, which is as large.
    del contents
    contents = _read_once(image, source, engines, limits, ends_at)
    for digest, facts in _wrong_layers(contents).items():
        blob = image.blobs.get(digest)
        changed = wrong.get(digest) != facts
        if changed or (blob and blob.size not in (None, facts.size)):
            raise Fault(
                f"The download of {digest} has neither the bytes nor the size of the layer",
                "Check the network: a proxy or a firewall may have answered.",
            )
    return contents


def _wrong_layers(contents: Contents) -> Mapping[str, LayerFacts]:
    """The layers whose bytes do not match their digest."""
    return {d: facts for d, facts in contents.layers.items() if facts and facts.digest not in ("", d)}


def _read_once(image: Image, source: Source, engines: Sequence[Engine], limits: Limits, ends_at: float) -> Contents:
    readers = _readers(image, engines)
    # The largest first, so that none of them is left for the end.
    order = sorted(readers.values(), key=lambda wanted: -wanted[0].size)
    workers = min(_cores(), _MAX_AT_ONCE)
    with _one_at_a_time(ends_at), Pool(workers, "layers") as pool, Pool(workers, "hashing") as hashing:
        work = BlobReader(source, limits, ends_at, hashing, cores=workers, to_read=len(order))
        futures = {layer.digest: pool.submit(work.read, layer, readers) for layer, readers in order}
        try:
            seconds = max(0.0, ends_at - time.monotonic()) if ends_at < math.inf else None
            done, running = wait(futures.values(), seconds, FIRST_EXCEPTION)
            for future in done:
                future.result()
            if running:
                # A download that trickles in holds its thread, and must not hold the layers of the next event, too.
                raise out_of_time()
        except BaseException:
            # Nobody waits for the others.
            work.stop.set()
            raise
        results = {digest: future.result() for digest, future in futures.items()}
    layers = {digest: facts for digest, (facts, _) in results.items()}
    folders = {digest: unpacked for digest, (_, unpacked) in results.items()}
    stacks = {stack_of(image, engine, layers) for engine in engines}
    return Contents(layers, _file_systems(stacks, folders, work.limits.copies))


@contextmanager
def _one_at_a_time(ends_at: float) -> Iterator[None]:
    seconds = ends_at - time.monotonic()
    if not _ONE_AT_A_TIME.acquire(timeout=min(max(0.0, seconds), threading.TIMEOUT_MAX)):
        raise out_of_time()
    try:
        yield
    finally:
        _ONE_AT_A_TIME.release()


def _readers(image: Image, engines: Sequence[Engine]) -> Mapping[str, tuple[Descriptor, set[Reader]]]:
    """The layers that are worth streaming, by digest, each with the engines that read it."""
    readers: dict[str, tuple[Descriptor, set[Reader]]] = {}
    for layer in image.layers:
        blob = image.blobs.get(layer.digest)
        counting = {(engine, layer.media_type) for engine in engines if engine.counts(layer.media_type)}
        reading = {(engine, media_type) for engine, media_type in counting if engine.reads(media_type)}
        if reading and is_digest(layer.digest) and (blob is None or blob.available):
            readers.setdefault(layer.digest, (layer, set()))[1].update(reading)
    return readers


def _cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _file_systems(
    stacks: set[Stack], folders: Mapping[str, dict[str, Folder]], max_copies: int
) -> Mapping[Stack, FileSystem]:
    copies = 0
    uses = Counter(layer for stack in stacks for layer in stack)
    file_systems: dict[Stack, FileSystem] = {}
    for stack in stacks - {()}:
        file_system = file_systems[stack] = FileSystem()
        for digest, interpretation in stack:
            uses[digest, interpretation] -= 1
            folder = folders[digest][interpretation]
            if uses[digest, interpretation]:
                folder, names = copy_of(folder)
                copies += names
                if copies > max_copies:
                    raise Fault(
                        f"The image has layers several times, which makes more than {max_copies} files of them",
                        "Remove the repeated layers, or verify the image without its layers.",
                    )
            else:
                del folders[digest][interpretation]
            file_system.lay_over(folder, digest)
        file_system.mount()
    return file_systems
