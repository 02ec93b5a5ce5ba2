"""The consumers among the constructs, by the table of CloudFormation's types that run images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import CfnResource
from constructs import IConstruct
from image_verifier.rules.consumer_types import template_names
from image_verifier.rules.consumers import CONSUMERS

from .synthesis.facts import path_of, stack_of
from .synthesis.snapshot import as_json, type_of
from .tokens import is_literal


@dataclass(frozen=True)
class Consumer:
    """A resource that runs an image.

    :param place: the resource, or the path of a construct that has none yet.
    :param runs_on: names of the runtimes on which it may run; empty if none that is known runs it.
    :param platform: such as `linux/amd64`; None if it is unknown.
    :param stated_by: the property or default from which the platform follows, for messages.
    :param remedies: the argument that sets each platform there.
    :param own_region: whether it only runs images of its own region.
    """

    place: IConstruct | str
    runs_on: tuple[str, ...]
    platform: str | None
    stated_by: str
    remedies: Mapping[str, str]
    own_region: bool = False

    @property
    def path(self) -> str:
        """The path of the construct that the user made, for messages: to read it is two calls to Node.js."""
        return self.place if isinstance(self.place, str) else user_path(self.place)


def consumer_at(scope: IConstruct) -> Consumer | None:
    """The consumer that a construct is; None if it is not a resource that runs images.

    :param scope: the construct, such as the one that a token is resolved for.
    """
    if not isinstance(scope, CfnResource):
        return None
    row = CONSUMERS.get(type_of(scope))
    if row is None:
        return None
    properties = _Properties(scope)
    if not row.runs_images(properties):
        return None
    use = row.use(properties)
    remedies = _REMEDIES.get(row.name, {})
    return Consumer(scope, use.runs_on, use.platform, use.stated_by, remedies, row.own_region)


def images_of(resource: Mapping[str, Any]) -> Iterator[str]:
    """The images that a resource runs, as JSON, without those that it only references, such as in its environment.

    :param resource: a resource, as its template contains it.
    """
    row = CONSUMERS.get(resource.get("Type", ""))
    for image in row.named_images(resource.get("Properties", {})) if row else ():
        yield as_json(image.value)


def user_path(resource: IConstruct) -> str:
    """The path of the construct that the user made, for a resource in it."""
    return _RESOURCE_IDS.sub("", path_of(resource))


class _Properties(Mapping[str, Any]):
    """The properties of a resource by CloudFormation's names, each resolved when it is read for the first time."""

    def __init__(self, resource: CfnResource) -> None:
        self._resource = resource
        # A plain `CfnResource` has no attributes for the properties of its type, and CDK's other classes have the same
        # dictionary.
        self._values: dict[str, Any] = {
            f"{name[:1].upper()}{name[1:]}": value
            for name, value in resource._cfn_properties.items()
            if value is not None
        }
        self._resolved: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._resolved:
            value = self._values[name]
            self._resolved[name] = template_names(
                value if is_literal(value) else stack_of(self._resource).resolve(value)
            )
        return self._resolved[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


TYPES: Final = frozenset(CONSUMERS)
# The IDs of the resources in constructs, such as the manifests of CDK's EKS module.
_RESOURCE_IDS: Final = re.compile(r"(/Resource|/Default)+$")
_ARCHITECTURES: Final = {"X86_64": "amd64", "ARM64": "arm64"}
# The arguments of CDK's constructs that set the platform, by type.
_REMEDIES: Final[Mapping[str, Mapping[str, str]]] = {
    "AWS::ECS::TaskDefinition": {
        f"linux/{architecture}": f"runtime_platform=ecs.RuntimePlatform(cpu_architecture=ecs.CpuArchitecture.{name}, "
        "operating_system_family=ecs.OperatingSystemFamily.LINUX)"
        for name, architecture in _ARCHITECTURES.items()
    },
    "AWS::Batch::JobDefinition": {
        f"linux/{architecture}": f"fargate_cpu_architecture=ecs.CpuArchitecture.{name} in the container"
        for name, architecture in _ARCHITECTURES.items()
    },
    "AWS::Lambda::Function": {
        "linux/amd64": "architecture=lambda_.Architecture.X86_64",
        "linux/arm64": "architecture=lambda_.Architecture.ARM_64",
    },
}
