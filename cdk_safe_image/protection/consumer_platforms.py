"""The platforms that consumers state in their properties, read before they make their image.

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

from ..consumers import Consumer, consumer_at
from ..synthesis.facts import child_path

StatedPlatforms = dict[str, Consumer]
_Read = Callable[[str, Mapping[str, Any]], Consumer | None]


@jsii.implements(IPropertyInjector)
class PlatformReader:
    """Records the platform that each construct of a type states. It changes no property."""

    def __init__(self, type_id: str, read: _Read, above: Any, stated: StatedPlatforms) -> None:
        """
        :param type_id: the property injection ID of the type.
        :param read: reads the consumer from the path and the properties of a construct.
        :param above: the user's injector that this one hides, and therefore calls; None if there is none.
        :param stated: where to record the consumers, by construct path.
        """
        self._type_id, self._read, self._stated = type_id, read, stated
        self.above = above

    @property
    def construct_unique_id(self) -> str:
        """The property injection ID of the type."""
        return self._type_id

    def inject(self, original_props: Any, *, id: str, scope: Any) -> Any:
        """Record what the properties of a construct state.

        :param original_props: the properties.
        :param id: the construct's id.
        :param scope: its parent construct.
        """
        props = self.above.inject(original_props, id=id, scope=scope) if self.above else original_props
        path = child_path(scope, id)
        if (consumer := self._read(path, props)) is not None:
            self._stated[path] = consumer
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
