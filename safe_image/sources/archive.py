"""The files of a tar archive, by their names: what `docker save` and others write, plain or compressed with gzip.

Only regular files are read, and links to them within the archive; nothing is written to a path that an archive names.
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

# More than any image has; an archive that never ends must not be read for ever.
_MOST_MEMBERS: Final = 100_000
_MOST_UNPACKED: Final = 64 * 1024**3
_MOST_LINKS: Final = 16
# Of all entries' headers together, which are kept: an extended one may say that it has gigabytes.
_MOST_HEADER_BYTES: Final = 128 * 1024**2
# What is left free on the disk that an archive is unpacked on.
_SPARED: Final = 1024**3
_CHUNK: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_SAVE: Final = "Write the archive again: docker save -o FILE IMAGE"


class Archive:
    """A tar archive whose files are read where they lie.

    :param path: the archive. One that is compressed with gzip is unpacked into a temporary file first.
    :raises Fault: if it is no archive, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = _opened(path)
            self._members = _members(self._file, path)
        except OSError as e:
            raise Fault(f"{path}: {e.strerror or e}", "Name a file that docker save or another tool wrote.") from e
        except (tarfile.TarError, EOFError, zlib.error) as e:
            raise Fault(f"{path} is no tar archive, or a broken one: {e}", _SAVE) from e

    def __str__(self) -> str:
        return str(self.path)

    def size(self, name: str) -> int | None:
        """A file's size in bytes; None where there is none of that name."""
        member = self._member(name)
        return member.size if member else None

    def open(self, name: str) -> IO[bytes] | None:
        """A file, which may be read beside others; None where there is none of that name."""
        member = self._member(name)
        if member is None:
            return None
        part: io.RawIOBase = _Part(self._file, member.offset_data, member.size)
        return io.BufferedReader(part, _CHUNK)

    def _member(self, name: str) -> tarfile.TarInfo | None:
        for _ in range(_MOST_LINKS):
            member = self._members.get(posixpath.normpath(name))
            if member is None or member.isreg():
                return member
            # docker save before 25 writes a layer once, and links to it.
            folder = posixpath.dirname(member.name) if member.issym() else ""
            name = posixpath.join(folder, member.linkname)
        return None


class _Part(io.RawIOBase):
    """A part of a file, read by its offset, so that many can be read at once."""

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


def _opened(path: Path) -> IO[bytes]:
    file = path.open("rb")
    if file.read(2) != _GZIP:
        return file
    file.seek(0)
    plain = tempfile.TemporaryFile()  # noqa: SIM115 - it is read as long as the archive
    with file, gzip.open(file) as unpacked:
        while chunk := unpacked.read(_CHUNK):
            if plain.tell() + len(chunk) > _MOST_UNPACKED:
                raise Fault(f"{path} unpacks to more than {_MOST_UNPACKED} bytes", _SAVE)
            if shutil.disk_usage(tempfile.gettempdir()).free < _SPARED + len(chunk):
                raise Fault(
                    f"{path} does not fit into {tempfile.gettempdir()} unpacked",
                    "Set TMPDIR to a folder on a larger disk, or unpack it with gunzip.",
                )
            plain.write(chunk)
    plain.flush()
    return plain


class _Headers:
    """A tar of which only so much is read; what is passed over does not count.

    :param file: the tar.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = _MOST_HEADER_BYTES
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise tarfile.ReadError("its headers are larger than any image's")
        return self._file.read(size)


def _members(file: IO[bytes], path: Path) -> dict[str, tarfile.TarInfo]:
    file.seek(0)
    found: dict[str, tarfile.TarInfo] = {}
    with tarfile.TarFile(fileobj=_Headers(file)) as archive:  # type: ignore[arg-type] # all of a file that it uses
        for number, member in enumerate(archive):
            if number >= _MOST_MEMBERS:
                raise Fault(f"{path} has more than {_MOST_MEMBERS} entries, as no image's archive has", _SAVE)
            if member.isreg() or member.issym() or member.islnk():
                found[posixpath.normpath(member.name)] = member
    return found
