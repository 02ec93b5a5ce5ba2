"""Parses JSON into plain values, and finds the line of a value only when it is asked for: a plan may have 50 MB."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import Any, Final

from ..errors import UsageError
from ..sources.json_limits import exceeded_limit
from .values import MAX_DEPTH, Values

_BLANK: Final = " \t\r\n"
# Lines are counted once for each part of a text. A list of all line ends could take more memory than the text.
_PART: Final = 1 << 16


def parse_json(text: str, file: str) -> Values:
    """The value of a JSON text.

    :param text: the text.
    :param file: its file, for messages.
    :raises UsageError: if it is not JSON, or exceeds a limit.
    """
    if limit := exceeded_limit(text):
        raise UsageError(f"{file}: {limit}, the limit for JSON: use a file of fewer resources")
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as e:
        raise UsageError(f"{file}:{e.lineno}: this is not valid JSON: {e.msg}") from e
    except _RepeatedKeyError as e:
        raise UsageError(f"{file}: the key {e} is repeated: remove one of the two") from e
    except RecursionError as e:
        raise UsageError(f"{file}: it is nested more than {MAX_DEPTH} levels deep") from e
    except ValueError as e:
        # Python converts no number of more than 4,300 digits.
        raise UsageError(f"{file}: a number has too many digits") from e
    finder = _Finder(text)
    return Values(value, file, finder.line_of)


class _RepeatedKeyError(ValueError):
    """A mapping has a key twice."""


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise _RepeatedKeyError(next(key for key, count in counts.items() if count > 1))
    return value


class _Finder:
    """Finds the lines of values in a text that is known to be JSON."""

    def __init__(self, text: str) -> None:
        self._text = text
        parts = range(0, len(text), _PART)
        self._lines_before = [0, *accumulate(text.count("\n", start, start + _PART) for start in parts)]
        self._decode = json.JSONDecoder().raw_decode
        self._children = cache(self._find_children)

    def line_of(self, path: tuple[str | int, ...]) -> int:
        """The line of the value at a path, or of the last part of the path that exists."""
        # A plan is one line.
        if not self._lines_before[-1]:
            return 1
        at = self._skip(0)
        for part in path:
            children = self._children(at)
            if part not in children:
                break
            at = children[part]
        part = at // _PART
        return self._lines_before[part] + self._text.count("\n", part * _PART, at) + 1

    def _find_children(self, at: int) -> dict[str | int, int]:
        """Where the values of a list or a mapping begin."""
        found: dict[str | int, int] = {}
        is_mapping = self._text[at] == "{"
        if not is_mapping and self._text[at] != "[":
            return found
        at = self._skip(at + 1)
        while self._text[at] not in "]}":
            key: str | int = len(found)
            if is_mapping:
                key, at = self._decode(self._text, at)
                at = self._skip(self._skip(at) + 1)
            found[key] = at
            at = self._skip(self._decode(self._text, at)[1])
            if self._text[at] == ",":
                at = self._skip(at + 1)
        return found

    def _skip(self, at: int) -> int:
        while self._text[at] in _BLANK:
            at += 1
        return at
