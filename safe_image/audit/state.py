"""The rows of an audit, line by line on disk: memory does not grow with them, and a run that was killed can resume.

The first line has the run's settings; each other line is one image's row. A line that was cut off is ignored, and
images with an unknown verdict are verified again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from image_verifier.audit.row import ROW_FIELDS, Row

from ..errors import UsageError
from ..temporary_name import temporary_name

_KIND: Final = "safe-image audit"


class AuditState:
    """The rows of one run.

    :param stream: a file that is read and appended to. It already has its first line.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        stream.flush()
        stream.seek(0)
        stream.readline()
        self._start = stream.tell()
        self._known = set(map(_key, self._lines()))

    @property
    def count(self) -> int:
        """The number of images that have a row."""
        return len(self._known)

    def knows(self, repository: str, digest: str) -> bool:
        """Whether an image has a row.

        :param repository: its repository's URI.
        :param digest: its digest.
        """
        return _hash(repository, digest) in self._known

    def add(self, row: Row) -> None:
        """Write a row to disk."""
        self._stream.seek(0, os.SEEK_END)
        self._stream.write(_line(row))
        self._stream.flush()
        # Memory holds 16 bytes of each image.
        self._known.add(_key(row))

    def rows(self) -> Iterator[Row]:
        """The rows, those of images in use first. No row may be added meanwhile."""
        used = set()
        for row in self._lines():
            if row["in_use_by"]:
                used.add(_key(row))
                yield row
        yield from (row for row in self._lines() if not row["in_use_by"] and _key(row) not in used)

    def _lines(self) -> Iterator[Row]:
        self._stream.flush()
        self._stream.seek(self._start)
        return map(json.loads, iter(self._stream.readline, ""))


@contextmanager
def audit_state(file: str | None, settings: Mapping[str, Any]) -> Iterator[AuditState]:
    """The state of a run.

    :param file: the file from which an interrupted run resumes; None for a temporary file.
    :param settings: the settings of the run; a file with other settings is refused.
    :raises UsageError: if the file is not of such a run, or cannot be written.
    """
    first_line = {"kind": _KIND, **settings}
    try:
        with _temporary(first_line) if file is None else _resumed(Path(file), first_line) as stream:
            yield AuditState(stream)
    except OSError as e:
        where = f"--resume {file}" if file else tempfile.gettempdir()
        raise UsageError(f"{where}: {e.strerror}: use a file in a writable folder") from e


@contextmanager
def _temporary(settings: Mapping[str, Any]) -> Iterator[IO[str]]:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stream:
        stream.write(_line(settings))
        yield stream


@contextmanager
def _resumed(path: Path, settings: Mapping[str, Any]) -> Iterator[IO[str]]:
    """The file with its complete and known rows, or a new one. It is locked against other runs."""
    new = temporary_name(path)
    try:
        with path.open("a+", encoding="utf-8") as old, new.open("x+", encoding="utf-8") as stream:
            _lock(old, path)
            _lock(stream, path)
            stream.write(_line(settings))
            if path.stat().st_size:
                stream.writelines(map(_line, _read(path, settings)))
            stream.flush()
            new.replace(path)
            yield stream
    finally:
        new.unlink(missing_ok=True)


def _read(path: Path, settings: Mapping[str, Any]) -> Iterator[Row]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        first = _decoded(next(lines, ""))
        if not first or first.get("kind") != _KIND:
            raise UsageError(f"--resume {path} is not a state file of safe-image audit: use its own, or a new file")
        others = [name for name in settings if settings[name] != first.get(name)]
        if others:
            raise UsageError(
                f"--resume {path} was written with another {' and '.join(others)} "
                f"({', '.join(str(first.get(name)) for name in others)}): use the same settings, or a new file"
            )
        for line in lines:
            row = _decoded(line)
            # The images in use are listed anew.
            if row and row.keys() >= ROW_FIELDS and row["verdict"] != "unknown" and not row["in_use_by"]:
                yield row


def _decoded(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _lock(stream: IO[str], path: Path) -> None:
    """Lock the file against other runs, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"--resume {path} is in use by another run: wait for it, or use another file") from None


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, separators=(",", ":")) + "\n"


def _key(row: Row) -> bytes:
    # A row without a report has no digest.
    return _hash(row["repository"], row["digest"] or row["reference"])


def _hash(repository: str, digest: str) -> bytes:
    return hashlib.blake2b(f"{repository}@{digest}".encode(), digest_size=16).digest()
