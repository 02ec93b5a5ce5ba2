"""Snapshot of a stage's construct tree and of its templates."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar, cast

import jsii
from aws_cdk import CfnResource, DefaultStackSynthesizer, ISynthesisSession, NestedStackSynthesizer, Stack, Stage
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk.cx_api import CloudAssemblyBuilder
from constructs import IConstruct

from .facts import Fact, node_of, path_of, scopes_of, stack_of, stage_of
from .identity import address, is_same
from .nesting import outwards

_Construct = TypeVar("_Construct", bound=IConstruct)
_CDK_MODULES: Final = "aws_cdk.aws_"
FUNCTION_TYPES: Final = frozenset({"AWS::Lambda::Function", "AWS::Serverless::Function"})
# The constructs that no app can have outside of a stack.
_IN_STACKS: Final = (CfnResource, ecr_assets.DockerImageAsset, ecr_assets.TarballImageAsset)
_SUBSTITUTED: Final = re.compile(r"\$\{(\w+)")


@dataclass(frozen=True)
class TemplateResource:
    """A resource as its stack's template will contain it.

    :param stack: the stack, which may be a nested one.
    :param logical_id: its logical ID.
    :param type: its type, such as `AWS::ECS::TaskDefinition`.
    :param text: the whole resource as JSON.
    """

    stack: Stack
    logical_id: str
    type: str
    text: str

    @property
    def text_without_labels(self) -> str:
        """The text without the labels, which nothing reads that runs an image."""
        resource = json.loads(self.text)
        for section in ("Metadata", "Properties"):
            parts = resource.get(section, {})
            resource[section] = {name: it for name, it in parts.items() if not label_path(("", "", section, name))}
        return as_json(resource)


class StageSnapshot:
    """All constructs of a stage, and what their templates will contain.

    It reads Python's classes where these suffice, because every call to a construct crosses to Node.js.
    """

    def __init__(self, stage: Stage) -> None:
        """
        :param stage: the stage, or the app.
        """
        self.stage = stage
        self._dependencies: dict[CfnResource, list[IConstruct]] = {}
        self._of_classes: dict[type, list[Any]] = {}

    @cached_property
    def constructs(self) -> list[IConstruct]:
        """All constructs, a construct before those that it contains."""
        constructs = node_of(self.stage).find_all()
        _note_stacks(constructs)
        return constructs

    @cached_property
    def stacks(self) -> list[Stack]:
        """The stacks, nested ones included, without the stacks of nested stages."""
        return [found for found in self.of(Stack) if is_same(stage_of(found), self.stage)]

    def of(self, construct_class: type[_Construct]) -> list[_Construct]:
        """The constructs of a class."""
        if construct_class not in self._of_classes:
            self._of_classes[construct_class] = _instances(self.constructs, construct_class)
        return self._of_classes[construct_class]

    def resources(self, types: Collection[str]) -> list[CfnResource]:
        """The resources of some types, such as `AWS::ECS::Service`."""
        return [found for found in self.of(CfnResource) if type_of(found) in types]

    @cached_property
    def services(self) -> list[tuple[CfnResource, list[Stack]]]:
        """The ECS services, each with the stacks that contain it, the innermost first."""
        return [(found, list(outwards(stack_of(found)))) for found in self.resources({"AWS::ECS::Service"})]

    @cached_property
    def function_ids(self) -> frozenset[str]:
        """The logical IDs of the Lambda functions, as the tokens that are the keys of unresolved templates."""
        return frozenset(found.logical_id for found in self.resources(FUNCTION_TYPES))

    @cached_property
    def templates(self) -> list[tuple[Stack, Mapping[str, Any]]]:
        """The templates that CDK would write now. A reference to another stack is a logical ID of that stack."""
        with TemporaryDirectory() as folder:
            session, parent = _TemporarySession(folder), DefaultStackSynthesizer()
            return [(stack, _template(stack, session, parent)) for stack in self.stacks]

    @cached_property
    def template_resources(self) -> list[TemplateResource]:
        """All resources of the templates, of any type, with their overrides."""
        return [
            TemplateResource(stack, logical_id, str(resource.get("Type")), as_json(resource))
            for stack, template in self.templates
            for logical_id, resource in template.get("Resources", {}).items()
        ]

    def dependency_closure(self, constructs: Iterable[IConstruct]) -> set[CfnResource]:
        """The resources of some constructs and all their direct and indirect dependencies, in any stack.

        :param constructs: the constructs, each with everything below it.
        """
        found: set[CfnResource] = set()
        pending = list(constructs)
        while pending:
            path = path_of(pending.pop())
            for resource, its_path in self._paths.items():
                if resource not in found and f"{its_path}/".startswith(f"{path}/"):
                    found.add(resource)
                    pending += self._dependencies_of(resource)
        return found

    def _dependencies_of(self, resource: CfnResource) -> list[IConstruct]:
        if resource not in self._dependencies:
            explicit = [other for scope in scopes_of(resource) for other in node_of(scope).dependencies]
            self._dependencies[resource] = [*explicit, *self._references.get(resource, ())]
        return self._dependencies[resource]

    @cached_property
    def _paths(self) -> dict[CfnResource, str]:
        return {resource: path_of(resource) for resource in self.of(CfnResource)}

    @cached_property
    def _references(self) -> dict[CfnResource, list[CfnResource]]:
        # A reference to another stack is still a logical ID of that stack: CDK replaces it by a parameter or an import
        # later.
        resources = self.constructs_of(self.template_resources)
        by_logical_id: dict[str, list[CfnResource]] = {}
        for template_resource, construct in resources.items():
            by_logical_id.setdefault(template_resource.logical_id, []).append(construct)
        return {
            construct: [
                other
                for logical_id in referenced_ids(json.loads(template_resource.text))
                for other in by_logical_id.get(logical_id, ())
            ]
            for template_resource, construct in resources.items()
        }

    def constructs_of(self, resources: Collection[TemplateResource]) -> dict[TemplateResource, CfnResource]:
        """The constructs of some resources; a resource without one, such as an included template's, is left out.

        :param resources: some of `template_resources`.
        """
        wanted = {(address(resource.stack), resource.logical_id): resource for resource in resources}
        candidates = self.resources({resource.type for resource in resources})
        if not candidates:
            return {}
        # All at once: a logical ID is a token, and to resolve a token is a call to Node.js.
        logical_ids: list[str] = self.stacks[0].resolve([candidate.logical_id for candidate in candidates])
        found = {(address(stack_of(it)), name): it for it, name in zip(candidates, logical_ids, strict=True)}
        return {resource: found[key] for key, resource in wanted.items() if key in found}


def _instances(constructs: Sequence[IConstruct], *classes: type) -> list[Any]:
    """The constructs of some classes.

    For a class that is not a subclass, `isinstance` asks all subclasses, and `CfnResource` has hundreds.
    https://github.com/python/cpython/blob/main/Lib/_py_abc.py
    """
    wanted = {found for found in set(map(type, constructs)) if not set(classes).isdisjoint(found.__mro__)}
    return [construct for construct in constructs if type(construct) in wanted]


def _note_stacks(constructs: Sequence[IConstruct]) -> None:
    """Note the stack of each resource and asset, where the order of the constructs says it: `Stack.of` is a call.

    Those between two stacks are in the first of these, if no stack contains another one. Other constructs may be in
    none.

    :param constructs: all constructs of a stage, a construct before those that it contains.
    """
    if any(isinstance(scope, Stack) for stack in _instances(constructs, Stack) for scope in scopes_of(stack)[:-1]):
        return
    stack: Stack | None = None
    for construct in _instances(constructs, Stack, *_IN_STACKS):
        if isinstance(construct, Stack):
            stack = construct
        elif stack is not None:
            stack_of.set(construct, stack)


def as_json(value: Any) -> str:
    """A resolved value as JSON, written as in the text of a `TemplateResource`."""
    return json.dumps(value, ensure_ascii=False)


def referenced_ids(value: Any) -> Iterator[str]:
    """The logical IDs that a part of a template references."""
    if isinstance(value, list):
        for element in value:
            yield from referenced_ids(element)
    elif isinstance(value, dict):
        for name, element in value.items():
            yield from _ids_in(name, element)
            yield from referenced_ids(element)


def _ids_in(name: str, element: Any) -> Iterator[str]:
    elements = element if isinstance(element, list) else [element]
    texts = [text for text in elements if isinstance(text, str)]
    if name in ("DependsOn", "Ref"):
        yield from texts
    elif name == "Fn::GetAtt":
        yield from (text.partition(".")[0] for text in texts[:1])
    elif name == "Fn::Sub":
        yield from (found for text in texts for found in _SUBSTITUTED.findall(text))


def label_path(path: Sequence[str]) -> tuple[str, ...]:
    """The path of a label, which is the tags of a resource or an entry of its metadata; empty if a path is not in one.

    Metadata of CloudFormation's own is not a label: an instance executes it.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-init.html

    :param path: the path of a part of a template. CDK may write the names of properties with a small letter.
    """
    match path:
        case [section, name, "Metadata", entry, *_] if not entry.startswith("AWS::CloudFormation::"):
            return (section, name, "Metadata", entry)
        case [section, name, "Properties", "Tags" | "tags" as tags, *_]:
            return (section, name, "Properties", tags)
    return ()


@Fact
def type_of(resource: IConstruct) -> str:
    """The type of a resource, such as `AWS::ECS::Service`."""
    assert isinstance(resource, CfnResource)
    return _type_of_class(type(resource)) or resource.cfn_resource_type


@cache
def _type_of_class(resource_class: type[CfnResource]) -> str:
    """The type of all resources of a class; empty if each resource sets its own."""
    return (
        str(getattr(resource_class, "CFN_RESOURCE_TYPE_NAME", ""))
        if resource_class.__module__.startswith(_CDK_MODULES)
        else ""
    )


def _template(stack: Stack, session: _TemporarySession, parent: DefaultStackSynthesizer) -> Mapping[str, Any]:
    """The template that CDK would write for a stack now.

    The synthesizer of nested stacks serves every stack here, because it only writes the template. It requires another
    synthesizer and does not use it. The stack's own would be an object of JavaScript, for which jsii writes a warning
    to the terminal.
    """
    writer = NestedStackSynthesizer(parent)
    writer.bind(stack)
    writer.synthesize(cast(ISynthesisSession, session))
    template: Mapping[str, Any] = json.loads(Path(session.outdir, stack.template_file).read_text("utf-8"))
    return template


@jsii.implements(ISynthesisSession)
class _TemporarySession:
    """A synthesis session that writes into a temporary folder."""

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
