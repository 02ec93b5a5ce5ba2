"""The order in which the stacks of a stage are deployed, as it follows from the app.

CDK makes one stack depend on another for a reference only when it prepares the templates. Then it is too late to add
anything, and a dependency in the other direction fails the synth. So the references are found here, before that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, cast

from aws_cdk import (
    CfnOutput,
    CfnResource,
    DefaultTokenResolver,
    IPostProcessor,
    IResolvable,
    IResolveContext,
    Reference,
    Stack,
    StringConcat,
    Tokenization,
)
from constructs import IConstruct

from .identity import address
from .nesting import top_level
from .snapshot import StageSnapshot, as_json, referenced_ids

# The sections of a template with elements that other stacks can reference.
_REFERENCED: Final = ("Parameters", "Resources")


class StackOrder:
    """The dependencies between the top-level stacks of a stage, direct and indirect ones."""

    def __init__(self, snapshot: StageSnapshot) -> None:
        """
        :param snapshot: the complete stage.
        """
        self._snapshot = snapshot
        self._direct: dict[str, set[str]] = {}

    def depends(self, stack: Stack, other: Stack) -> bool:
        """Whether a stack depends on another one, so that it is deployed after it.

        :param stack: a top-level stack.
        :param other: another top-level stack.
        """
        found: set[str] = set()
        pending = [address(stack)]
        while pending:
            dependencies = self._dependencies_of(pending.pop())
            pending += dependencies - found
            found |= dependencies
        return address(other) in found

    def add(self, stack: Stack, other: Stack) -> None:
        """Note a dependency that the app is going to have.

        :param stack: a top-level stack.
        :param other: the top-level stack on which it is going to depend.
        """
        self._dependencies_of(address(stack)).add(address(other))

    @cached_property
    def _stacks(self) -> dict[str, Stack]:
        return {address(stack): stack for stack in map(top_level, self._snapshot.stacks)}

    @cached_property
    def _homes(self) -> dict[str, set[str]]:
        """By logical ID: the stacks that contain such an element, in themselves or in their nested stacks."""
        homes: dict[str, set[str]] = {}
        for stack, template in self._snapshot.templates:
            for section in _REFERENCED:
                for logical_id in template.get(section, ()):
                    homes.setdefault(logical_id, set()).add(address(top_level(stack)))
        return homes

    def _dependencies_of(self, own: str) -> set[str]:
        if own not in self._direct:
            stack = self._stacks[own]
            explicit = {address(top_level(other)) for other in stack.dependencies}
            found = explicit.union(
                self._by_constructs(own, stack), self._by_references(own), self._by_imports(own, stack)
            )
            # CDK refuses a dependency on a stack of another stage.
            self._direct[own] = (found & self._stacks.keys()) - {own}
        return self._direct[own]

    def _by_constructs(self, own: str, stack: Stack) -> Iterator[str]:
        for construct in [*stack.node.scopes, *stack.node.find_all()]:
            dependencies = construct.node.dependencies
            if dependencies and own in self._stacks_at(construct):
                yield from (home for other in dependencies for home in self._stacks_at(other))

    def _stacks_at(self, construct: IConstruct) -> set[str]:
        """The stack that contains a construct, or the stacks that the construct contains."""
        path = f"{construct.node.path}/".lstrip("/")
        below = {its for its, stack in self._stacks.items() if f"{stack.node.path}/".startswith(path)}
        return below or {address(top_level(Stack.of(construct)))}

    def _by_references(self, own: str) -> Iterator[str]:
        unclear: set[tuple[str, str]] = set()
        for stack, template in self._snapshot.templates:
            if address(top_level(stack)) != own:
                continue
            for logical_id, element in _elements(template):
                for name in set(referenced_ids(element)):
                    others = self._homes.get(name, set()) - {own}
                    if len(others) == 1 and own not in self._homes[name]:
                        yield from others
                    elif others:
                        unclear.add((address(stack), logical_id))
        if unclear:
            yield from self._targets(self._stacks[own], unclear)

    @cached_property
    def _exports(self) -> dict[str, list[str]]:
        """By the name of an export, as JSON: the stacks that export it."""
        exports: dict[str, list[str]] = {}
        for stack, template in self._snapshot.templates:
            for output in template.get("Outputs", {}).values():
                if name := output.get("Export", {}).get("Name"):
                    exports.setdefault(as_json(name), []).append(address(top_level(stack)))
        return exports

    def _by_imports(self, own: str, stack: Stack) -> Iterator[str]:
        """The stacks whose exports a stack imports by name, which CDK does not know as a dependency."""
        for nested, template in self._snapshot.templates:
            if self._exports and address(top_level(nested)) == own:
                for name in _imported_names(template):
                    homes = self._exports.get(as_json(name), ())
                    yield from (home for home in homes if self._stacks[home].environment == stack.environment)

    def _targets(self, stack: Stack, elements: Collection[tuple[str, str]]) -> Iterator[str]:
        """The stacks that some elements reference, by their tokens: a logical ID may occur in several stacks."""
        candidates = [found for found in stack.node.find_all() if isinstance(found, CfnOutput | CfnResource)]
        logical_ids: list[str] = stack.resolve([found.logical_id for found in candidates])
        names = {logical_id for _, logical_id in elements}
        for found, logical_id in zip(candidates, logical_ids, strict=True):
            if logical_id in names and (address(found.stack), logical_id) in elements:
                recorder = _Recorder()
                value = found.value if isinstance(found, CfnOutput) else found._cfn_properties
                Tokenization.resolve(value, scope=found, resolver=recorder, preparing=False)
                yield from (address(top_level(Stack.of(target))) for target in recorder.targets)


class _Recorder(DefaultTokenResolver):
    """Resolves tokens, and records the constructs that they reference."""

    def __init__(self) -> None:
        super().__init__(StringConcat())
        self.targets: list[IConstruct] = []

    def resolve_token(self, t: IResolvable, context: IResolveContext, post_processor: IPostProcessor) -> Any:
        if Reference.is_reference(t):
            self.targets.append(cast(Reference, t).target)
        return super().resolve_token(t, context, post_processor)


def _imported_names(value: Any) -> Iterator[Any]:
    """The names of the exports that a part of a template imports."""
    if isinstance(value, list):
        for element in value:
            yield from _imported_names(element)
    elif isinstance(value, dict):
        for name, element in value.items():
            if name == "Fn::ImportValue":
                yield element
            yield from _imported_names(element)


def _elements(template: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The elements of all sections of a template, such as its resources and its outputs."""
    for section in template.values():
        if isinstance(section, Mapping):
            yield from section.items()
