"""The limits of JSON in a file: a few bytes can stand for a value, which takes Python a hundred."""

from __future__ import annotations

from typing import Final

# With these, no file takes more than about 2 GiB of memory.
MAX_JSON_BYTES: Final = 256 * 1024 * 1024
MAX_JSON_VALUES: Final = 8_000_000


def exceeded_limit(text: str | bytes) -> str:
    """The limit that a JSON text exceeds, as a clause; empty if it exceeds none.

    :param text: the text, read up to one byte more than `MAX_JSON_BYTES`.
    """
    if len(text) > MAX_JSON_BYTES:
        return f"it has more than {MAX_JSON_BYTES:,} bytes"
    # Each value but the first of a list or mapping is behind a comma.
    counts = map(text.count, (b",", b"[", b"{")) if isinstance(text, bytes) else map(text.count, (",", "[", "{"))
    if sum(counts) > MAX_JSON_VALUES:
        return f"it has more than {MAX_JSON_VALUES:,} values"
    return ""
