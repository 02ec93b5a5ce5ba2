"""The consumers that exist before their image, and the instances: the image gets their platform.

A `lambda_.Function` and a container of Batch make the image first and set their own architecture afterwards, so that it
can only be read from their properties, by a property injector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import jsii
from aws_cdk import CfnResource, IPropertyInjector, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from constructs import IConstruct

from ..capacity import Capacity
from ..consumers import Consumer, consumer_at
from ..synthesis.facts import child_path, node_of, path_of, scopes_of, stage_of
from ..synthesis.identity import address
from ..synthesis.snapshot import StageSnapshot

_Read = Callable[[str, Mapping[str, Any]], Consumer | None]


class EarlyConsumers:
    """The consumers below an image scope that exist before their image."""

    def __init__(self) -> None:
        # By construct path: those that make their image themselves.
        self._stated: dict[str, Consumer] = {}
        # By address: each is read once, however many images are made beside it.
        self._known: dict[str, Consumer] = {}
        # By the address of the stack, the runtime, and whether the image surely runs there.
        self._platforms: dict[tuple[str, str, bool], str | None] = {}

    def add(self, path: str, consumer: Consumer) -> None:
        """Add a consumer that makes its image itself.

        :param path: its construct path.
        :param consumer: the consumer.
        """
        self._stated[path] = consumer

    def around(self, scope: IConstruct) -> Consumer | None:
        """The consumer that contains the scope in which an image is made; None if there is none.

        :param scope: the scope.
        """
        for above in reversed(scopes_of(scope)):
            if isinstance(above, Stack):
                return None
            if self._stated and (stated := self._stated.get(path_of(above))) is not None:
                return stated
            if isinstance(above, lambda_.Function):
                # The function has no resource yet. CDK itself derives the platform from its architecture.
                return Consumer(path_of(above), ("lambda",), None, "", {})
            if not isinstance(above, ecs.ContainerDefinition) and (consumer := self._consumer_of(above)):
                return consumer
        return None

    def task_definitions_in(self, scope: IConstruct) -> list[Consumer]:
        """The task definitions that a scope already contains.

        :param scope: the scope.
        """
        children = node_of(scope).children
        found = (self._consumer_of(child) for child in children if _is_task_definition(type(child)))
        return [consumer for consumer in found if consumer]

    def platform_of_instances(self, stack: Stack, runtime: str, *, is_around: bool) -> str | None:
        """The platform of the instances that the app has for a runtime; None if it has none, or if they differ.

        The first image of a stack that asks decides: to look through the app for each image takes longer with each. The
        checks of the complete stage see the instances that the app makes later.

        :param stack: the image's stack.
        :param runtime: name of the runtime.
        :param is_around: whether the consumer contains the image, so that the image surely runs there. One beside the
            image decides nothing for the images of others.
        """
        key = (address(stack), runtime, is_around)
        if key not in self._platforms:
            stage = stage_of(stack)
            resources = StageSnapshot(stage).of(CfnResource) if stage else []
            self._platforms[key] = Capacity(resources, is_complete=False).platform(runtime)
        return self._platforms[key]

    def _consumer_of(self, construct: IConstruct) -> Consumer | None:
        if (known := self._known.get(address(construct))) is not None:
            return known
        resource = construct if isinstance(construct, CfnResource) else node_of(construct).default_child
        consumer = consumer_at(resource) if isinstance(resource, CfnResource) else None
        if consumer is not None:
            self._known[address(construct)] = consumer
        return consumer


# By class: the children of a scope are looked through for each image, and each `isinstance` of jsii's classes is slow.
@cache
def _is_task_definition(construct_class: type) -> bool:
    return issubclass(construct_class, (ecs.TaskDefinition, ecs.CfnTaskDefinition))


@jsii.implements(IPropertyInjector)
class PropertyReader:
    """Reads the consumer that each construct of a type will be. It changes no property."""

    def __init__(self, type_id: str, read: _Read, above: Any, consumers: EarlyConsumers) -> None:
        """
        :param type_id: the property injection ID of the type.
        :param read: reads the consumer from the path and the properties of a construct.
        :param above: the user's injector that this one hides, and therefore calls; None if there is none.
        :param consumers: gets the consumers.
        """
        self._type_id, self._read, self._consumers = type_id, read, consumers
        self.above = above

    @property
    def construct_unique_id(self) -> str:
        """The property injection ID of the type."""
        return self._type_id

    def inject(self, original_props: Any, *, id: str, scope: Any) -> Any:
        """Read the consumer that a construct will be.

        :param original_props: its properties.
        :param id: its id.
        :param scope: its parent construct.
        """
        props = self.above.inject(original_props, id=id, scope=scope) if self.above else original_props
        path = child_path(scope, id)
        if (consumer := self._read(path, props)) is not None:
            self._consumers.add(path, consumer)
        return props


def _function(path: str, props: Mapping[str, Any]) -> Consumer | None:
    architecture = props.get("architecture")
    if architecture is None or props.get("handler") != _handler_of_image():
        return None
    platform = "linux/arm64" if architecture.name == "arm64" else "linux/amd64"
    return Consumer(path, ("lambda",), platform, "its architecture", {})


@cache
def _handler_of_image() -> str:
    return lambda_.Handler.FROM_IMAGE


def _batch_container(path: str, props: Mapping[str, Any]) -> Consumer | None:
    architecture = props.get("fargateCpuArchitecture")
    if architecture is None:
        return None
    # The object does not show its name, so that a task definition renders it.
    runtime_platform = ecs.RuntimePlatform(cpu_architecture=architecture)
    task = ecs.FargateTaskDefinition(Stack(), "Task", runtime_platform=runtime_platform).node.default_child
    assert isinstance(task, CfnResource)
    rendered = consumer_at(task)
    return Consumer(path, ("batch",), rendered.platform if rendered else None, "its fargate_cpu_architecture", {})


def _batch_container_on_ec2(path: str, props: Mapping[str, Any]) -> Consumer:
    """Only its compute environment says its platform."""
    return Consumer(path, ("batch",), None, "", {})


# By property injection ID. To ask CDK for an ID loads the module of its construct, on both sides, in apps that do not
# use it.
READERS: Final[Mapping[str, _Read]] = {
    "aws-cdk-lib.aws-lambda.Function": _function,
    "aws-cdk-lib.aws-batch.EcsFargateContainerDefinition": _batch_container,
    "aws-cdk-lib.aws-batch.EcsEc2ContainerDefinition": _batch_container_on_ec2,
}
