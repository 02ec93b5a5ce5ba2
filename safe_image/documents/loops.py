"""Expands the loops of a template: `Fn::ForEach` of the transform AWS::LanguageExtensions.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .budget import Budget
from .intrinsics import Resolver
from .unknown import plain

_LOOP: Final = "Fn::ForEach::"
_MAX_RESOURCES: Final = 10_000
# Each value of a loop is a copy of its body.
_MAX_COPIED: Final = 2_000_000
Item = tuple[tuple[str | int, ...], str, Any]


def expanded(resources: Mapping[str, Any], resolver: Resolver, file: str) -> Iterator[Item]:
    """The resources of a template, those of loops included, each with its path in the file and its logical ID.

    :param resources: the template's resources.
    :param resolver: resolves the collections of loops.
    :param file: the template's file, for messages.
    :raises UsageError: if there are too many.
    """
    budget = Budget(_MAX_RESOURCES, f"{file}: its loops make more than {_MAX_RESOURCES:,} resources")
    copied = Budget(_MAX_COPIED, f"{file}: its loops make more than {_MAX_COPIED:,} values")
    yield from _expand(resources, resolver, ("Resources",), budget, copied)


def _expand(
    resources: Mapping[str, Any],
    resolver: Resolver,
    path: tuple[str | int, ...],
    budget: Budget,
    copied: Budget,
) -> Iterator[Item]:
    for name, resource in resources.items():
        if not plain(name).startswith(_LOOP):
            budget.spend()
            yield (*path, name), name, resource
        elif isinstance(resource, list) and len(resource) == 3 and isinstance(resource[2], Mapping):
            identifier, collection, body = resource
            size = _size(body)
            for value in _values(resolver.resolve(collection)):
                budget.spend()
                copied.spend(size)
                for key, its in body.items():
                    here = (*path, name, 2, key)
                    made = {_replaced(key, plain(identifier), value): _replaced(its, plain(identifier), value)}
                    for below, logical_id, found in _expand(made, resolver, here, budget, copied):
                        # The name in the loop is not in the file.
                        yield (*here, *below[len(here) + 1 :]), logical_id, found


def _size(body: Any) -> int:
    """The number of values in a body."""
    if isinstance(body, Mapping):
        return 1 + sum(map(_size, body.values()))
    return 1 + sum(map(_size, body)) if isinstance(body, list) else 1


def _values(collection: Any) -> list[str]:
    # The elements of a loop's list may be lists themselves, such as a parameter with several values.
    elements = collection if isinstance(collection, list) else []
    return [plain(value) for one in elements for value in (one if isinstance(one, list) else [one])]


def _replaced(body: Any, identifier: str, value: str) -> Any:
    """A part of a loop for one value: `${Name}` and, in logical IDs, `&{Name}`."""
    if isinstance(body, list):
        return [_replaced(element, identifier, value) for element in body]
    if isinstance(body, Mapping):
        if dict(body) == {"Ref": identifier}:
            return value
        return {_replaced(name, identifier, value): _replaced(its, identifier, value) for name, its in body.items()}
    if not isinstance(body, str):
        return body
    return body.replace(f"${{{identifier}}}", value).replace(f"&{{{identifier}}}", re.sub(r"\W|_", "", value))
