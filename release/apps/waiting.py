"""The order in which CloudFormation makes the resources of a stack: the dependencies of each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from .assembly import AppStack

# A resource: the logical IDs of the nested stacks around it, and its own.
Place = tuple[str, ...]
_START: Final = "(start)"
_WORDS: Final = re.compile(r"\w+")


class Order:
    """The resources of a stack with its nested stacks, each with those that it waits for."""

    def __init__(self, stack: AppStack) -> None:
        """
        :param stack: the stack.
        """
        self._waits_for: dict[Place, set[Place]] = {}
        for path, template in stack.templates.items():
            resources = template.get("Resources", {})
            for name, resource in resources.items():
                place = (*path, name)
                inner = [other for other in stack.templates if other == place]
                # A nested stack starts when its dependencies exist, and is complete when all inside is.
                start = (*place, _START) if inner else place
                outer = {(*path, _START)} if path else set()
                self._waits_for[start] = outer | {(*path, other) for other in references(resource) & resources.keys()}
                if inner:
                    inside = {(*place, other) for other in stack.templates[place].get("Resources", {})}
                    self._waits_for[place] = {start} | inside

    def cycle(self) -> str:
        """A cycle as text; empty if there is none."""
        try:
            TopologicalSorter(self._waits_for).prepare()
        except CycleError as error:
            return " -> ".join("/".join(place) for place in error.args[1])
        return ""

    def all_before(self, place: Place) -> set[Place]:
        """All resources that exist before one.

        :param place: the resource.
        """
        found: set[Place] = set()
        pending = [place]
        while pending:
            others = self._waits_for.get(pending.pop(), set()) - found
            found |= others
            pending += others
        return found


def references(resource: Mapping[str, Any]) -> set[str]:
    """The names that a resource references: logical IDs, and some words that are none.

    :param resource: the resource in its template.
    """
    return set(_references(resource))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for element in value:
            yield from _references(element)
    elif isinstance(value, dict):
        for name, element in value.items():
            if name in ("DependsOn", "Fn::GetAtt", "Fn::Sub", "Ref"):
                yield from _WORDS.findall(json.dumps(element))
            yield from _references(element)
