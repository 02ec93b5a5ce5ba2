"""Parses YAML into plain values with their lines, within limits: texts stay as they are written, such as 1.20.

The events of the parser are read one by one, so that no nesting and no alias can cost more than the limits allow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import UsageError
from .values import MAX_DEPTH, MAX_VALUES, Values

Tag = Callable[[str, Any], Any]
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_MERGE: Final = "<<"
_WORD: Final = re.compile(r"\S+")
# The parser takes the square of the time for a tag.
_MAX_TAG: Final = 50_000


@dataclass
class _Open:
    """A list or a mapping that is not complete yet."""

    value: Any
    tag: str | None
    anchor: str | None
    line: int
    lines: dict[Any, int] = field(default_factory=dict)
    key: Any = None
    key_line: int = 0
    has_key: bool = False
    size: int = 1


def parse_yaml(text: str, file: str, tag: Tag) -> Iterator[Values]:
    """The documents of a YAML text.

    :param text: the text.
    :param file: its file, for messages.
    :param tag: what a tag such as `!Sub` makes of its value.
    :raises UsageError: if it is not YAML, or exceeds a limit.
    """
    # Imported here: most runs read no YAML, and must start fast.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if any(word.end() - word.start() > _MAX_TAG and "!" in word[0] for word in _WORD.finditer(text)):
        raise UsageError(f"{file}: it has a tag of more than {_MAX_TAG:,} characters")
    builder = _Builder(file, tag)
    try:
        # Without the C extension, which has other limits.
        for event in YAML(typ="safe", pure=True).parse(text):
            if (document := builder.add(event)) is not None:
                yield document
    except MarkedYAMLError as e:
        line = e.problem_mark.line + 1 if e.problem_mark else 1
        raise UsageError(f"{file}:{line}: this is not valid YAML: {e.problem or e.context}") from e
    except (YAMLError, ArithmeticError, ValueError) as e:
        # The escape of a character that does not exist is an OverflowError of Python.
        raise UsageError(f"{file}: this is not valid YAML: {str(e).splitlines()[0]}") from e


class _Builder:
    """Makes values of events."""

    def __init__(self, file: str, tag: Tag) -> None:
        self._file, self._tag = file, tag
        self._start()

    def _start(self) -> None:
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._lines: dict[int, dict[Any, int]] = {}
        self._keep: list[Any] = []
        self._root: Any = None
        self._size = 0

    def add(self, event: Any) -> Values | None:
        """Add an event. The document, if it is complete."""
        kind = type(event).__name__
        line = event.start_mark.line + 1 if event.start_mark else 1
        if kind == "ScalarEvent":
            is_null = event.style is None and event.tag is None and event.value in _NULL
            self._put(None if is_null else event.value, 1, event.tag, event.anchor, line)
        elif kind == "AliasEvent":
            if event.anchor not in self._anchors:
                raise self._problem(line, f"the alias *{event.anchor} has no anchor &{event.anchor}")
            value, size = self._anchors[event.anchor]
            self._put(value, size, None, None, line)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            if len(self._open) >= MAX_DEPTH:
                raise self._problem(line, f"it is nested more than {MAX_DEPTH} levels deep")
            empty: Any = {} if kind == "MappingStartEvent" else []
            self._open.append(_Open(empty, event.tag, event.anchor, line))
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            done = self._open.pop()
            self._lines[id(done.value)] = done.lines
            self._keep.append(done.value)
            self._put(done.value, done.size, done.tag, done.anchor, done.line)
        elif kind == "DocumentEndEvent":
            document = Values(self._root, self._file, _line_finder(self._root, self._lines, self._keep))
            self._start()
            return document
        return None

    def _put(self, value: Any, size: int, tag: Any, anchor: str | None, line: int) -> None:
        if tag is not None and str(tag).startswith("!"):
            value = self._tag(str(tag), value)
        if anchor:
            self._anchors[anchor] = (value, size)
        self._size += size
        # An alias counts as often as it is used: a few lines can stand for billions of values.
        if self._size > MAX_VALUES:
            raise self._problem(line, f"it stands for more than {MAX_VALUES:,} values")
        if not self._open:
            self._root = value
            return
        above = self._open[-1]
        above.size += size
        if isinstance(above.value, list):
            above.lines[len(above.value)] = line
            above.value.append(value)
        elif not above.has_key:
            self._begin_pair(above, value, line)
        else:
            above.has_key = False
            if above.key == _MERGE:
                self._merge(above, value, line)
            else:
                above.value[above.key] = value
                above.lines[above.key] = above.key_line

    def _begin_pair(self, above: _Open, key: Any, line: int) -> None:
        if not isinstance(key, str | None):
            raise self._problem(line, "a key is a list or a mapping: use a text")
        # A merged key may be overridden, and has no line of its own.
        if key in above.lines and key != _MERGE:
            raise self._problem(line, f"the key {key} is repeated: remove one of the two")
        above.key, above.key_line, above.has_key = key, line, True

    def _merge(self, above: _Open, value: Any, line: int) -> None:
        merged = value if isinstance(value, list) else [value]
        for one in merged:
            if not isinstance(one, dict):
                raise self._problem(line, "<< merges a value that is not a mapping")
            for key, its in one.items():
                above.value.setdefault(key, its)

    def _problem(self, line: int, text: str) -> UsageError:
        return UsageError(f"{self._file}:{line}: {text}")


def _line_finder(root: Any, lines: dict[int, dict[Any, int]], keep: list[Any]) -> Callable[..., int]:
    """A function that gives the line of a path. `keep` holds the values, whose ids are the keys of `lines`."""

    def line_of(path: tuple[str | int, ...]) -> int:
        line, value = 1, root
        for part in path:
            line = lines.get(id(value), {}).get(part, line)
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                break
        return line if keep else 1

    return line_of
