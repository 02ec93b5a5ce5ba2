"""Decompresses a layer as the engines' decoders do: Go's compress/gzip and klauspost's zstd.

Each of these generators yields the bytes that the engine's decoder returns. Where that decoder stops with an error, the
generator raises `Broken` with the decoder's message, after all bytes before the error. Members, frames, blocks and
trailers are parsed here, since their rules matter: what may follow a member, what a checksum is compared with, and
when.
https://github.com/golang/go/blob/master/src/compress/gzip/gunzip.go
https://github.com/klauspost/compress/blob/master/zstd/framedec.go
"""

from __future__ import annotations

import bz2
import lzma
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from typing import Final

from ..faults import Fault
from . import decompressors

UNEXPECTED_EOF: Final = "unexpected EOF"

# The most bytes that one step of a decoder returns: a small input cannot fill the memory, and the output is hashed
# while it is still in a core's cache.
_STEP: Final = 1 << 19
# A member starts with small pieces: some layers have thousands of members (eStargz), and for each of them the rest of
# its piece is copied.
_FIRST_PIECE: Final = 1 << 14

_GZIP_MAGIC: Final = b"\x1f\x8b\x08"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_FEXTRA, _FNAME, _FCOMMENT, _FHCRC = 4, 8, 16, 2
# klauspost's default limit, and ours: a decoder with a larger window could need more memory than a Lambda has.
_ZSTD_WINDOW_ENGINES: Final = 1 << 29
_ZSTD_WINDOW_HERE: Final = 1 << 27
_ZSTD_WINDOW_WIDE: Final = 1 << 24
_XZ_MEMORY: Final = 1 << 27
# Frames with a wide window are decoded one at a time, whatever the number of layers.
_WIDE: Final = threading.Lock()


class Broken(Exception):
    """The stream ends here with this error message of the engine."""


class Inexact(Exception):
    """The stream is broken, but the fast decoder does not report where: it must be read again with the exact one."""


class ByteStream:
    """A stream of chunks, read in any amounts."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._data = b""
        self._at = 0

    def peek(self, count: int) -> bytes:
        """The next bytes, which remain to be read; fewer only at the end."""
        while len(self._data) - self._at < count:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._data = self._data[self._at :] + chunk
            self._at = 0
        return self._data[self._at : self._at + count]

    def read(self, count: int) -> bytes:
        """The next bytes; fewer only at the end."""
        data = self.peek(count)
        self._at += len(data)
        return data

    def exactly(self, count: int) -> bytes:
        """The next bytes.

        :raises Broken: if there are fewer.
        """
        data = self.read(count)
        if len(data) < count:
            raise Broken(UNEXPECTED_EOF)
        return data

    def skip(self, count: int) -> None:
        """Skip the next bytes.

        :raises Broken: if there are fewer.
        """
        while count:
            piece = self.piece(count)
            if not piece:
                raise Broken(UNEXPECTED_EOF)
            count -= len(piece)

    def piece(self, most: int) -> bytes:
        """The bytes that are in memory, at most this many; empty only at the end."""
        self._fill()
        data = self._data
        if self._at or len(data) > most:
            data = data[self._at : self._at + most]
        self._at += len(data)
        return data

    def view(self, most: int) -> memoryview:
        """The same without a copy of them; it is valid until the next call."""
        self._fill()
        view = memoryview(self._data)[self._at : self._at + most]
        self._at += len(view)
        return view

    def _fill(self) -> None:
        """Have bytes in memory, unless this is the end."""
        while self._at == len(self._data):
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._data, self._at = chunk, 0

    def drain(self) -> None:
        """Skip the rest."""
        while self.piece(_STEP):
            pass

    def put_back(self, count: int) -> None:
        """Undo the reading of the last bytes that `piece` gave."""
        self._at -= count


def compression_of(first: bytes) -> str:
    """The compression of a blob by its first ten bytes, as dockerd detects it; containerd detects gzip and zstd.

    https://github.com/containerd/containerd/blob/main/pkg/archive/compression/compression.go, DetectCompression
    """
    if first.startswith(b"BZh"):
        return "bzip2"
    if first.startswith(_GZIP_MAGIC):
        return "gzip"
    if first.startswith(b"\xfd7zXZ\0"):
        return "xz"
    if first.startswith(_ZSTD_MAGIC) or (len(first) >= 8 and _is_skippable(first[:4])):
        return "zstd"
    return "none"


def unpacked(source: ByteStream, compression: str, *, exact: bool = decompressors.EXACT) -> Iterator[bytes]:
    """The bytes that the engine's decoder returns.

    :param compression: a result of `compression_of`.
    :param exact: whether to yield every byte before an error, at the speed of zlib.
    :raises Broken: where the engine's decoder stops.
    :raises Inexact: where it stops, if some bytes before that point are not known.
    :raises Fault: if the stream cannot be decoded here, though an engine might.
    """
    if compression == "gzip":
        return _gunzip(source, exact)
    return _DECODERS[compression](source)


def _as_it_is(source: ByteStream) -> Iterator[bytes]:
    while piece := source.piece(_STEP):
        yield piece


def _gunzip(source: ByteStream, exact: bool) -> Iterator[bytes]:
    _gzip_header(source, source.exactly(10))
    while True:
        yield from _gzip_member(source, exact)
        # One member may follow another, but nothing may follow the last one, not even zeros.
        following = source.read(10)
        if not following:
            return
        if len(following) < 10:
            raise Broken(UNEXPECTED_EOF)
        _gzip_header(source, following)


def _gzip_header(source: ByteStream, fixed: bytes) -> None:
    if not fixed.startswith(_GZIP_MAGIC):
        raise Broken("gzip: invalid header")
    flags, checked = fixed[3], fixed
    if flags & _FEXTRA:
        length = source.exactly(2)
        checked += length + source.exactly(int.from_bytes(length, "little"))
    for flag in (_FNAME, _FCOMMENT):
        if flags & flag:
            # Go's buffer for this text is 512 bytes long.
            text = source.peek(512)
            end = text.find(b"\0")
            if end < 0:
                raise Broken("gzip: invalid header" if len(text) == 512 else UNEXPECTED_EOF)
            checked += source.read(end + 1)
    if flags & _FHCRC and int.from_bytes(source.exactly(2), "little") != decompressors.crc32(checked, 0) & 0xFFFF:
        raise Broken("gzip: invalid header")


def _gzip_member(source: ByteStream, exact: bool) -> Iterator[bytes]:
    inflater = decompressors.inflater(exact=exact)
    crc = size = consumed = 0
    most = _FIRST_PIECE
    while not inflater.eof:
        piece = source.view(most)
        before = inflater.copy() if exact else None
        try:
            data = inflater.decompress(piece, _STEP)
        except decompressors.DeflateError:
            if before is None:
                raise Inexact from None
            data, offset = _until_it_breaks(before, piece)
            if data:
                yield data
            raise Broken(f"flate: corrupt input before offset {consumed + offset}") from None
        left = len(inflater.unused_data if inflater.eof else inflater.unconsumed_tail)
        source.put_back(left)
        consumed += len(piece) - left
        # The decoder copies the input that it leaves, so the next piece is what fills its output.
        most = len(piece) - left if left and len(data) == _STEP else min(2 * most, _STEP)
        if data:
            crc = decompressors.crc32(data, crc)
            size += len(data)
            yield data
        elif not piece:
            raise Broken(UNEXPECTED_EOF)
    if source.exactly(8) != struct.pack("<II", crc, size & 0xFFFFFFFF):
        raise Broken("gzip: invalid checksum")


def _until_it_breaks(inflater: decompressors.Inflater, piece: memoryview) -> tuple[bytes, int]:
    """The bytes that the decoder returns before its error, and how many bytes of this piece it reads until then."""
    data = bytearray()
    # Input of an earlier piece that the decoder has not used was put back, and begins this piece.
    left = b""
    for offset in range(len(piece)):
        try:
            data += inflater.decompress(left + piece[offset : offset + 1], _STEP)
        except decompressors.DeflateError:
            return bytes(data), offset + 1
        left = inflater.unconsumed_tail
    return bytes(data), len(piece)


def _is_skippable(magic: bytes) -> bool:
    return 0x184D2A50 <= int.from_bytes(magic, "little") <= 0x184D2A5F


def _unzstd(source: ByteStream) -> Iterator[bytes]:
    while magic := source.read(4):
        if len(magic) < 4:
            raise Broken(UNEXPECTED_EOF)
        if _is_skippable(magic):
            source.skip(int.from_bytes(source.exactly(4), "little"))
        elif magic == _ZSTD_MAGIC:
            yield from _zstd_frame(source)
        else:
            raise Broken("invalid input: magic number mismatch")


def _zstd_frame(source: ByteStream) -> Iterator[bytes]:
    """https://www.rfc-editor.org/rfc/rfc8878#name-zstandard-frames"""
    descriptor = source.exactly(1)
    flags = descriptor[0]
    if flags & 0x08:
        raise Broken("reserved bit set on frame header")
    single_segment = bool(flags & 0x20)
    window_descriptor = b"" if single_segment else source.exactly(1)
    dictionary = source.exactly((0, 1, 2, 4)[flags & 3])
    content_size = source.exactly((int(single_segment), 2, 4, 8)[flags >> 6])
    declared = int.from_bytes(content_size, "little") + 256 * (len(content_size) == 2) if content_size else None
    window = declared or 0
    if window_descriptor:
        base = 1 << (10 + (window_descriptor[0] >> 3))
        window = base + base // 8 * (window_descriptor[0] & 7)
        if window > _ZSTD_WINDOW_ENGINES:
            raise Broken("window size exceeded")
    if any(dictionary):
        raise Broken("unknown dictionary")
    if window > _ZSTD_WINDOW_HERE:
        raise Fault(
            f"A layer's zstd stream needs a window of {window >> 20} MiB, but the verifier supports at most "
            f"{_ZSTD_WINDOW_HERE >> 20} MiB",
            "Compress the layers without --long and --ultra, or verify the image without its layers.",
        )
    with _WIDE if window > _ZSTD_WINDOW_WIDE else nullcontext():
        decoder = decompressors.zstd_decoder()
        decoder.decompress(_ZSTD_MAGIC + descriptor + window_descriptor + dictionary + content_size)
        yield from _joined(_zstd_blocks(source, decoder, declared, checked=bool(flags & 0x04)))


def _zstd_blocks(
    source: ByteStream, decoder: decompressors.ZstdDecoder, declared: int | None, *, checked: bool
) -> Iterator[bytes]:
    """A frame's blocks, one at a time, and at their end the checksum where there is one."""
    size, last, checksum = 0, False, b""
    while not last:
        header = source.exactly(3)
        fields = int.from_bytes(header, "little")
        last, kind, length = bool(fields & 1), fields >> 1 & 3, fields >> 3
        if kind == 3:
            raise Broken("invalid input: reserved block type encountered")
        try:
            data = decoder.decompress(header + source.exactly(1 if kind == 1 else length))
        except decompressors.ZstdError:
            # klauspost has many messages for errors in a block, and only its own decoder knows which one applies.
            raise Broken("corrupt block") from None
        size += len(data)
        if declared is not None and size > declared:
            raise Broken("frame size exceeded")
        if last and checked:
            # klauspost reads it before it returns the last block, and compares it afterwards.
            checksum = source.exactly(4)
        yield data
    if declared is not None and size != declared:
        raise Broken("frame size does not match size on stream")
    try:
        if checked:
            decoder.decompress(checksum)
    except decompressors.ZstdError:
        raise Broken("CRC check failed") from None


def _joined(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Join the blocks, which are at most 128 KiB long, to larger pieces, which are processed faster."""
    pending: list[bytes] = []
    size = 0
    try:
        for block in blocks:
            pending.append(block)
            size += len(block)
            if size >= _STEP:
                piece, pending, size = b"".join(pending), [], 0
                yield piece
    except Broken:
        if size:
            yield b"".join(pending)
        raise
    if size:
        yield b"".join(pending)


def _bunzip2(source: ByteStream) -> Iterator[bytes]:
    while True:
        decoder = bz2.BZ2Decompressor()
        yield from _stepwise(source, decoder, OSError, "bzip2 data invalid")
        if not source.peek(1):
            return
        if source.peek(2) != b"BZ":
            raise Broken("bzip2 data invalid: bad magic value in continuation file")


def _unxz(source: ByteStream) -> Iterator[bytes]:
    while source.peek(1):
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        yield from _stepwise(source, decoder, lzma.LZMAError, "exit status 1: xz: (stdin): Compressed data is corrupt")
        while source.peek(4) == b"\0\0\0\0":
            source.skip(4)


def _stepwise(
    source: ByteStream,
    decoder: bz2.BZ2Decompressor | lzma.LZMADecompressor,
    error: type[Exception],
    message: str,
) -> Iterator[bytes]:
    while not decoder.eof:
        piece = source.piece(_STEP) if decoder.needs_input else b""
        if not piece and decoder.needs_input:
            raise Broken(UNEXPECTED_EOF)
        try:
            data = decoder.decompress(piece, _STEP)
        except error:
            raise Broken(message) from None
        if data:
            yield data
    source.put_back(len(decoder.unused_data))


_DECODERS: Final[Mapping[str, Callable[[ByteStream], Iterator[bytes]]]] = {
    "none": _as_it_is,
    "zstd": _unzstd,
    "bzip2": _bunzip2,
    "xz": _unxz,
}
