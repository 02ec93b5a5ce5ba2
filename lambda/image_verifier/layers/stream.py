"""A stream of chunks in which most bytes are skipped and never copied."""

from __future__ import annotations

from collections.abc import Iterable


class Stream:
    """The bytes of a tar, in chunks."""

    __slots__ = ("_before", "_chunk", "_chunks", "_next", "_size")

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = b""
        self._size = self._next = self._before = 0

    @property
    def position(self) -> int:
        """The number of bytes read and skipped so far."""
        return self._before + self._next

    def read(self, count: int) -> bytes:
        """The next bytes; fewer only at the end."""
        end = self._next + count
        if end <= self._size:
            data = self._chunk[self._next : end]
            self._next = end
            return data
        parts = [self._chunk[self._next :]]
        missing = end - self._size
        while missing and self._more():
            part = self._chunk[:missing]
            self._next = len(part)
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, count: int) -> int:
        """Skip the next bytes.

        :returns: how many bytes there were.
        """
        end = self._next + count
        if end <= self._size:
            self._next = end
            return count
        missing = end - self._size
        while missing and self._more():
            self._next = min(missing, self._size)
            missing -= self._next
        return count - missing

    def skip_to(self, position: int) -> int:
        """Skip the bytes before this position.

        :returns: the position now, which is an earlier one only at the end.
        """
        start = self._before + self._next
        return start + self.skip(position - start)

    def _more(self) -> bool:
        self._before += self._size
        self._chunk = next(self._chunks, b"")
        self._size, self._next = len(self._chunk), 0
        return self._size > 0
