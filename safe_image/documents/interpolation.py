"""Replaces the variables of Compose files: https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from .unknown import Unknown, concatenate

_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_OPERATOR: Final = re.compile(r":?[-?+]")
# No image's name is longer, and variables within variables cost the square of the text.
_LONGEST: Final = 10_000
ValueOf = Callable[[str], str | None]


def interpolated(text: str, value_of: ValueOf) -> str | Unknown:
    """A text with its variables replaced; `Unknown` if one of them has no value.

    :param text: such as `shop:${TAG:-latest}`.
    :param value_of: the value of a variable; None if it has none.
    """
    if len(text) > _LONGEST:
        return Unknown(f"{text[:40]}…", f"a text of more than {_LONGEST:,} characters", "Shorten it")
    parts: list[str | Unknown] = []
    start = 0
    while (at := text.find("$", start)) >= 0:
        parts.append(text[start:at])
        name = _NAME.match(text, at + 1)
        if text[at + 1 : at + 2] == "{":
            end = _closing(text, at + 1)
            parts.append(_braced(text[at + 2 : end], value_of))
            start = end + 1
        elif name:
            parts.append(_plain(name[0], value_of))
            start = name.end()
        else:
            # Two dollar signs stand for one.
            parts.append("$")
            start = at + (2 if text[at + 1 : at + 2] == "$" else 1)
    return concatenate([*parts, text[start:]])


def _closing(text: str, opening: int) -> int:
    """The position of the brace that closes another; the end of the text if none does."""
    depth = 0
    for at in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return len(text)


def _braced(expression: str, value_of: ValueOf) -> str | Unknown:
    name = _NAME.match(expression)
    operator = _OPERATOR.match(expression, name.end()) if name else None
    if name is None or operator is None:
        return _plain(expression, value_of)
    value, other = value_of(name[0]), expression[operator.end() :]
    # With a colon, an empty value counts as none.
    has_value = bool(value) if operator[0].startswith(":") else value is not None
    if operator[0].endswith("+"):
        return interpolated(other, value_of) if has_value else ""
    if has_value:
        return value or ""
    return interpolated(other, value_of) if operator[0].endswith("-") else _plain(name[0], lambda _: None)


def _plain(name: str, value_of: ValueOf) -> str | Unknown:
    value = value_of(name)
    return Unknown(f"${{{name}}}", f"the variable {name}", f"Pass --set {name}=VALUE") if value is None else value
