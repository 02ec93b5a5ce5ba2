"""The stream that a report is written to: standard output, or a file that is never half written."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ..errors import UsageError
from ..temporary_name import temporary_name


@contextmanager
def open_output(file: str | None) -> Iterator[TextIO]:
    """The stream that a report is written to.

    A file is written under a temporary name beside it, and renamed when it is complete: a reader never sees half a
    report, and a run that fails leaves the previous report as it was. Characters that UTF-8 does not have, as in a
    file name that is not UTF-8, are escaped.

    :param file: the file's path; None for standard output.
    :raises UsageError: if the file cannot be written.
    """
    if file is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    if not file:
        raise UsageError("--output is empty: use the path of a file")
    path = Path(file)
    try:
        is_replaced = _is_replaced(path)
        written = temporary_name(path) if is_replaced else path
        stream = written.open("x" if is_replaced else "w", encoding="utf-8", errors="backslashreplace")
    except OSError as e:
        raise UsageError(f"--output {file}: {e.strerror}: use a file in a folder that you can write to") from e
    try:
        with stream:
            yield stream
        if is_replaced:
            written.replace(path)
    finally:
        if is_replaced:
            written.unlink(missing_ok=True)


def _is_replaced(path: Path) -> bool:
    """Whether a file is written under a temporary name first: a regular file, or a new one."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return True
    # A device or a pipe (/dev/null, /dev/stderr) is written in place: it must not be replaced by a file. So is a link:
    # the system then decides who may follow it, in a folder such as /tmp.
    # https://docs.kernel.org/admin-guide/sysctl/fs.html#protected-symlinks
    return stat.S_ISREG(mode)
