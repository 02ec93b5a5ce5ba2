"""Decodes JSON as Go's encoding/json does into a struct, since that is what every engine does.

A config whose `Cmd` is a string, or whose `created` is not a date, is refused by the engine's decoder before
anything else is looked at. The shapes of the structs are data (see `schemas.py`), the errors are in Go's
words, so that they read as in the engine's log: https://pkg.go.dev/encoding/json#Unmarshal
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from ..text import shortened

# Deeper documents are refused by Go at 10,000; Python's own parser stops far earlier, and no image comes near.
_MAX_INT64: Final = 2**63 - 1
# The most characters of a text in a message: each copy of a whole one may need an eighth of the Lambda's memory.
_MAX_QUOTED: Final = 400
_TIME: Final = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})([.,]\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII)


_HALF_PAIR: Final = re.compile("[\ud800-\udfff]")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/\r\n]", re.ASCII)


class GoJsonError(ValueError):
    """The error of Go's decoder for a document that does not fit the struct."""


@dataclass(frozen=True)
class Scalar:
    """A Go scalar: its zero value, and the name that Go's errors give it."""

    go: str
    zero: Any


STRING: Final = Scalar("string", "")
DIGEST: Final = Scalar("digest.Digest", "")
INT: Final = Scalar("int", 0)
INT64: Final = Scalar("int64", 0)
BOOL: Final = Scalar("bool", False)
TIME: Final = Scalar("time.Time", "")
BYTE: Final = Scalar("uint8", 0)
BYTES: Final = Scalar("[]uint8", b"")
RAW: Final = Scalar("json.RawMessage", None)


@dataclass(frozen=True)
class ListOf:
    """A Go slice."""

    item: Shape


@dataclass(frozen=True)
class MapOf:
    """A Go map with string keys."""

    item: Shape


@dataclass(frozen=True)
class Struct:
    """A Go struct: its type as errors name it, its fields by JSON name, and whether it is behind a pointer."""

    go: str
    fields: Mapping[str, Shape]
    pointer: bool = False

    @property
    def name(self) -> str:
        """The type's name without its package."""
        return self.go.rpartition(".")[2]

    @cached_property
    def folded(self) -> Mapping[str, str]:
        """The fields' names by themselves as Go compares them."""
        return {_fold(name): name for name in self.fields}

    @cached_property
    def zeros(self) -> tuple[Mapping[str, Any], tuple[tuple[str, Shape], ...]]:
        """The zero values of all fields, and the fields whose values must not be shared: those are made anew."""
        shared = {name: zero(field) for name, field in self.fields.items()}
        return shared, tuple(
            (name, self.fields[name]) for name, value in shared.items() if isinstance(value, (dict, list))
        )


@dataclass(frozen=True)
class StringOrList:
    """Docker's strslice.StrSlice: a string stands for a list of one."""


Shape = Scalar | ListOf | MapOf | Struct | StringOrList


class _Number(str):
    """A number with a fraction, an exponent or too many digits, which no integer field accepts."""

    __slots__ = ()


def _integer(text: str) -> int | _Number:
    # Python gives up at 4,300 digits, or needs very long.
    return int(text) if len(text) <= len(str(-_MAX_INT64)) else _Number(text)


class JsonText:
    """A document that is parsed once, however many structs are filled from it.

    :param content: the document's bytes.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._error = ""
        self._value: Any = None
        try:
            self._value = _parse(content)
        except GoJsonError as e:
            self._error = str(e)

    def fill(self, shape: Struct | MapOf, *, since_1_24: bool = False) -> dict[str, Any]:
        """The document as the struct or map that Go would have filled.

        :param shape: the struct or map. Fields that the document lacks, or has as null, hold Go's zero value.
        :param since_1_24: whether errors name the outermost struct, as from Go 1.24 on, or the innermost one.
        :raises GoJsonError: in Go's words, where Go would have refused the document.
        """
        if self._error:
            raise GoJsonError(self._error)
        value: dict[str, Any] = _Filler(since_1_24).fill(self._value, shape, zero(shape), "", "")
        return value


def decode(content: bytes, shape: Struct) -> dict[str, Any]:
    """The document as the struct that Go would have filled.

    :param content: the document's bytes.
    :param shape: the struct.
    :raises GoJsonError: in Go's words, where Go would have refused the document.
    """
    return JsonText(content).fill(shape)


def decode_list(content: bytes, shape: Struct) -> list[dict[str, Any]]:
    """The document as the list of structs that Go would have filled; a null is an empty list.

    :param content: the document's bytes.
    :param shape: the struct.
    :raises GoJsonError: in Go's words, where Go would have refused the document.
    """
    value: list[dict[str, Any]] = _Filler(since_1_24=True).fill(_parse(content), ListOf(shape), [], "", "")
    return value


def _parse(content: bytes) -> Any:
    try:
        # Go replaces bytes that are not UTF-8 and goes on.
        return json.loads(
            content.decode("utf-8", errors="replace"),
            object_pairs_hook=_Object,
            parse_float=_Number,
            parse_int=_integer,
            parse_constant=_refuse_constant,
        )
    except RecursionError as e:
        raise GoJsonError("exceeded max depth") from e
    except json.JSONDecodeError as e:
        raise GoJsonError(_syntax_error(e)) from e
    except GoJsonError:
        raise
    except ValueError as e:
        raise GoJsonError(str(e)) from e


class _Object(list[tuple[str, Any]]):
    """A JSON object as its pairs in order, since Go lets the last of several equal keys win."""


def _refuse_constant(name: str) -> Any:
    raise GoJsonError(f"invalid character '{name[0]}' looking for beginning of value")


# The place of a character that Go does not expect, by the message of Python's parser.
_UNEXPECTED: Final = {
    "Extra data": "after top-level value",
    "Expecting property name": "looking for beginning of object key string",
    "Expecting ':'": "after object key",
    "Expecting ','": "after object key:value pair",
}


def _syntax_error(e: json.JSONDecodeError) -> str:
    # Go names the byte at which it stops.
    rest = e.doc[e.pos :].lstrip(" \t\r\n").encode("utf-8", "replace").decode("latin-1")
    if not rest or e.msg.startswith("Unterminated"):
        return "unexpected end of JSON input"
    if e.msg.startswith("Invalid control character"):
        return f"invalid character {e.doc[e.pos]!r} in string literal"
    if e.msg.startswith("Invalid \\escape"):
        return f"invalid character {e.doc[e.pos + 1 : e.pos + 2]!r} in string escape code"
    place = next((place for message, place in _UNEXPECTED.items() if e.msg.startswith(message)), "")
    if place:
        return f"invalid character '{rest[0]}' {place}"
    literal = next((literal for literal in ("true", "false", "null") if rest[0] == literal[0]), "")
    return _literal_error(rest, literal) if literal else f"invalid character '{rest[0]}' looking for beginning of value"


def _literal_error(rest: str, literal: str) -> str:
    wrong = next((i for i, c in enumerate(literal) if rest[i : i + 1] != c), 0)
    if wrong >= len(rest):
        return "unexpected end of JSON input"
    return f"invalid character '{rest[wrong]}' in literal {literal} (expecting '{literal[wrong]}')"


def zero(shape: Shape) -> Any:
    """Go's zero value of a shape."""
    if isinstance(shape, Scalar):
        return shape.zero
    if isinstance(shape, Struct):
        return None if shape.pointer else _zero_fields(shape)
    return {} if isinstance(shape, MapOf) else []


def _zero_fields(shape: Struct) -> dict[str, Any]:
    shared, own = shape.zeros
    return {**shared, **{name: zero(field) for name, field in own}}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "number"
    if isinstance(value, _Number):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, _Object) else "array"


def _go_type(shape: Shape) -> str:
    if isinstance(shape, ListOf):
        return f"[]{_go_type(shape.item)}"
    if isinstance(shape, MapOf):
        return f"map[string]{_go_type(shape.item)}"
    if isinstance(shape, StringOrList):
        return "[]string"
    return shape.go


def _mismatch(value: Any, shape: Shape, struct: str, path: str) -> GoJsonError:
    where = f"Go struct field {struct}.{path} of type" if path else "Go value of type"
    exact = f" {value}" if isinstance(value, _Number) and isinstance(shape, Scalar) and type(shape.zero) is int else ""
    return GoJsonError(f"json: cannot unmarshal {_kind(value)}{exact} into {where} {_go_type(shape)}")


def _fold(name: str) -> str:
    """A field's name as Go compares it: https://pkg.go.dev/unicode#SimpleFold, as far as it reaches ASCII."""
    return name.replace("\N{LATIN SMALL LETTER LONG S}", "s").lower()


@dataclass(frozen=True)
class _Filler:
    """Fills a struct from parsed JSON."""

    since_1_24: bool

    def fill(self, value: Any, shape: Shape, old: Any, struct: str, path: str) -> Any:
        """The value that Go leaves in a field of this shape, where `old` was before."""
        if shape is RAW:
            return value if value is not None else "null"
        if value is None:
            # A null empties what can be nil, and leaves everything else as it was.
            nil = isinstance(shape, (ListOf, MapOf, StringOrList)) or (isinstance(shape, Struct) and shape.pointer)
            return zero(shape) if nil else old
        if isinstance(shape, Scalar):
            if shape is BYTES and isinstance(value, list) and not isinstance(value, _Object):
                return bytes(self.fill(v, BYTE, 0, struct, path) for v in value)
            return _fill_scalar(value, shape, struct, path)
        if isinstance(shape, Struct):
            return self._fill_struct(value, shape, old, struct, path)
        if isinstance(shape, MapOf):
            return self._fill_map(value, shape, old, struct, path)
        if isinstance(shape, StringOrList) and isinstance(value, str) and not isinstance(value, _Number):
            return [_text(value)]
        return self._fill_list(value, shape, old, struct, path)

    def _fill_map(self, value: Any, shape: MapOf, old: Any, struct: str, path: str) -> Any:
        if not isinstance(value, _Object):
            raise _mismatch(value, shape, struct, path)
        for k, v in value:
            old[_text(k)] = self.fill(v, shape.item, zero(shape.item), struct, path)
        return old

    def _fill_list(self, value: Any, shape: ListOf | StringOrList, old: Any, struct: str, path: str) -> list[Any]:
        if not isinstance(value, list) or isinstance(value, _Object):
            raise _mismatch(value, shape, struct, path)
        item = shape.item if isinstance(shape, ListOf) else STRING
        if (item is STRING or item is DIGEST) and all(type(v) is str for v in value):
            return [_text(v) for v in value]
        # Where a key comes again, its list is filled in over the old one; only strslice makes a new one.
        kept = old if isinstance(shape, ListOf) else []
        return [self.fill(v, item, kept[i] if i < len(kept) else zero(item), struct, path) for i, v in enumerate(value)]

    def _fill_struct(self, value: Any, shape: Struct, old: Any, struct: str, path: str) -> dict[str, Any]:
        if not isinstance(value, _Object):
            raise _mismatch(value, shape, struct, path)
        filled: dict[str, Any] = old or _zero_fields(shape)
        named = struct if self.since_1_24 and struct else shape.name
        for key, v in value:
            name = key if key in shape.fields else shape.folded.get(_fold(key))
            if name is not None:
                below = f"{path}.{name}" if path else name
                filled[name] = self.fill(v, shape.fields[name], filled[name], named, below)
        return filled


def _fill_scalar(value: Any, shape: Scalar, struct: str, path: str) -> Any:
    if type(value) is str and type(shape.zero) is str and shape is not TIME:
        return _text(value)
    if shape is BOOL and isinstance(value, bool):
        return value
    if type(shape.zero) is int and isinstance(value, int) and not isinstance(value, bool):
        least, most = (0, 255) if shape is BYTE else (-_MAX_INT64 - 1, _MAX_INT64)
        if not least <= value <= most:
            raise GoJsonError(
                f"json: cannot unmarshal number {value} into Go struct field {struct}.{path} of type {shape.go}"
            )
        return value
    if shape is TIME:
        return _time(value)
    if shape is BYTES and type(value) is str:
        return _base64(value)
    raise _mismatch(value, shape, struct, path)


def _text(value: str) -> str:
    """The text as Go has it: https://pkg.go.dev/encoding/json#Unmarshal replaces halves of surrogate pairs."""
    return value if value.isascii() else _HALF_PAIR.sub("\N{REPLACEMENT CHARACTER}", value)


def _base64(value: str) -> bytes:
    # Imported here: hardly any document has such bytes, and the command must start fast.
    import base64

    text = value.replace("\r", "").replace("\n", "")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as e:
        wrong = next((i for i, c in enumerate(value) if not _BASE64.match(c)), len(value) // 4 * 4)
        raise GoJsonError(f"illegal base64 data at input byte {wrong}") from e


def _time(value: Any) -> str:
    if not isinstance(value, str) or isinstance(value, _Number):
        raise GoJsonError("Time.UnmarshalJSON: input is not a JSON string")
    match = _TIME.fullmatch(value)
    layout, quoted = "2006-01-02T15:04:05Z07:00", shortened(value, _MAX_QUOTED)
    if not match:
        raise GoJsonError(f'parsing time "{quoted}" as "{layout}": cannot parse "{quoted}" as "2006"')
    try:
        # Go's calendar has a year 0, Python's has not; 4 is a leap year like it.
        datetime.fromisoformat(f"{match[1].replace('0000', '0004', 1)}T{match[2]}")
    except ValueError as e:
        raise GoJsonError(f'parsing time "{quoted}": {_out_of_range(match)} out of range') from e
    return value


def _out_of_range(match: re.Match[str]) -> str:
    _, month, _ = match[1].split("-")
    hour, minute, second = match[2].split(":")
    if not 1 <= int(month) <= 12:
        return "month"
    if int(hour) > 23:
        return "hour"
    if int(minute) > 59:
        return "minute"
    if int(second) > 59:
        return "second"
    return "day"
