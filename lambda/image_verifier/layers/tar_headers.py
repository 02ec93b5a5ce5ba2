"""The headers of a tar: each is a block with the fields of one entry.

https://github.com/golang/go/blob/master/src/archive/tar/reader.go, readHeader
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

BLOCK: Final = 512
REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, FOLDER, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
GLOBAL_HEADER: Final = b"g"
MAX_INT64: Final = (1 << 63) - 1
INVALID: Final = "archive/tar: invalid tar header"

_DIGITS: Final = b"01234567\0"
_POSIX, _GNU = b"ustar\x0000", b"ustar  \0"
_NO_DEVICE: Final = (b"0000000\x000000000\0", bytes(16))
_NO_PREFIX: Final = bytes(BLOCK - 345)
# What is left of the size, the time and the checksum without digits: a checksum may end with a space.
_AROUND_CHECKSUM: Final = (b" ", b"")
_MAX_REMEMBERED: Final = 1000
# name, mode, uid, gid, size, mtime, checksum, type, link name, magic, version, names, device, prefix
_HEADER: Final = struct.Struct("100s8s8s8s12s12s8sc100s6s2s64s8s8s155s12x")


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


class UsualHeaders:
    """Reads the headers that have nothing special, as most have, in half of the time that `parse` takes.

    A tar has tens of thousands of headers, and most of their fields are the same in many of them.
    """

    def __init__(self) -> None:
        self._owners: dict[bytes, tuple[int, int, int]] = {}
        self._prefixes: dict[bytes, bytes] = {}

    def entry(self, block: bytes) -> TarEntry | None:
        """The entry, as `parse` returns it; None where only `parse` can read the header."""
        owner, prefix = self._owners.get(block[100:124]), self._prefixes.get(block[257:])
        kind, fields = block[156:157], block[124:156]
        try:
            if owner is None or prefix is None:
                owner, prefix = self._remember(block[100:124], block[257:])
            given, size = int(fields[24:31].rstrip(b"\0"), 8), int(fields[:12].rstrip(b"\0") or b"0", 8)
        except ValueError:
            return None
        # The low half of Adler-32 is the sum of the bytes and one: that of 512 ASCII characters is below its modulus.
        total = (zlib.adler32(block) & 0xFFFF) - (zlib.adler32(fields[24:]) & 0xFFFF) + 8 * 32
        special = kind == CHARACTER or fields.translate(None, _DIGITS) not in _AROUND_CHECKSUM
        if special or given != total or not block.isascii():
            return None
        end = block.find(0, 0, 100)
        link = block[157:257].split(b"\0", 1)[0] if block[157] else b""
        return TarEntry(prefix + block[: end if end >= 0 else 100], kind, *owner, size, link, False, True)

    def _remember(self, numbers: bytes, end: bytes) -> tuple[tuple[int, int, int], bytes]:
        """The mode and the owner, and the beginning of the name.

        :raises ValueError: if they are not written as usual.
        """
        magic, device, last = end[:8], end[72:88], end[88:]
        posix = magic == _POSIX and last[-4:] != b"tar\0"
        if numbers.translate(None, _DIGITS) or device not in _NO_DEVICE or not (posix or magic == _GNU):
            raise ValueError
        if last != _NO_PREFIX and not posix:
            raise ValueError
        if len(self._owners) + len(self._prefixes) >= _MAX_REMEMBERED:
            self._owners.clear()
            self._prefixes.clear()
        mode, uid, gid = [int(numbers[at : at + 8].rstrip(b"\0") or b"0", 8) for at in (0, 8, 16)]
        owner = self._owners[numbers] = mode & 0o7777, uid, gid
        folder = last[:155].split(b"\0", 1)[0]
        prefix = self._prefixes[end] = folder and folder + b"/"
        return owner, prefix


def parse(block: bytes) -> TarEntry:
    """The entry that a header describes.

    :raises TarError: if Go refuses the header.
    """
    (
        name, mode, uid, gid, size, mtime, checksum, kind, link, magic, version, _, major, minor, prefix,
    ) = _HEADER.unpack(block)  # fmt: skip
    # The sum of the bytes, with spaces for the checksum's own.
    given, total = _octal(checksum), sum(block) - sum(checksum) + 8 * 32
    if given != total and given != total - 256 * sum(byte > 127 for byte in block[:148] + block[156:]):
        raise TarError(INVALID)
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
    bits, owner, group, length, *_ = [number(field) for field in numbers]
    null_device = kind == CHARACTER and known and not number(major) and not number(minor)
    return TarEntry(name, kind, bits & 0o7777, owner, group, length, link.split(b"\0", 1)[0], null_device, True)


def _gnu_prefix(field: bytes) -> bytes:
    """GNU has times in the place of ustar's prefix. Old versions of Go wrote prefixes there, so Go reads them."""
    try:
        for time in (field[:12], field[12:24]):
            if time[0]:
                number(time)
    except TarError:
        text = field.split(b"\0", 1)[0]
        return text if text.isascii() else b""
    return b""


def number(field: bytes) -> int:
    """A number in octal digits, or in GNU's base 256.

    :raises TarError: if it is neither.
    """
    if not field[0] & 0x80:
        return _octal(field)
    if field[0] & 0x40:
        value = int.from_bytes(field, "big", signed=True)
    else:
        value = int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big")
    if not -MAX_INT64 - 1 <= value <= MAX_INT64:
        raise TarError(INVALID)
    return value


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0").split(b"\0", 1)[0]
    if digits.translate(None, b"01234567"):
        raise TarError(INVALID)
    return int(digits or b"0", 8)
