"""Where a report is written to: standard output, or a file that is either whole or not there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ..errors import UsageError


@contextmanager
def open_output(file: str | None) -> Iterator[TextIO]:
    """The stream to write a report to.

    A file is written under a temporary name beside it, and takes its place when it is whole: whoever reads it never
    sees half a report, and a run that fails leaves the last one as it was.

    :param file: the file's path; None for standard output.
    :raises UsageError: if nothing can be written there.
    """
    if file is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    path = Path(os.path.realpath(file))
    # A device or a pipe (/dev/null, /dev/stderr) cannot be replaced, and must not be.
    replaced = path.is_file() or not path.exists()
    name = path.with_name(f".{path.name}.{os.getpid()}.tmp") if replaced else path
    try:
        stream = name.open("w", encoding="utf-8")
    except OSError as e:
        raise UsageError(f"--output {file}: {e.strerror}: name a file in a folder that can be written to") from e
    try:
        with stream:
            yield stream
        if replaced:
            name.replace(path)
    finally:
        if replaced:
            name.unlink(missing_ok=True)
