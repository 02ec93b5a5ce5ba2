"""How the kernel executes a file: as an ELF, as a script, or not at all.

https://github.com/torvalds/linux/blob/master/fs/binfmt_elf.c, binfmt_script.c
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Literal, Protocol

# The kernel reads this many bytes of a script's first line.
_FIRST_LINE: Final = 256
_HEAD: Final = 1024
_MAX_PATH: Final = 4096
_PT_INTERP: Final = 3
_EXECUTABLE, _SHARED = 2, 3
# e_machine of what an architecture's kernel runs, https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
_MACHINES: Final = {3: "386", 40: "arm", 62: "amd64", 183: "arm64"}
_OTHERS: Final = {8: "mips", 20: "ppc", 21: "ppc64", 22: "s390x", 243: "riscv64", 258: "loong64"}


class Content(Protocol):
    """A file's content, read from its beginning to its end."""

    def read(self, count: int) -> bytes:
        """The next bytes; fewer only at the end."""

    def skip(self, count: int) -> int:
        """Skip the next bytes.

        :returns: how many bytes there were.
        """


@dataclass(frozen=True)
class Program:
    """How the kernel would execute a file.

    :param kind: `elf`, `script`, `none` if it is neither, or `unknown` if the file could not be read.
    :param architecture: the architecture of an ELF, as in a platform.
    :param interpreter: the dynamic loader of an ELF, or the interpreter of a script; empty if there is none.
    :param argument: the argument of the interpreter in a script's first line.
    """

    kind: Literal["elf", "script", "none", "unknown"]
    architecture: str = ""
    interpreter: bytes = b""
    argument: bytes = b""

    @property
    def env_name(self) -> bytes:
        """The command that `#!/usr/bin/env NAME` looks up in PATH; empty where the first line is another."""
        name = self.argument if self.interpreter.rpartition(b"/")[2] == b"env" else b""
        return b"" if name.startswith(b"-") or b"=" in name or b" " in name else name


NONE: Final = Program("none")
UNKNOWN: Final = Program("unknown")


def program(content: Content, size: int) -> Program:
    """How the kernel would execute a file.

    :param content: the file's content. Only its beginning is read, and the parts to which the header of an ELF refers.
    :param size: of the file, in bytes.
    """
    head = content.read(min(size, _HEAD))
    if head.startswith(b"#!"):
        return _script(head[:_FIRST_LINE], size)
    if head.startswith(b"\x7fELF"):
        return _elf(head, content, size)
    return NONE


def _script(first: bytes, size: int) -> Program:
    line, newline, _ = first.partition(b"\n")
    words = line[2:].split(b"\0", 1)[0].strip(b" \t")
    path = words.replace(b"\t", b" ").split(b" ", 1)[0]
    # The kernel does not run a path that is cut off; it does run an argument that is.
    whole = newline or size < _FIRST_LINE or len(path) < len(words)
    if not path or not whole:
        return NONE
    return Program("script", interpreter=path, argument=words[len(path) :].strip(b" \t"))


def _elf(head: bytes, content: Content, size: int) -> Program:
    if len(head) < 64 or head[4] not in (1, 2) or head[5] not in (1, 2):
        return NONE
    wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
    kind, machine = struct.unpack_from(order + "HH", head, 16)
    if wide:
        table, entry_size, count = struct.unpack_from(order + "32xQ14xHH", head)
    else:
        table, entry_size, count = struct.unpack_from(order + "28xI10xHH", head)
    architecture = _MACHINES.get(machine, "") if order == "<" else ""
    architecture = architecture or _OTHERS.get(machine, f"machine {machine}")
    if kind not in (_EXECUTABLE, _SHARED) or entry_size != (56 if wide else 32) or not 0 < count <= 65536 // entry_size:
        return NONE
    reader = _Reader(head, content, size)
    entries = reader.at(table, entry_size * count)
    if entries is None:
        return NONE if table + entry_size * count > size else UNKNOWN
    for at in range(0, len(entries), entry_size):
        if struct.unpack_from(order + "I", entries, at)[0] == _PT_INTERP:
            offset, length = struct.unpack_from(order + ("8xQ16xQ" if wide else "4xI8xI"), entries, at)
            return _dynamic(architecture, offset, length, reader)
    return Program("elf", architecture)


def _dynamic(architecture: str, offset: int, length: int, reader: _Reader) -> Program:
    if not 2 <= length <= _MAX_PATH or offset + length > reader.size:
        return NONE
    path = reader.at(offset, length)
    if path is None:
        return UNKNOWN
    if not path.endswith(b"\0"):
        return NONE
    return Program("elf", architecture, interpreter=path.split(b"\0", 1)[0])


class _Reader:
    """Reads forward in a file whose beginning has been read."""

    def __init__(self, head: bytes, content: Content, size: int) -> None:
        self._head, self._content, self.size = head, content, size
        self._position = len(head)

    def at(self, offset: int, length: int) -> bytes | None:
        """The bytes at an offset; None if they were skipped or are not in the file."""
        if offset + length <= len(self._head):
            return self._head[offset : offset + length]
        if offset + length > self.size:
            return None
        if offset <= len(self._head) == self._position:
            self._head += self._read(offset + length - len(self._head))
            return self._head[offset : offset + length]
        if offset < self._position:
            return None
        self._position += self._content.skip(offset - self._position)
        return self._read(length)

    def _read(self, count: int) -> bytes:
        data = self._content.read(count)
        self._position += len(data)
        return data
