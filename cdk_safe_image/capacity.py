"""The architecture of the instances that run containers, where the app says it: clusters, node groups, Batch.

A task definition for EC2, a manifest or a Batch job does not say on which architecture it runs. Docker builds for the
architecture of the building machine, so that an image for Graviton instances can be right without a platform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from aws_cdk import CfnResource, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from constructs import IConstruct

# The mark of ECS in the path of the SSM parameter of its AMIs, from which CDK derives the name of a template parameter.
_ECS_AMI: Final = "ecsoptimizedami"


def capacity_platform(constructs: Iterable[IConstruct], runtime: str) -> str | None:
    """The platform of the instances on which a runtime runs containers in an app; None if nothing says it.

    :param constructs: all constructs that may be the capacity.
    :param runtime: name of the runtime.
    :returns: None too if the instances have several architectures.
    """
    types = _CAPACITY.get(runtime, {})
    found = {
        platform
        for resource in constructs
        if isinstance(resource, CfnResource) and (read := types.get(resource.cfn_resource_type))
        for platform in read(resource)
    }
    return found.pop() if len(found) == 1 else None


def _platform_of(instance_type: Any) -> Iterator[str]:
    """The platform of an instance type; nothing for an unknown one, such as `optimal`."""
    if not isinstance(instance_type, str) or "." not in instance_type or "$" in instance_type:
        return
    is_arm = ec2.InstanceType(instance_type).architecture == ec2.InstanceArchitecture.ARM_64
    yield "linux/arm64" if is_arm else "linux/amd64"


def _of_ecs(resource: Any) -> Iterator[str]:
    data = getattr(resource, "launch_template_data", None) or resource
    image = str(Stack.of(resource).resolve(getattr(data, "image_id", None)))
    below_cluster = any(isinstance(scope, ecs.Cluster) for scope in resource.node.scopes)
    if below_cluster or _ECS_AMI in image.lower():
        yield from _platform_of(getattr(data, "instance_type", None))


def _of_node_group(resource: Any) -> Iterator[str]:
    types = resource.instance_types or []
    for instance_type in types:
        yield from _platform_of(instance_type)
    if not types and isinstance(resource.ami_type, str):
        yield "linux/arm64" if "ARM" in resource.ami_type else "linux/amd64"


def _of_compute_environment(resource: Any) -> Iterator[str]:
    resources = Stack.of(resource).resolve(resource.compute_resources) or {}
    for instance_type in resources.get("instanceTypes", []):
        yield from _platform_of(instance_type)


_Read = Callable[[Any], Iterator[str]]
_CAPACITY: Final[Mapping[str, Mapping[str, _Read]]] = {
    "ecs-ec2": {"AWS::AutoScaling::LaunchConfiguration": _of_ecs, "AWS::EC2::LaunchTemplate": _of_ecs},
    "eks": {"AWS::EKS::Nodegroup": _of_node_group},
    "batch": {"AWS::Batch::ComputeEnvironment": _of_compute_environment},
}
