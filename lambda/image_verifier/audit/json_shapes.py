"""The shapes of JSON that somebody else may have written: a reader relies on nothing that a shape does not promise.

A shape is a function of a value. It returns the place of the first part that differs, such as `rules.0.pattern`, which
is empty for the value itself; None if the value has the shape.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final

Shape = Callable[[Any], "str | None"]

# More does not fit into the integers of other readers of the reports.
_LARGEST: Final = 2**63 - 1


def strict_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    :param text: the text.
    :raises ValueError: if it is not JSON, or has a number that is not one in JSON, such as NaN.
    :raises RecursionError: if it is nested too deeply.
    """
    return json.loads(text, parse_constant=_finite, parse_float=_finite)


def string(value: Any) -> str | None:
    """A string."""
    return None if isinstance(value, str) else ""


def flag(value: Any) -> str | None:
    """True or false."""
    return None if isinstance(value, bool) else ""


def count(value: Any) -> str | None:
    """A number of things: an integer from 0."""
    return None if type(value) is int and 0 <= value <= _LARGEST else ""


def mapping(value: Any) -> str | None:
    """An object, whatever its members are."""
    return None if isinstance(value, dict) else ""


def optional(shape: Shape) -> Shape:
    """Null, or a value of a shape."""
    return lambda value: None if value is None else shape(value)


def list_of(shape: Shape, *, at_least: int = 0) -> Shape:
    """A list of values of one shape.

    :param shape: their shape.
    :param at_least: the smallest number of them.
    """

    def check(value: Any) -> str | None:
        if not isinstance(value, list) or len(value) < at_least:
            return ""
        return _first(enumerate(value), lambda _: shape)

    return check


def map_of(shape: Shape) -> Shape:
    """An object whose members, whatever their names are, have one shape."""
    return lambda value: _first(value.items(), lambda _: shape) if isinstance(value, dict) else ""


def members(**shapes: Shape) -> Shape:
    """An object that has these members, and maybe more."""

    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return ""
        missing = shapes.keys() - value.keys()
        if missing:
            return min(missing)
        return _first(((name, value[name]) for name in shapes), shapes.__getitem__)

    return check


def _first(parts: Any, shape_of: Callable[[Any], Shape]) -> str | None:
    """The place of the first part that differs."""
    for name, part in parts:
        if (place := shape_of(name)(part)) is not None:
            return f"{name}.{place}".rstrip(".")
    return None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a number in JSON")
    return value
