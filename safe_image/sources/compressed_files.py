"""Decompresses files as `docker load` does: gzip, bzip2, xz and zstd, recognized by their first bytes.

https://github.com/moby/go-archive/blob/main/compression/compression_detect.go
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final, Protocol

from image_verifier.faults import Fault

_CHUNK: Final = 1 << 20
_GZIP_WINDOW: Final = 31
# A larger dictionary than the xz tool's highest preset needs, and far below what a hostile file may request.
_MAX_XZ_BYTES: Final = 256 * 1024**2


class _Decompressor(Protocol):
    """The interface that bz2, lzma and zstd have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """zlib's decoder behind the interface of the others."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(_GZIP_WINDOW)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return not self._decoder.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)


def _bzip2() -> Any:
    return importlib.import_module("bz2").BZ2Decompressor()


def _xz() -> Any:
    lzma = importlib.import_module("lzma")
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_XZ_BYTES)


def _zstd() -> Any:
    try:
        module = importlib.import_module("compression.zstd")
    except ImportError:
        module = importlib.import_module("backports.zstd")
    return module.ZstdDecompressor()


@dataclass(frozen=True)
class FileCompression:
    """A format of compressed files.

    :param name: such as `gzip`.
    :param magic: the first bytes of its files.
    :param program: the command that decompresses a file.
    :param decoder: makes a decoder of one stream or frame; None where Docker does not read the format either.
    """

    name: str
    magic: bytes
    program: str
    decoder: Callable[[], _Decompressor] | None = None


_COMPRESSIONS: Final = (
    FileCompression("gzip", b"\x1f\x8b", "gunzip", _Gzip),
    FileCompression("bzip2", b"BZh", "bunzip2", _bzip2),
    FileCompression("xz", b"\xfd7zXZ\x00", "unxz", _xz),
    FileCompression("zstd", b"\x28\xb5\x2f\xfd", "unzstd", _zstd),
    FileCompression("lz4", b"\x04\x22\x4d\x18", "unlz4"),
    FileCompression("lzip", b"LZIP", "lzip --decompress"),
    FileCompression("compress", b"\x1f\x9d", "uncompress"),
    FileCompression("zip", b"PK\x03\x04", "unzip"),
    FileCompression("7-Zip", b"7z\xbc\xaf\x27\x1c", "7z x"),
)
# The number of bytes that `file_compression` needs.
MAGIC_BYTES: Final = max(len(one.magic) for one in _COMPRESSIONS)


def file_compression(start: bytes) -> FileCompression | None:
    """The format of a file; None where it is not compressed in a known format.

    :param start: its first `MAGIC_BYTES` bytes, or all of a shorter file.
    """
    return next((one for one in _COMPRESSIONS if start.startswith(one.magic)), None)


def decompressed(file: IO[bytes], compression: FileCompression, name: str) -> Iterator[bytes]:
    """A file's decompressed bytes, chunk by chunk.

    :param file: the file, at its beginning. It stays open.
    :param compression: its format.
    :param name: its name in messages.
    :raises Fault: if it cannot be decompressed here, or is damaged; the message names the program that can.
    """
    try:
        # The decoders of bzip2, xz and zstd are missing from some builds of Python.
        decoder = compression.decoder() if compression.decoder else None
    except ImportError:
        decoder = None
    if decoder is None or compression.decoder is None:
        raise Fault(
            f"{name} is compressed with {compression.name}, which safe-image cannot decompress here",
            f"Decompress it first: {compression.program} {name}",
        )
    try:
        yield from _streams(file, compression.decoder)
    except Fault:
        raise
    except Exception as e:
        # Each decoder has errors of its own: zlib.error, lzma.LZMAError, zstd.ZstdError, and OSError for bzip2.
        why = "it breaks off" if isinstance(e, EOFError) else getattr(e, "strerror", None) or e
        raise Fault(f"{name} cannot be decompressed with {compression.name}: {why}", "Create the file again.") from e


def _streams(file: IO[bytes], new: Callable[[], _Decompressor]) -> Iterator[bytes]:
    """All streams of a file, one after the other, as the tools write them in parallel."""
    decoder, data = new(), file.read(_CHUNK)
    while data:
        while True:
            chunk = decoder.decompress(data, _CHUNK)
            data = b""
            if chunk:
                yield chunk
            if decoder.eof or decoder.needs_input:
                break
        if decoder.eof:
            # Zeros may fill up the last block.
            data = (decoder.unused_data or file.read(_CHUNK)).lstrip(b"\0")
            while not data and (more := file.read(_CHUNK)):
                data = more.lstrip(b"\0")
            decoder = new() if data else decoder
        else:
            data = file.read(_CHUNK)
    if not decoder.eof:
        raise EOFError
