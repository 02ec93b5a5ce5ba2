"""The files of a tar archive by name: regular ones, and links to them within the archive."""

from __future__ import annotations

import io
import posixpath
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import IO, Final

from image_verifier.faults import Fault

SAVE_AGAIN: Final = "Create the archive again: docker save -o FILE IMAGE"
# More than any image has; an endless archive must not be read for ever.
_MAX_ENTRIES: Final = 100_000
_MAX_LINKS: Final = 16
_CHUNK: Final = 1 << 20


class TarIndex:
    """The entries of an archive. The last one of a name counts.

    :param members: the archive's headers in their order.
    :param archive: the archive's name in messages.
    :raises Fault: if an entry cannot be one of an image's archive.
    """

    def __init__(self, members: Iterable[tarfile.TarInfo], archive: str) -> None:
        self._members: dict[str, tarfile.TarInfo] = {}
        for number, member in enumerate(members):
            if number >= _MAX_ENTRIES:
                raise Fault(
                    f"{archive} has more than {_MAX_ENTRIES} entries, more than any image's archive", SAVE_AGAIN
                )
            if member.size < 0:
                raise Fault(f"{archive} has an entry of {member.size} bytes and is not a valid tar archive", SAVE_AGAIN)
            if member.isreg() or member.issym() or member.islnk():
                self._members[posixpath.normpath(member.name)] = member

    def find(self, name: str) -> tarfile.TarInfo | None:
        """The regular file of a name, or the one that a link leads to; None where there is none."""
        for _ in range(_MAX_LINKS):
            member = self._members.get(posixpath.normpath(name))
            if member is None or member.isreg():
                return member
            # docker save before 25 writes a layer once, and links to it.
            folder = posixpath.dirname(member.name) if member.issym() else ""
            name = posixpath.join(folder, member.linkname)
        return None

    def place(self, name: str) -> int:
        """The offset of a file's header; 0 where there is no such file."""
        member = self.find(name)
        return member.offset if member else 0


class TarFiles(ABC):
    """The files of an archive by name. Its `str` is the archive's name in messages."""

    _index: TarIndex

    def size(self, name: str) -> int | None:
        """A file's size in bytes; None where there is no such file."""
        member = self._index.find(name)
        return member.size if member else None

    def open(self, name: str) -> IO[bytes] | None:
        """A file; None where there is no such file."""
        member = self._index.find(name)
        return io.BufferedReader(self._reader(member), _CHUNK) if member else None

    def place(self, name: str) -> int:
        """A file's place in the archive; files are read fastest in this order."""
        return self._index.place(name)

    @abstractmethod
    def _reader(self, member: tarfile.TarInfo) -> io.RawIOBase:
        """A file's bytes."""
