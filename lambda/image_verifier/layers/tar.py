"""Reads a tar as Go's archive/tar does, with which containerd and dockerd unpack layers.

https://github.com/golang/go/blob/master/src/archive/tar/reader.go
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from .decompression import UNEXPECTED_EOF
from .stream import Stream
from .tar_headers import (
    BLOCK,
    BLOCK_DEVICE,
    CHARACTER,
    FIFO,
    FOLDER,
    GLOBAL_HEADER,
    HARD_LINK,
    INVALID,
    MAX_INT64,
    REGULAR,
    SYMLINK,
    TarEntry,
    TarError,
    UsualHeaders,
    number,
    parse,
)

# Before POSIX, the type of regular files, and of folders whose name ends with a slash.
_OLD_REGULAR: Final = b"\0"
_PAX, _LONG_NAME, _LONG_LINK, _GNU_SPARSE = b"x", b"L", b"K", b"S"
# Headers of these types give values to the entry after them.
_EXTENDING: Final = frozenset((_PAX, _LONG_NAME, _LONG_LINK))
# The header of an entry of these types is not complete.
_INCOMPLETE: Final = frozenset((_OLD_REGULAR, _GNU_SPARSE))
# Entries of these types have no content, whatever their size field says.
_WITHOUT_CONTENT: Final = frozenset((HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, FOLDER, FIFO))
# Go's limit for PAX records, long names and sparse maps.
_MAX_SPECIAL: Final = 1 << 20

_TOO_LONG: Final = "archive/tar: header field too long"
_SPARSE_TOO_LONG: Final = "archive/tar: sparse map too long"
_MISSING_DATA: Final = "archive/tar: sparse file references non-existent data"
_UNREFERENCED_DATA: Final = "archive/tar: sparse file contains unreferenced data"

_ZEROS: Final = bytes(BLOCK)
_XATTR: Final = b"SCHILY.xattr."
_INTEGER: Final = re.compile(rb"[+-]?[0-9]+")


class _Extension(NamedTuple):
    """The values that extra headers give the entry after them."""

    pax: dict[bytes, bytes]
    long_name: bytes = b""
    long_link: bytes = b""

    def extended(self, type: bytes, content: bytes) -> _Extension:
        """The same with the values of one more extra header."""
        if type == _PAX:
            return self._replace(pax=_pax_records(content))
        text = content.split(b"\0", 1)[0]
        return self._replace(long_name=text) if type == _LONG_NAME else self._replace(long_link=text)


_NOT_EXTENDED: Final = _Extension({})


def entries(stream: Stream) -> Iterator[TarEntry]:
    """The entries in their order, until the end of the tar.

    Between two entries, the content of the first may be read from the stream if it is `stored`, up to its `size`; the
    rest is skipped.

    :raises TarError: where Go's reader stops.
    """
    extension, usual = _NOT_EXTENDED, UsualHeaders()
    while block := _header_block(stream):
        entry = usual.entry(block) or parse(block)
        content = 0 if entry.type in _WITHOUT_CONTENT else entry.size
        if content < 0:
            raise TarError(INVALID)
        end = stream.position + content
        if entry.type in _EXTENDING:
            extension = extension.extended(entry.type, _special(stream, content))
        elif entry.type == GLOBAL_HEADER:
            records = _pax_records(_special(stream, content))
            yield entry._replace(name=records.get(b"path") or entry.name)
            extension = _NOT_EXTENDED
        else:
            if extension is not _NOT_EXTENDED or entry.type in _INCOMPLETE:
                entry, content, end = _completed(stream, block, entry, extension)
            yield entry
            extension = _NOT_EXTENDED
        # The stream may end within the padding.
        if stream.skip_to(end + -content % BLOCK) < end:
            raise TarError(UNEXPECTED_EOF)


def _header_block(stream: Stream) -> bytes:
    """The next header; empty at the end of the tar."""
    block = stream.read(BLOCK)
    if block == _ZEROS:
        block = stream.read(BLOCK)
        if block not in (_ZEROS, b""):
            raise TarError(INVALID if len(block) == BLOCK else UNEXPECTED_EOF)
        return b""
    if 0 < len(block) < BLOCK:
        raise TarError(UNEXPECTED_EOF)
    return block


def _special(stream: Stream, size: int) -> bytes:
    if size > _MAX_SPECIAL:
        # Go finds this out by reading one byte more than its limit.
        if len(stream.read(_MAX_SPECIAL + 1)) <= _MAX_SPECIAL:
            raise TarError(UNEXPECTED_EOF)
        raise TarError(_TOO_LONG)
    content = stream.read(size)
    if len(content) < size:
        raise TarError(UNEXPECTED_EOF)
    return content


def _pax_records(content: bytes) -> dict[bytes, bytes]:
    records: dict[bytes, bytes] = {}
    sparse: list[bytes] = []
    at = 0
    while at < len(content):
        space = content.find(b" ", at)
        if space < 0:
            raise TarError(INVALID)
        length = _integer(content[at:space])
        end = at + length
        if length < 5 or end > len(content) or end <= space + 1 or content[end - 1 : end] != b"\n":
            raise TarError(INVALID)
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        names = key in (b"path", b"linkpath", b"uname", b"gname")
        if not equals or not key or b"\0" in (value if names else key):
            raise TarError(INVALID)
        at = end
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            if key != (b"GNU.sparse.numbytes" if len(sparse) % 2 else b"GNU.sparse.offset") or b"," in value:
                raise TarError(INVALID)
            sparse.append(value)
        else:
            records[key] = value
    if sparse:
        records[b"GNU.sparse.map"] = b",".join(sparse)
    return records


def _integer(text: bytes) -> int:
    """Parse a decimal number.

    :raises TarError: if Go's ParseInt refuses it.
    """
    if len(text) > 64 or not _INTEGER.fullmatch(text) or not -MAX_INT64 - 1 <= int(text) <= MAX_INT64:
        raise TarError(INVALID)
    return int(text)


def _check_time(text: bytes) -> None:
    seconds, _, fraction = text.partition(b".")
    _integer(seconds)
    if fraction and not fraction.isdigit():
        raise TarError(INVALID)


def _completed(stream: Stream, block: bytes, entry: TarEntry, extension: _Extension) -> tuple[TarEntry, int, int]:
    """Complete an entry with the fields that its own header lacks.

    :returns: the entry, the size of its content, and where its content ends.
    """
    if extension is not _NOT_EXTENDED:
        entry = _merged(entry, extension)
    if entry.type == _OLD_REGULAR:
        entry = entry._replace(type=FOLDER if entry.name.endswith(b"/") else REGULAR)
    content = 0 if entry.type in _WITHOUT_CONTENT else entry.size
    if content < 0:
        raise TarError(INVALID)
    end = stream.position + content
    if entry.type == _GNU_SPARSE or extension.pax:
        entry, end = _sparse(stream, block, entry, extension.pax, end)
    return entry, content, end


def _merged(entry: TarEntry, extension: _Extension) -> TarEntry:
    name, link, uid, gid, size = entry.name, entry.link, entry.uid, entry.gid, entry.size
    pax = extension.pax
    for key, value in pax.items():
        if not value:
            continue
        if key == b"path":
            name = value
        elif key == b"linkpath":
            link = value
        elif key == b"size":
            size = _integer(value)
        elif key == b"uid":
            uid = _integer(value)
        elif key == b"gid":
            gid = _integer(value)
        elif key in (b"mtime", b"atime", b"ctime"):
            _check_time(value)
    xattrs = tuple((key[len(_XATTR) :], value) for key, value in pax.items() if key.startswith(_XATTR))
    name, link = extension.long_name or name, extension.long_link or link
    return entry._replace(name=name, link=link, uid=uid, gid=gid, size=size, xattrs=xattrs)


def _sparse(stream: Stream, block: bytes, entry: TarEntry, pax: dict[bytes, bytes], end: int) -> tuple[TarEntry, int]:
    """The entry with the size and name from its sparse map, and where its content ends."""
    if entry.type == _GNU_SPARSE:
        pieces, size, end = _old_sparse_map(stream, block, end)
    else:
        version = pax.get(b"GNU.sparse.major", b""), pax.get(b"GNU.sparse.minor", b"")
        inside = version == (b"1", b"0")
        known = version in ((b"1", b"0"), (b"0", b"0"), (b"0", b"1"))
        # To Go, a file with an unknown version is not sparse.
        if not known and (any(version) or not pax.get(b"GNU.sparse.map")):
            return entry, end
        entry = entry._replace(name=pax.get(b"GNU.sparse.name") or entry.name)
        logical = pax.get(b"GNU.sparse.size") or pax.get(b"GNU.sparse.realsize")
        size = _integer(logical) if logical else entry.size
        pieces = _sparse_map_1_0(stream, end) if inside else _sparse_map_0_1(pax)
    if entry.type in _WITHOUT_CONTENT or not _are_valid(pieces, size):
        raise TarError(INVALID)
    stored, mapped = end - stream.position, sum(length for _, length in pieces)
    if stored != mapped:
        raise TarError(_MISSING_DATA if stored < mapped else _UNREFERENCED_DATA)
    return entry._replace(size=size, stored=False), end


def _are_valid(pieces: list[tuple[int, int]], size: int) -> bool:
    before = 0
    for offset, length in pieces:
        if offset < before or length < 0 or offset + length > size:
            return False
        before = offset + length
    return size >= 0


def _old_sparse_map(stream: Stream, block: bytes, end: int) -> tuple[list[tuple[int, int]], int, int]:
    if block[257:265] != b"ustar  \0":
        raise TarError(INVALID)
    size = number(block[483:495])
    pieces: list[tuple[int, int]] = []
    table, extended = block[386:482], block[482]
    read = 0
    while True:
        for at in range(0, len(table) - 23, 24):
            if not table[at]:
                break
            pieces.append((number(table[at : at + 12]), number(table[at + 12 : at + 24])))
        if not extended:
            return pieces, size, end + read
        if read > _MAX_SPECIAL:
            raise TarError(_SPARSE_TOO_LONG)
        block = stream.read(BLOCK)
        if len(block) < BLOCK:
            raise TarError(UNEXPECTED_EOF)
        read += BLOCK
        table, extended = block[:504], block[504]


def _sparse_map_1_0(stream: Stream, end: int) -> list[tuple[int, int]]:
    """The map before the content: lines of decimal numbers, padded to whole blocks."""
    text, lines, wanted = bytearray(), 0, 1
    while lines < wanted:
        if len(text) > _MAX_SPECIAL:
            raise TarError(_SPARSE_TOO_LONG)
        block = stream.read(min(BLOCK, end - stream.position))
        if len(block) < BLOCK:
            raise TarError(UNEXPECTED_EOF)
        text += block
        lines += block.count(b"\n")
        if wanted == 1 and lines:
            count = _integer(bytes(text.split(b"\n", 1)[0]))
            if count < 0:
                raise TarError(INVALID)
            wanted += 2 * count
    numbers = [_integer(bytes(line)) for line in text.split(b"\n", wanted)[1:wanted]]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _sparse_map_0_1(pax: dict[bytes, bytes]) -> list[tuple[int, int]]:
    count = _integer(pax.get(b"GNU.sparse.numblocks", b""))
    numbers = [_integer(text) for text in pax.get(b"GNU.sparse.map", b"").split(b",") if text or count]
    if count < 0 or len(numbers) != 2 * count:
        raise TarError(INVALID)
    return list(zip(numbers[::2], numbers[1::2], strict=True))
