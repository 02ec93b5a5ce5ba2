"""The registry of mutations, and the parts that several of them use.

A mutation changes one thing of an image, at random. Its kind is its function's name. `FACTS` has the kinds whose change
is visible in manifest and config; `BYTES` has the kinds whose change only the layers' bytes show. A few variants of a
kind may need less than its registry says.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from release.engines.drafts import Draft, Edit

Mutation = Callable[[random.Random, Draft], None]
FACTS: Final[dict[str, Mutation]] = {}
BYTES: Final[dict[str, Mutation]] = {}

# Values of every JSON type, which replace another value.
VALUES: Final[Sequence[Any]] = (
    "x",
    "",
    0,
    -1,
    1.5,
    10**20,
    True,
    None,
    [],
    {},
    ["x"],
    {"x": "y"},
    [1],
    {"x": 1},
    "0",
    "2026",
)


def kind_of(kinds: dict[str, Mutation]) -> Callable[[Mutation], Mutation]:
    """Register a mutation.

    :param kinds: `FACTS` or `BYTES`.
    """

    def register(mutation: Mutation) -> Mutation:
        kinds[mutation.__name__.replace("_", "-")] = mutation
        return mutation

    return register


def flipped(content: bytes, at: float) -> bytes:
    """The content with one byte changed.

    :param at: the place, from 0 to 1.
    """
    position = int(len(content) * at)
    return content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :] if content else b"x"


def json_edit(rng: random.Random) -> Edit:
    """An edit that breaks a JSON document, or writes the same value in an unusual way."""
    at = rng.random()
    return rng.choice(
        (
            lambda content: content + b"\n",
            lambda content: content + b"x",
            lambda content: content + b"{}",
            lambda content: content + b"\0",
            lambda content: b"\xef\xbb\xbf" + content,
            lambda content: b" \n\t" + content,
            lambda content: content[: int(len(content) * at)],
            lambda content: b"[" + content + b"]",
            lambda content: b"null",
            lambda content: b"{}",
            lambda content: b"",
            lambda content: b"1",
            lambda content: b'"x"',
            lambda content: content.replace(b'": "', b'": "\xff', 1),
            lambda content: content.replace(b'": "', b'": "\\ud800', 1),
            lambda content: content.replace(b'": "', b'": "\x01', 1),
            lambda content: content.replace(b'": "', b'": "\\x', 1),
            lambda content: content.replace(b"{", b'{"more": NaN, ', 1),
            lambda content: content.replace(b"{", b'{"more": Infinity, ', 1),
            lambda content: content.replace(b"{", b'{"more": 1e400, ', 1),
            lambda content: content.replace(b"{", b'{"more": 01, ', 1),
            lambda content: content.replace(b"{", b'{"more": -0, ', 1),
            lambda content: content.replace(b"{", b'{"more": .5, ', 1),
            lambda content: content.replace(b"{", b'{"more": 1., ', 1),
            lambda content: content.replace(b"{", b"{'more': 1, ", 1),
            lambda content: content.replace(b"{", b"{/* */", 1),
            lambda content: content.replace(b"{", b'{"more": ' + b"[" * 200 + b"]" * 200 + b", ", 1),
            lambda content: content.replace(b"}", b",}", 1),
            lambda content: content.replace(b", ", b",, ", 1),
            lambda content: content.replace(b"digest", b"Digest"),
            lambda content: content.replace(b"layers", b"LAYERS"),
            lambda content: content.replace(b"rootfs", b"RootFS"),
            lambda content: content.replace(b"config", b"Config"),
            lambda content: content.replace(b"config", "con\N{LATIN SMALL LIGATURE FI}g".encode()),
            lambda content: content.replace(b"digest", "dige\N{LATIN SMALL LETTER LONG S}t".encode()),
            lambda content: content[:-1] + b', "rootfs": {"diff_ids": []}}',
            lambda content: content[:-1] + b', "config": null}',
            lambda content: content[:-1] + b', "layers": null}',
            lambda content: content[:-1] + b', "Layers": []}',
            lambda content: content[:-1] + b', "CONFIG": {}}',
            lambda content: content[:-1] + b', "config": {"Cmd": ["/other"]}}',
        )
    )
