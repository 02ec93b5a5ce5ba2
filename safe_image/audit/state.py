"""What was judged, line by line on disk: memory does not grow with it, and a run that was killed goes on from it.

The first line says what was asked; each other line is one image's row. A line that was cut off in its middle is left
out, and images of which nothing could be told are asked about again.
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

from ..errors import UsageError
from ..formats.audit.audit_row import Row

_KIND: Final = "safe-image audit"


class AuditState:
    """The rows of one run.

    :param stream: a file that is read and appended to, of which the first line is written.
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
        """How many images are known."""
        return len(self._known)

    def knows(self, repository: str, digest: str) -> bool:
        """Whether an image was judged.

        :param repository: its repository's URI.
        """
        return _hash(repository, digest) in self._known

    def add(self, row: Row) -> None:
        """Keep a row; it is on disk when the next one is added."""
        self._stream.seek(0, os.SEEK_END)
        self._stream.write(_line(row))
        self._stream.flush()
        # 16 bytes of an image are what memory holds of it.
        self._known.add(_key(row))

    def rows(self) -> Iterator[Row]:
        """The rows, those of images in use first; none may be added meanwhile."""
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
def audit_state(file: str | None, question: Mapping[str, Any]) -> Iterator[AuditState]:
    """The state of a run.

    :param file: where it is kept, so that a run that ends before its time goes on from it; None keeps it no longer
        than the run.
    :param question: what is asked; a file that was begun with another question is refused.
    :raises UsageError: if the file is not of such a run, or cannot be written.
    """
    begin = {"kind": _KIND, **question}
    try:
        with _own(begin) if file is None else _kept(Path(file), begin) as stream:
            yield AuditState(stream)
    except OSError as e:
        where = f"--resume {file}" if file else tempfile.gettempdir()
        raise UsageError(f"{where}: {e.strerror}: name a file in a folder that can be written to") from e


@contextmanager
def _own(question: Mapping[str, Any]) -> Iterator[IO[str]]:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stream:
        stream.write(_line(question))
        yield stream


@contextmanager
def _kept(path: Path, question: Mapping[str, Any]) -> Iterator[IO[str]]:
    """The file as far as it is whole and told something, or a new one; nobody else writes it meanwhile."""
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with path.open("a+", encoding="utf-8") as old, new.open("w+", encoding="utf-8") as stream:
            _lock(old, path)
            _lock(stream, path)
            stream.write(_line(question))
            if path.stat().st_size:
                stream.writelines(map(_line, _read(path, question)))
            stream.flush()
            new.replace(path)
            yield stream
    finally:
        new.unlink(missing_ok=True)


def _read(path: Path, question: Mapping[str, Any]) -> Iterator[Row]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        begun = _decoded(next(lines, ""))
        if not begun or begun.get("kind") != _KIND:
            raise UsageError(f"--resume {path} is not a file of safe-image audit: name one that it wrote, or a new one")
        others = [name for name in question if question[name] != begun.get(name)]
        if others:
            raise UsageError(
                f"--resume {path} was begun with another {' and '.join(others)} "
                f"({', '.join(str(begun.get(name)) for name in others)}): ask the same, or name a new file"
            )
        for line in lines:
            row = _decoded(line)
            # Who uses what is asked anew.
            if row and row.get("verdict") != "unknown" and not row.get("in_use_by"):
                yield row


def _decoded(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _lock(stream: IO[str], path: Path) -> None:
    """Two runs must not write one file; where the system has no such locks, they may."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"--resume {path} is being written by another run: wait for it, or name another file"
        ) from None


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, separators=(",", ":")) + "\n"


def _key(row: Row) -> bytes:
    # What could not be asked has no digest.
    return _hash(row["repository"], row["digest"] or row["reference"])


def _hash(repository: str, digest: str) -> bytes:
    return hashlib.blake2b(f"{repository}@{digest}".encode(), digest_size=16).digest()
