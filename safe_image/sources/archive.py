"""The files of a tar archive by name, from `docker save` and other tools, plain or compressed.

No path of the archive is ever written to.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from image_verifier.faults import Fault

from .compressed_files import MAGIC_BYTES, FileCompression, decompressed, file_compression
from .regular_files import open_regular
from .tar_index import SAVE_AGAIN, TarFiles, TarIndex

_MAX_UNPACKED_BYTES: Final = 64 * 1024**3
# The headers of all entries are kept in memory, and an extended header may claim to have gigabytes.
_MAX_HEADER_BYTES: Final = 128 * 1024**2
# The space that stays free on the disk of the temporary folder.
_MIN_FREE_BYTES: Final = 1024**3


class Archive(TarFiles):
    """A tar archive whose files are read in place.

    :param path: the archive. One that is compressed is decompressed into a temporary file first.
    :raises Fault: if it is not a valid archive, or cannot be read.
    """

    # How many files may be read at once.
    at_once = os.cpu_count() or 1

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = _open_plain(path)
            self._index = TarIndex(_members(self._file, path), str(path))
        except OSError as e:
            raise Fault(f"{path}: {e.strerror or e}", "Use a file that docker save or another tool has written.") from e
        except (tarfile.TarError, EOFError, ValueError, ArithmeticError) as e:
            # tarfile reports some impossible numbers in its own words, and others in Python's.
            raise Fault(f"{path} is not a valid tar archive: {e}", SAVE_AGAIN) from e

    def __str__(self) -> str:
        return str(self.path)

    def _reader(self, member: tarfile.TarInfo) -> io.RawIOBase:
        """A file, which can be read while others are."""
        return _FileSlice(self._file, member.offset_data, member.size)


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
    file = open_regular(path)
    if file is None:
        raise Fault(f"{path} does not exist", "Pass the path of an archive.")
    compression = file_compression(file.read(MAGIC_BYTES))
    file.seek(0)
    if compression is None:
        return file
    plain = tempfile.TemporaryFile()  # noqa: SIM115 - it is read as long as the archive
    with file:
        for chunk in decompressed(file, compression, str(path)):
            _require_space(path, plain.tell() + len(chunk), len(chunk), compression)
            plain.write(chunk)
    plain.flush()
    return plain


def _require_space(path: Path, total: int, more: int, compression: FileCompression) -> None:
    """:raises Fault: if the decompressed archive becomes too large for its bound, or for the disk."""
    if total > _MAX_UNPACKED_BYTES:
        raise Fault(f"{path} unpacks to more than {_MAX_UNPACKED_BYTES} bytes", SAVE_AGAIN)
    if shutil.disk_usage(tempfile.gettempdir()).free < _MIN_FREE_BYTES + more:
        raise Fault(
            f"{path} does not fit into {tempfile.gettempdir()} when it is decompressed",
            f"Set TMPDIR to a folder on a larger disk, or decompress the file: {compression.program} {path}",
        )


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


def _members(file: IO[bytes], path: Path) -> Iterator[tarfile.TarInfo]:
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    with tarfile.TarFile(fileobj=_HeaderReader(file)) as archive:  # type: ignore[arg-type] # TarFile uses these three methods alone
        for member in archive:
            if member.isreg() and member.offset_data + member.size > end:
                raise tarfile.ReadError(f"it breaks off in {member.name[:100]!r}")
            yield member
