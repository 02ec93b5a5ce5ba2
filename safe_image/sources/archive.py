"""The files of a tar archive by name, from `docker save` and other tools, plain or compressed with gzip.

Only regular files are read, and links to them within the archive; no path of the archive is ever written to.
"""

from __future__ import annotations

import gzip
import io
import os
import posixpath
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import IO, Final

from image_verifier.faults import Fault

# More than any image has; an endless archive must not be read for ever.
_MAX_ENTRIES: Final = 100_000
_MAX_UNPACKED_BYTES: Final = 64 * 1024**3
_MAX_LINKS: Final = 16
# The headers of all entries are kept in memory, and an extended header may claim to have gigabytes.
_MAX_HEADER_BYTES: Final = 128 * 1024**2
# The space that stays free on the disk of the temporary folder.
_MIN_FREE_BYTES: Final = 1024**3
_CHUNK: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_SAVE: Final = "Create the archive again: docker save -o FILE IMAGE"


class Archive:
    """A tar archive whose files are read in place.

    :param path: the archive. One that is compressed with gzip is decompressed into a temporary file first.
    :raises Fault: if it is not a valid archive, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = _open_plain(path)
            self._members = _entries(self._file, path)
        except OSError as e:
            raise Fault(f"{path}: {e.strerror or e}", "Use a file that docker save or another tool has written.") from e
        except (tarfile.TarError, EOFError, zlib.error) as e:
            raise Fault(f"{path} is not a valid tar archive: {e}", _SAVE) from e

    def __str__(self) -> str:
        return str(self.path)

    def size(self, name: str) -> int | None:
        """A file's size in bytes; None where there is no such file."""
        member = self._member(name)
        return member.size if member else None

    def open(self, name: str) -> IO[bytes] | None:
        """A file, which can be read while others are; None where there is no such file."""
        member = self._member(name)
        if member is None:
            return None
        part: io.RawIOBase = _FileSlice(self._file, member.offset_data, member.size)
        return io.BufferedReader(part, _CHUNK)

    def _member(self, name: str) -> tarfile.TarInfo | None:
        for _ in range(_MAX_LINKS):
            member = self._members.get(posixpath.normpath(name))
            if member is None or member.isreg():
                return member
            # docker save before 25 writes a layer once, and links to it.
            folder = posixpath.dirname(member.name) if member.issym() else ""
            name = posixpath.join(folder, member.linkname)
        return None


class _FileSlice(io.RawIOBase):
    """A slice of a file, read by its offset, so that several can be read at once."""

    def __init__(self, file: IO[bytes], offset: int, size: int) -> None:
        super().__init__()
        self._file, self._at, self._end = file, offset, offset + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override] # Buffer is Python 3.12's
        content = os.pread(self._file.fileno(), min(len(buffer), self._end - self._at), self._at)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def _open_plain(path: Path) -> IO[bytes]:
    file = path.open("rb")
    if file.read(2) != _GZIP:
        return file
    file.seek(0)
    plain = tempfile.TemporaryFile()  # noqa: SIM115 - it is read as long as the archive
    with file, gzip.open(file) as unpacked:
        while chunk := unpacked.read(_CHUNK):
            if plain.tell() + len(chunk) > _MAX_UNPACKED_BYTES:
                raise Fault(f"{path} unpacks to more than {_MAX_UNPACKED_BYTES} bytes", _SAVE)
            if shutil.disk_usage(tempfile.gettempdir()).free < _MIN_FREE_BYTES + len(chunk):
                raise Fault(
                    f"{path} does not fit into {tempfile.gettempdir()} when it is decompressed",
                    "Set TMPDIR to a folder on a larger disk, or decompress the file with gunzip.",
                )
            plain.write(chunk)
    plain.flush()
    return plain


class _HeaderReader:
    """A tar file that gives at most `_MAX_HEADER_BYTES` to its reader; bytes that are skipped do not count.

    :param file: the tar.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = _MAX_HEADER_BYTES
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise tarfile.ReadError("its headers are larger than any image's")
        return self._file.read(size)


def _entries(file: IO[bytes], path: Path) -> dict[str, tarfile.TarInfo]:
    file.seek(0)
    found: dict[str, tarfile.TarInfo] = {}
    with tarfile.TarFile(fileobj=_HeaderReader(file)) as archive:  # type: ignore[arg-type] # TarFile uses these three methods alone
        for number, member in enumerate(archive):
            if number >= _MAX_ENTRIES:
                raise Fault(f"{path} has more than {_MAX_ENTRIES} entries, more than any image's archive", _SAVE)
            if member.isreg() or member.issym() or member.islnk():
                found[posixpath.normpath(member.name)] = member
    return found
