"""The rows of a sweep on disk, so that a report can read them twice, and memory does not grow with them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import IO

from image_verifier.audit.row import Row


class RowSpool:
    """Rows in temporary files: those of images in use, and all others."""

    def __init__(self) -> None:
        self._files = ExitStack()
        self._used, self._others = (self._files.enter_context(_file()) for _ in range(2))

    def __enter__(self) -> RowSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def add(self, row: Row) -> None:
        """Add a row."""
        stream = self._used if row["in_use_by"] else self._others
        stream.write(json.dumps(row, separators=(",", ":")) + "\n")

    def rows(self) -> Iterator[Row]:
        """The rows, those of images in use first. No row may be added meanwhile."""
        for stream in (self._used, self._others):
            stream.seek(0)
            yield from map(json.loads, iter(stream.readline, ""))


def _file() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8")
