"""Mutations of bytes and of JSON documents: what hostile or broken writers produce."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

# Replaced in the finished document: Python's own writer cannot nest so deeply, and has no such numbers.
_RAW: Final = {
    b'"@deep-list@"': b"[" * 50_000 + b"]" * 50_000,
    b'"@deep-object@"': b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b'"@digits@"': b"9" * 10_000,
    b'"@exponent@"': b"1e999999",
    b'"@half@"': b'"\\ud800x"',
    b'"@bytes@"': b'"\xff\xfe"',
}
_VALUES: Final[Sequence[Any]] = (
    *(raw.decode().strip('"') for raw in _RAW),
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    -(2**63),
    1.5,
    "",
    "\0",
    "x",
    "/",
    "../../etc/passwd",
    "\x1b[31m\u202e",
    "::error::x\n{}",
    "sha256:" + "0" * 64,
    "SHA256:" + "A" * 64,
    "linux",
    "http://" * 20_000,
    "x" * 300_000,
    "/".join("a" * 5_000),
    [],
    {},
    [[]],
    ["x"] * 20_000,
    [None],
    {"x": None},
)
_WORDS: Final = (
    b"\0" * 8,
    b"\xff" * 8,
    b"9" * 11,
    b"-1",
    b"%s%n",
    b"../",
    b"\x80" + b"\0" * 7 + b"\xff" * 4,
    b"ustar\0",
)


def mutated_bytes(rng: random.Random, content: bytes) -> bytes:
    """The content with one to four changes of its bytes."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        _BYTES[rng.randrange(len(_BYTES))](rng, data)
    return bytes(data)


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _delete(rng: random.Random, data: bytearray) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.choice((1, 8, 100, 512))]


def _repeat(rng: random.Random, data: bytearray) -> None:
    start = rng.randrange(len(data) + 1)
    piece = data[start : start + rng.choice((1, 10, 512, 1024))]
    data[start:start] = piece * rng.choice((1, 2, 50))


def _insert(rng: random.Random, data: bytearray) -> None:
    start = rng.randrange(len(data) + 1)
    data[start:start] = rng.choice((*_WORDS, rng.randbytes(rng.randint(1, 16))))


def _overwrite(rng: random.Random, data: bytearray) -> None:
    word = rng.choice((*_WORDS, rng.randbytes(rng.randint(1, 16))))
    start = rng.randrange(len(data) + 1)
    data[start : start + len(word)] = word


_BYTES: Final[Sequence[Callable[[random.Random, bytearray], None]]] = (
    _flip,
    _flip,
    _cut,
    _delete,
    _repeat,
    _insert,
    _overwrite,
    _overwrite,
)


def mutated_json(rng: random.Random, content: bytes) -> bytes:
    """A JSON document with one to three changes of its values, or of its bytes."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return mutated_bytes(rng, content)
    if rng.random() < 0.2:
        return mutated_bytes(rng, content)
    for _ in range(rng.randint(1, 3)):
        document = _changed(rng, document)
    changed = json.dumps(document).encode()
    for name, raw in _RAW.items():
        changed = changed.replace(name, raw, 20)
    return changed


def _changed(rng: random.Random, value: Any) -> Any:
    """The value with one change somewhere in it."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        kind = rng.random()
        if kind < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if kind < 0.2:
            return {**value, rng.choice((key.upper(), key.title(), key + "\u017f", "")): rng.choice(_VALUES)}
        return {**value, key: _changed(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        if rng.random() < 0.2:
            times = rng.choice((0, 2, 130, 5_000)) if len(str(value[at])) < 1_000 else 2
            return value[:at] + value[at : at + 1] * times + value[at + 1 :]
        return [*value[:at], _changed(rng, value[at]), *value[at + 1 :]]
    return rng.choice(_VALUES)
