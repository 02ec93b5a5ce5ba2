"""All that is made in a stage, walked once, and what its templates will say."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar, cast

import jsii
from aws_cdk import CfnResource, ISynthesisSession, NestedStackSynthesizer, Stack, Stage
from aws_cdk.cx_api import CloudAssemblyBuilder
from constructs import IConstruct

_Kind = TypeVar("_Kind", bound=IConstruct)
_OF_CDK: Final = "aws_cdk.aws_"
_REFERENCES: Final = frozenset({"DependsOn", "Fn::GetAtt", "Fn::Sub", "Ref"})
_WORDS: Final = re.compile(r"\w+")


@dataclass(frozen=True)
class TemplateResource:
    """A resource, as its stack's template will have it.

    :param stack: the stack, which may be a nested one.
    :param logical_id: its name there.
    :param type: such as `AWS::ECS::TaskDefinition`.
    :param text: all that it says, as JSON.
    """

    stack: Stack
    logical_id: str
    type: str
    text: str


class StageSnapshot:
    """All constructs of a stage.

    It asks Python's classes wherever they can tell, since every question to a construct itself crosses to Node.js.
    """

    def __init__(self, stage: Stage) -> None:
        """
        :param stage: the stage, or the app.
        """
        self._stage = stage
        self._constructs = stage.node.find_all()
        self._waited_for: dict[CfnResource, list[IConstruct]] = {}

    @cached_property
    def stacks(self) -> list[Stack]:
        """The stacks, nested ones included, and without those of stages within this one."""
        return [found for found in self.of(Stack) if Stage.of(found) is self._stage]

    def of(self, kind: type[_Kind]) -> list[_Kind]:
        """The constructs of a class."""
        return [found for found in self._constructs if isinstance(found, kind)]

    def resources(self, types: Collection[str]) -> list[CfnResource]:
        """The resources of these types of the template."""
        return [found for found in self.of(CfnResource) if _type(found) in types]

    @cached_property
    def services(self) -> list[tuple[CfnResource, list[Stack]]]:
        """The ECS services, each with the stacks in which it is, from the inside out."""
        return [(found, list(_outwards(Stack.of(found)))) for found in self.resources({"AWS::ECS::Service"})]

    @cached_property
    def mentions(self) -> list[TemplateResource]:
        """What all resources say: overrides, and resources of any type included."""
        return [
            TemplateResource(stack, logical_id, str(resource.get("Type")), as_json(resource))
            for stack in self.stacks
            for logical_id, resource in _template(stack).get("Resources", {}).items()
        ]

    def needed(self, constructs: Iterable[IConstruct]) -> set[CfnResource]:
        """The resources of some constructs, and all that those wait for, in whatever stack it is.

        :param constructs: with all that is below them.
        """
        found: set[CfnResource] = set()
        waiting = list(constructs)
        while waiting:
            path = waiting.pop().node.path
            for resource, its_path in self._paths.items():
                if resource not in found and f"{its_path}/".startswith(f"{path}/"):
                    found.add(resource)
                    waiting += self._waits_for(resource)
        return found

    def _waits_for(self, resource: CfnResource) -> list[IConstruct]:
        if resource not in self._waited_for:
            by_hand = [other for scope in resource.node.scopes for other in scope.node.dependencies]
            self._waited_for[resource] = [*by_hand, *self._refers_to.get(resource, ())]
        return self._waited_for[resource]

    @cached_property
    def _paths(self) -> dict[CfnResource, str]:
        return {resource: resource.node.path for resource in self.of(CfnResource)}

    @cached_property
    def _refers_to(self) -> dict[CfnResource, list[CfnResource]]:
        # What is in another stack has its logical ID there: CDK makes parameters and exports of it afterwards.
        resources = self.behind(self.mentions)
        named: dict[str, list[CfnResource]] = {}
        for mention, resource in resources.items():
            named.setdefault(mention.logical_id, []).append(resource)
        return {
            resource: [other for name in _references(json.loads(mention.text)) for other in named.get(name, ())]
            for mention, resource in resources.items()
        }

    def behind(self, mentions: Collection[TemplateResource]) -> dict[TemplateResource, CfnResource]:
        """The constructs of resources.

        :param mentions: some of `mentions`.
        """
        asked = {(mention.stack, mention.logical_id): mention for mention in mentions}
        candidates = self.resources({mention.type for mention in mentions})
        if not candidates:
            return {}
        # In one go: a logical ID is a token, and to resolve one is a question to Node.js.
        logical_ids = self._stage_resolve([candidate.logical_id for candidate in candidates])
        found = {(candidate.stack, name): candidate for candidate, name in zip(candidates, logical_ids, strict=True)}
        return {mention: found[key] for key, mention in asked.items() if key in found}

    def _stage_resolve(self, values: list[str]) -> list[str]:
        resolved: list[str] = self.stacks[0].resolve(values)
        return resolved


def as_json(value: Any) -> str:
    """What is resolved, as a mention's text holds it."""
    return json.dumps(value, ensure_ascii=False)


def _references(value: Any) -> Iterator[str]:
    """The logical IDs that a part of a template refers to."""
    if isinstance(value, list):
        for inner in value:
            yield from _references(inner)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in _REFERENCES:
                yield from _WORDS.findall(as_json(inner))
            yield from _references(inner)


def _type(resource: CfnResource) -> str:
    return _type_of_class(type(resource)) or resource.cfn_resource_type


@cache
def _type_of_class(kind: type[CfnResource]) -> str:
    """The type that all resources of a class are of; empty where each resource says it by itself."""
    return str(getattr(kind, "CFN_RESOURCE_TYPE_NAME", "")) if kind.__module__.startswith(_OF_CDK) else ""


def _outwards(stack: Stack) -> Iterator[Stack]:
    within: Stack | None = stack
    while within is not None:
        yield within
        within = within.nested_stack_parent


def _template(stack: Stack) -> Mapping[str, Any]:
    """What CDK would write for a stack by now.

    Of the ways to have it, the synthesizer of nested stacks is the one that writes a template and does nothing else.
    """
    with TemporaryDirectory() as folder:
        writer = NestedStackSynthesizer(stack.synthesizer)
        writer.bind(stack)
        writer.synthesize(cast(ISynthesisSession, _Aside(folder)))
        template: Mapping[str, Any] = json.loads(Path(folder, stack.template_file).read_text("utf-8"))
    return template


@jsii.implements(ISynthesisSession)
class _Aside:
    """A synth into a folder that nobody looks at."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._assembly = CloudAssemblyBuilder(folder)

    @property
    def assembly(self) -> CloudAssemblyBuilder:
        return self._assembly

    @property
    def outdir(self) -> str:
        return self._folder

    @property
    def validate_on_synth(self) -> bool | None:
        return None
