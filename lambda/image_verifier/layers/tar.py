"""Reads a tar as Go's archive/tar does, with which containerd and dockerd unpack layers.

https://github.com/golang/go/blob/master/src/archive/tar/reader.go
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from .decompression import UNEXPECTED_EOF
from .stream import Stream

BLOCK: Final = 512
REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, FOLDER, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
GLOBAL_HEADER: Final = b"g"
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
_MAX_INT64: Final = (1 << 63) - 1

_INVALID: Final = "archive/tar: invalid tar header"
_TOO_LONG: Final = "archive/tar: header field too long"
_SPARSE_TOO_LONG: Final = "archive/tar: sparse map too long"
_MISSING_DATA: Final = "archive/tar: sparse file references non-existent data"
_UNREFERENCED_DATA: Final = "archive/tar: sparse file contains unreferenced data"

_XATTR: Final = b"SCHILY.xattr."
_ZEROS: Final = bytes(BLOCK)
_DIGITS: Final = b"01234567\0"
_MAGICS: Final = (b"ustar\x0000", b"ustar  \0")
_NO_DEVICE: Final = (b"0000000\x000000000\0", bytes(16))
_NO_PREFIX: Final = bytes(BLOCK - 345)
# What is left of the size, the time and the checksum without digits: a checksum may end with a space.
_AROUND_CHECKSUM: Final = (b" ", b"")
_MAX_REMEMBERED: Final = 1000
# name, mode, uid, gid, size, mtime, checksum, type, link name, magic, version, names, device, prefix
_HEADER: Final = struct.Struct("100s8s8s8s12s12s8sc100s6s2s64s8s8s155s12x")
_INTEGER: Final = re.compile(rb"[+-]?[0-9]+")


class TarError(Exception):
    """Go's reader stops here with this message."""


class TarEntry(NamedTuple):
    """One file, folder or link of the tar.

    :param name: as the tar has it, not cleaned.
    :param type: one of the constants above, or any other byte.
    :param size: the size of its content in the file system.
    :param stored: whether the content follows in the stream as it is; the content of sparse files does not.
    :param xattrs: the names and values of its extended attributes.
    """

    name: bytes
    type: bytes
    mode: int
    uid: int
    gid: int
    size: int
    link: bytes
    is_null_device: bool
    stored: bool
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


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
    extension, usual = _NOT_EXTENDED, _UsualHeaders()
    while block := _header_block(stream):
        entry = usual.entry(block) or _parse(block)
        content = 0 if entry.type in _WITHOUT_CONTENT else entry.size
        if content < 0:
            raise TarError(_INVALID)
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
            raise TarError(_INVALID if len(block) == BLOCK else UNEXPECTED_EOF)
        return b""
    if 0 < len(block) < BLOCK:
        raise TarError(UNEXPECTED_EOF)
    return block


class _UsualHeaders:
    """Reads the headers that have nothing special, as most have, in half of the time that `_parse` takes.

    A tar has tens of thousands of headers, and most of their fields are the same in many of them.
    """

    def __init__(self) -> None:
        self._owners: dict[bytes, tuple[int, int, int]] = {}
        self._ends: set[bytes] = set()

    def entry(self, block: bytes) -> TarEntry | None:
        """The entry, as `_parse` returns it; None where only `_parse` can read the header."""
        owner = self._owners.get(block[100:124])
        if owner is None or block[257:] not in self._ends:
            owner = self._remember(block)
        kind, fields = block[156:157], block[124:156]
        if owner is None or kind == CHARACTER or fields.translate(None, _DIGITS) not in _AROUND_CHECKSUM:
            return None
        # The low half of Adler-32 is the sum of the bytes and one: that of 512 ASCII characters is below its modulus.
        total = (zlib.adler32(block) & 0xFFFF) - (zlib.adler32(fields[24:]) & 0xFFFF) + 8 * 32
        try:
            given, size = int(fields[24:31].rstrip(b"\0"), 8), int(fields[:12].rstrip(b"\0") or b"0", 8)
        except ValueError:
            return None
        if given != total or not block.isascii():
            return None
        end = block.find(0, 0, 100)
        link = block[157:257].split(b"\0", 1)[0] if block[157] else b""
        return TarEntry(block[: end if end >= 0 else 100], kind, *owner, size, link, False, True)

    def _remember(self, block: bytes) -> tuple[int, int, int] | None:
        """The mode and the owner; None where they or the end of the header are special."""
        numbers, end = block[100:124], block[257:]
        usual = end[:8] in _MAGICS and end[72:88] in _NO_DEVICE and end[88:] == _NO_PREFIX
        if not usual or numbers.translate(None, _DIGITS):
            return None
        try:
            mode, uid, gid = [int(numbers[at : at + 8].rstrip(b"\0") or b"0", 8) for at in (0, 8, 16)]
        except ValueError:
            return None
        if len(self._owners) + len(self._ends) >= _MAX_REMEMBERED:
            self._owners.clear()
            self._ends.clear()
        self._ends.add(end)
        return self._owners.setdefault(numbers, (mode & 0o7777, uid, gid))


def _parse(block: bytes) -> TarEntry:
    (
        name, mode, uid, gid, size, mtime, checksum, kind, link, magic, version, _, major, minor, prefix,
    ) = _HEADER.unpack(block)  # fmt: skip
    # The sum of the bytes, with spaces for the checksum's own. The low half of Adler-32 is the sum and one, as long as
    # that stays below 65521, which it does for 256 bytes; nothing else in Python adds up as fast.
    low = zlib.adler32(block[156:256], zlib.adler32(block[:148])) & 0xFFFF
    total = low + (zlib.adler32(block[256:]) & 0xFFFF) - 2 + 8 * 32
    if checksum not in (b"%06o\0 " % total, b"%07o\0" % total):
        given = _octal(checksum)
        if given != total and given != total - 256 * sum(byte > 127 for byte in block[:148] + block[156:]):
            raise TarError(_INVALID)
    numbers: tuple[bytes, ...] = (mode, uid, gid, size, mtime)
    known = magic in (b"ustar\0", b"ustar ") and (magic[5] == 0 or version == b" \0")
    if known:
        numbers += (major, minor)
        if magic[5]:
            prefix = _gnu_prefix(prefix)
        elif block[508:] == b"tar\0":
            numbers += (prefix[131:143], prefix[143:])
            prefix = prefix[:131]
        prefix = prefix.split(b"\0", 1)[0]
    name = name.split(b"\0", 1)[0]
    if known and prefix:
        name = prefix + b"/" + name
    try:
        # The form that all tools write: digits, then NULs.
        if b"".join(numbers).translate(None, b"01234567\0"):
            raise ValueError
        mode, uid, gid, size = [int(field.rstrip(b"\0") or b"0", 8) for field in numbers[:4]]
    except ValueError:
        mode, uid, gid, size, *_ = [_number(field) for field in numbers]
    null_device = kind == CHARACTER and known and not _number(major) and not _number(minor)
    return TarEntry(name, kind, mode & 0o7777, uid, gid, size, link.split(b"\0", 1)[0], null_device, True)


def _gnu_prefix(field: bytes) -> bytes:
    """GNU has times in the place of ustar's prefix. Old versions of Go wrote prefixes there, so Go reads them."""
    try:
        for time in (field[:12], field[12:24]):
            if time[0]:
                _number(time)
    except TarError:
        text = field.split(b"\0", 1)[0]
        return text if text.isascii() else b""
    return b""


def _number(field: bytes) -> int:
    """A number in octal digits, or in GNU's base 256.

    :raises TarError: if it is neither.
    """
    if not field[0] & 0x80:
        return _octal(field)
    if field[0] & 0x40:
        value = int.from_bytes(field, "big", signed=True)
    else:
        value = int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big")
    if not -_MAX_INT64 - 1 <= value <= _MAX_INT64:
        raise TarError(_INVALID)
    return value


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0").split(b"\0", 1)[0]
    if digits.translate(None, b"01234567"):
        raise TarError(_INVALID)
    return int(digits or b"0", 8)


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
            raise TarError(_INVALID)
        length = _integer(content[at:space])
        end = at + length
        if length < 5 or end > len(content) or end <= space + 1 or content[end - 1 : end] != b"\n":
            raise TarError(_INVALID)
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        names = key in (b"path", b"linkpath", b"uname", b"gname")
        if not equals or not key or b"\0" in (value if names else key):
            raise TarError(_INVALID)
        at = end
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            if key != (b"GNU.sparse.numbytes" if len(sparse) % 2 else b"GNU.sparse.offset") or b"," in value:
                raise TarError(_INVALID)
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
    if len(text) > 64 or not _INTEGER.fullmatch(text) or not -_MAX_INT64 - 1 <= int(text) <= _MAX_INT64:
        raise TarError(_INVALID)
    return int(text)


def _check_time(text: bytes) -> None:
    seconds, _, fraction = text.partition(b".")
    _integer(seconds)
    if fraction and not fraction.isdigit():
        raise TarError(_INVALID)


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
        raise TarError(_INVALID)
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
        raise TarError(_INVALID)
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
        raise TarError(_INVALID)
    size = _number(block[483:495])
    pieces: list[tuple[int, int]] = []
    table, extended = block[386:482], block[482]
    read = 0
    while True:
        for at in range(0, len(table) - 23, 24):
            if not table[at]:
                break
            pieces.append((_number(table[at : at + 12]), _number(table[at + 12 : at + 24])))
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
                raise TarError(_INVALID)
            wanted += 2 * count
    numbers = [_integer(bytes(line)) for line in text.split(b"\n", wanted)[1:wanted]]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _sparse_map_0_1(pax: dict[bytes, bytes]) -> list[tuple[int, int]]:
    count = _integer(pax.get(b"GNU.sparse.numblocks", b""))
    numbers = [_integer(text) for text in pax.get(b"GNU.sparse.map", b"").split(b",") if text or count]
    if count < 0 or len(numbers) != 2 * count:
        raise TarError(_INVALID)
    return list(zip(numbers[::2], numbers[1::2], strict=True))
