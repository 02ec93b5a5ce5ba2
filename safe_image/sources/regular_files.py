"""Opens files that others have written: regular ones only, since a FIFO or a device may never end, or never answer."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO, Final, Literal

from image_verifier.faults import Fault

# A FIFO that takes the file's place after the check must not block the process; Windows has no such flag.
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_ADVICE: Final = "Replace it with a copy of the file that it stands for."


def file_kind(path: Path) -> Literal["file", "folder", "other", ""]:
    """The kind of file at a path; empty where there is none, or the text cannot be a path.

    :param path: the path; links are followed.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"


def open_regular(path: Path) -> IO[bytes] | None:
    """A file, open for reading; None where there is no such file.

    :param path: the file, or a link to it.
    :raises Fault: if it is not a regular file, or cannot be read.
    """
    if regular_size(path) is None:
        return None
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as e:
        raise _unreadable(path, e) from e
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise _irregular(path)
    return file


def regular_size(path: Path) -> int | None:
    """A file's size in bytes; None where there is no such file.

    :param path: the file, or a link to it.
    :raises Fault: if it is not a regular file, or cannot be looked at.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as e:
        raise _unreadable(path, e) from e
    if not stat.S_ISREG(status.st_mode):
        raise _irregular(path)
    return status.st_size


def _irregular(path: Path) -> Fault:
    return Fault(f"{path} is not a regular file, but a folder, a pipe or a device", _ADVICE)


def _unreadable(path: Path, error: OSError | ValueError) -> Fault:
    return Fault(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")
