"""The architecture of the instances that run containers, where the app says it: clusters, node groups, Batch.

A task definition for EC2, a manifest or a Batch job does not say on which architecture it runs. Docker builds for the
architecture of the building machine, so that an image for Graviton instances can be right without a platform.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from aws_cdk import (
    CfnElement,
    CfnResource,
    DefaultTokenResolver,
    Intrinsic,
    IPostProcessor,
    IResolvable,
    IResolveContext,
    Reference,
    StringConcat,
    Tokenization,
)
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs

from .synthesis.facts import scopes_of, stack_of
from .synthesis.snapshot import StageSnapshot, as_json, referenced_ids, type_of

_SERVICE: Final = "AWS::ECS::Service"
_CLUSTER: Final = "AWS::ECS::Cluster"
_ASSOCIATIONS: Final = "AWS::ECS::ClusterCapacityProviderAssociations"
_PROVIDER: Final = "AWS::ECS::CapacityProvider"
_GROUP: Final = "AWS::AutoScaling::AutoScalingGroup"
_LAUNCH_CONFIGURATION: Final = "AWS::AutoScaling::LaunchConfiguration"
_LAUNCH_TEMPLATE: Final = "AWS::EC2::LaunchTemplate"
_NODE_GROUP: Final = "AWS::EKS::Nodegroup"
_COMPUTE_ENVIRONMENT: Final = "AWS::Batch::ComputeEnvironment"
_TYPES: Final = frozenset(
    {
        _SERVICE,
        _CLUSTER,
        _ASSOCIATIONS,
        _PROVIDER,
        _GROUP,
        _LAUNCH_CONFIGURATION,
        _LAUNCH_TEMPLATE,
        _NODE_GROUP,
        _COMPUTE_ENVIRONMENT,
    }
)
_AMD64: Final = "linux/amd64"
_ARM64: Final = "linux/arm64"
# https://docs.aws.amazon.com/batch/latest/userguide/instance-type-compute-table.html
_BATCH_NAMES: Final = {"optimal": _AMD64, "default_x86_64": _AMD64, "default_arm64": _ARM64}
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceRequirements.html
_MANUFACTURERS: Final = {"amazon-web-services": _ARM64, "amd": _AMD64, "intel": _AMD64}
_FAMILY: Final = re.compile(r"[a-z0-9-]+")
# In the path of the SSM parameter of an AMI for ECS, from which CDK derives the name of a template parameter.
_ECS_AMI: Final = ("ecsoptimizedami", "bottlerocketawsecs")

_Properties = Mapping[str, Any]
# None stands for an instance whose platform nothing says.
_Platforms = Iterator[str | None]


@lru_cache(maxsize=1)
def capacity_of(snapshot: StageSnapshot) -> Capacity:
    """The capacity of a complete stage, which all checks of one snapshot share: to resolve it takes many calls.

    :param snapshot: the complete stage.
    """
    return Capacity(snapshot.of(CfnResource), is_complete=True)


@dataclass(frozen=True)
class _Part:
    """A resource that has to do with capacity.

    :param properties: its resolved properties, whose names begin with a small letter.
    :param construct: the resource in the construct tree.
    """

    type: str
    logical_id: str
    properties: _Properties
    construct: CfnResource

    def is_named(self, value: Any) -> bool:
        """Whether a property of another resource references this one."""
        return _referenced(value) in (self.logical_id, self.properties.get("name", self.logical_id))


class Capacity:
    """The resources of an app that have to do with capacity."""

    def __init__(self, resources: Iterable[CfnResource], *, is_complete: bool) -> None:
        """
        :param resources: all resources that may be the capacity.
        :param is_complete: whether the app is complete, so that every `Lazy` may be resolved.
        """
        self._is_complete = is_complete
        # Before the app is complete, no service counts.
        types = _TYPES if is_complete else _TYPES - {_SERVICE}
        self._parts = [
            _Part(
                type_of(found),
                stack_of(found).resolve(found.logical_id),
                self.properties(found),
                found,
            )
            for found in resources
            if type_of(found) in types
        ]

    def platform(self, runtime: str, resource: CfnResource | None = None) -> str | None:
        """The platform of the instances on which a resource runs its containers; None if nothing says it.

        :param runtime: name of the runtime.
        :param resource: the resource. Without it the platform is that of all instances for the runtime.
        :returns: None too if the instances have several architectures.
        """
        read = _READERS.get(runtime)
        found = set(read(self, resource)) if read else set()
        return found.pop() if len(found) == 1 else None

    def properties(self, resource: CfnResource) -> _Properties:
        """The properties of a resource as its template contains them."""
        resolver = None if self._is_complete else _NoLazyValues()
        stack, given = stack_of(resource), resource._cfn_properties
        resolved = (
            stack.resolve(given)
            if resolver is None
            else Tokenization.resolve(given, scope=stack, resolver=resolver, preparing=False)
        )
        properties: _Properties = _with_small_initials(resolved)
        return properties

    def of(self, *types: str) -> Iterator[_Part]:
        """The resources of some types."""
        return (part for part in self._parts if part.type in types)

    def named(self, value: Any, *types: str) -> Iterator[_Part]:
        """The resources that a property of another resource references. Two stacks may have the same logical ID."""
        return (part for part in self.of(*types) if value is not None and part.is_named(value))


class _NoLazyValues(DefaultTokenResolver):
    """Resolves no `Lazy`, because CDK keeps the first value of a `Lazy`, and the app may still change it.

    https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/core/lib/lazy.ts
    """

    def __init__(self) -> None:
        super().__init__(StringConcat())

    def resolve_token(self, t: IResolvable, context: IResolveContext, post_processor: IPostProcessor) -> Any:
        if isinstance(t, Reference) and isinstance(target := t.target, CfnElement):
            # In a reference the logical ID is a `Lazy`, too, but one that CDK does not keep.
            return {"Ref": target.stack.resolve(target.logical_id)}
        return super().resolve_token(t, context, post_processor) if isinstance(t, Intrinsic) else None


_Read = Callable[[Capacity, CfnResource | None], _Platforms]


def _on_ecs(all_instances: Callable[[Capacity], _Platforms]) -> _Read:
    """Read the instances on which the services of a task definition run; all of a kind if it has no service."""

    def read(capacity: Capacity, resource: CfnResource | None) -> _Platforms:
        task = stack_of(resource).resolve(resource.logical_id) if resource is not None else None
        services = [it for it in capacity.of(_SERVICE) if _referenced(it.properties.get("taskDefinition")) == task]
        for service in services:
            yield from _service_instances(capacity, service.properties)
        if not services:
            yield from all_instances(capacity)

    return read


def _service_instances(capacity: Capacity, service: _Properties) -> _Platforms:
    """The platforms of the instances on which an ECS service may run; unknown if it has no instances in the app."""
    strategy = [it.get("capacityProvider") for it in service.get("capacityProviderStrategy") or ()]
    names = strategy or list(_providers_of_cluster(capacity, service.get("cluster")))
    providers = {it.logical_id: it for name in names for it in capacity.named(name, _PROVIDER)}
    groups = {} if strategy else {it.logical_id: it for it in _registered_groups(capacity, service.get("cluster"))}
    found = [platform for it in providers.values() for platform in _provider_instances(capacity, it.properties)]
    found += [platform for it in groups.values() for platform in _group_instances(capacity, it.properties)]
    yield from found or [None]


def _providers_of_cluster(capacity: Capacity, cluster: Any) -> Iterator[Any]:
    for part in capacity.named(cluster, _CLUSTER):
        yield from part.properties.get("capacityProviders") or ()
    for part in capacity.of(_ASSOCIATIONS):
        if _referenced(part.properties.get("cluster")) == _referenced(cluster):
            yield from part.properties.get("capacityProviders") or ()


def _registered_groups(capacity: Capacity, cluster: Any) -> Iterator[_Part]:
    """The groups whose instances register themselves with a cluster: their user data contains its name."""
    name = _referenced(cluster)
    whole_name = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    for group in capacity.of(_GROUP):
        launches = _launches(capacity, group.properties)
        if name and any(whole_name.search(as_json(it.get("userData"))) for it in launches):
            yield group


def _all_group_instances(capacity: Capacity) -> _Platforms:
    """All groups for ECS: those of capacity providers, those with ECS's AMI, and those below a cluster."""
    provided = [it.properties.get("autoScalingGroupProvider") or {} for it in capacity.of(_PROVIDER)]
    names = {_referenced(it.get("autoScalingGroupArn")) for it in provided}
    for group in capacity.of(_GROUP):
        images = as_json([it.get("imageId") for it in _launches(capacity, group.properties)]).lower()
        if group.logical_id in names or _is_below_cluster(group.construct) or any(mark in images for mark in _ECS_AMI):
            yield from _group_instances(capacity, group.properties)


def _provider_instances(capacity: Capacity, provider: _Properties) -> _Platforms:
    own = provider.get("autoScalingGroupProvider") or {}
    for group in capacity.named(own.get("autoScalingGroupArn"), _GROUP):
        yield from _group_instances(capacity, group.properties)
    managed = provider.get("managedInstancesProvider")
    if managed is not None:
        yield from _described_instances(managed.get("instanceLaunchTemplate") or {})


def _all_managed_instances(capacity: Capacity) -> _Platforms:
    for provider in capacity.of(_PROVIDER):
        if provider.properties.get("managedInstancesProvider") is not None:
            yield from _provider_instances(capacity, provider.properties)


def _launches(capacity: Capacity, group: _Properties) -> list[_Properties]:
    """The launch configuration of a group, or the data of its launch template."""
    mixed = (group.get("mixedInstancesPolicy") or {}).get("launchTemplate") or {}
    template = group.get("launchTemplate") or mixed.get("launchTemplateSpecification") or {}
    configurations = capacity.named(group.get("launchConfigurationName"), _LAUNCH_CONFIGURATION)
    templates = capacity.named(template.get("launchTemplateId"), _LAUNCH_TEMPLATE)
    return [
        *(it.properties for it in configurations),
        *(it.properties.get("launchTemplateData") or {} for it in templates),
    ]


def _group_instances(capacity: Capacity, group: _Properties) -> _Platforms:
    overrides = ((group.get("mixedInstancesPolicy") or {}).get("launchTemplate") or {}).get("overrides") or []
    typed = [it for it in overrides if "instanceType" in it or "instanceRequirements" in it]
    for described in typed or _launches(capacity, group) or [{}]:
        yield from _described_instances(described)


def _described_instances(described: _Properties) -> _Platforms:
    """The platforms of the instances that a launch template, an override or a capacity provider describes."""
    requirements = described.get("instanceRequirements") or {}
    if "instanceType" in described:
        yield _platform_of(described["instanceType"])
    elif allowed := requirements.get("allowedInstanceTypes"):
        yield from map(_platform_of, allowed)
    elif manufacturers := requirements.get("cpuManufacturers"):
        yield from map(_MANUFACTURERS.get, manufacturers)
    else:
        # The AMI is a parameter whose name CDK derives from the path of an SSM parameter.
        yield _ARM64 if "arm64" in as_json(described.get("imageId")) else None


def _eks_instances(capacity: Capacity, resource: CfnResource | None) -> _Platforms:
    cluster = capacity.properties(resource).get("clusterName") if resource is not None else None
    for group in _registered_groups(capacity, cluster):
        yield from _group_instances(capacity, group.properties)
    for part in capacity.of(_NODE_GROUP):
        if cluster is None or _referenced(part.properties.get("clusterName")) == _referenced(cluster):
            yield from _node_group_instances(capacity, part.properties)


def _node_group_instances(capacity: Capacity, group: _Properties) -> _Platforms:
    own = group.get("instanceTypes")
    types = own or [it["instanceType"] for it in _launches(capacity, group) if "instanceType" in it]
    yield from map(_platform_of, types)
    if not types:
        ami = group.get("amiType")
        yield (_ARM64 if "ARM" in ami else _AMD64) if isinstance(ami, str) else None


def _batch_instances(capacity: Capacity, resource: CfnResource | None) -> _Platforms:
    """A template does not say in which environments a job runs, because its queue is chosen when it is submitted."""
    for environment in capacity.of(_COMPUTE_ENVIRONMENT):
        resources = environment.properties.get("computeResources") or {}
        if not str(resources.get("type", "")).startswith("FARGATE"):
            for instance_type in resources.get("instanceTypes") or _types_so_far(environment.construct) or [None]:
                yield _BATCH_NAMES.get(instance_type) or _platform_of(instance_type)


_READERS: Final[Mapping[str, _Read]] = {
    "ecs-ec2": _on_ecs(_all_group_instances),
    "ecs-managed-instances": _on_ecs(_all_managed_instances),
    "eks": _eks_instances,
    "batch": _batch_instances,
}


def _types_so_far(environment: CfnResource) -> list[str]:
    """The instance types of a compute environment of CDK's Batch module, whose resource has them in a `Lazy`."""
    made: Any = environment.node.scope
    types: list[ec2.InstanceType] = getattr(made, "instance_types", None) or []
    classes: list[ec2.InstanceClass] = getattr(made, "instance_classes", None) or []
    types = [*types, *(ec2.InstanceType.of(it, ec2.InstanceSize.LARGE) for it in classes)]
    return [it.to_string() for it in types]


def _is_below_cluster(group: CfnResource) -> bool:
    return any(isinstance(scope, ecs.Cluster) for scope in scopes_of(group))


def _platform_of(instance_type: Any) -> str | None:
    """The platform of an instance type such as `m7g.large`, of a family such as `m7g`, or of `m7g.*`."""
    family = str(instance_type).partition(".")[0]
    return _platform_of_family(family) if _FAMILY.fullmatch(family) else None


@cache
def _platform_of_family(family: str) -> str | None:
    try:
        architecture = ec2.InstanceType(f"{family}.large").architecture
    except RuntimeError:
        # CDK does not know this family.
        return None
    return _ARM64 if architecture == ec2.InstanceArchitecture.ARM_64 else _AMD64


def _referenced(value: Any) -> str:
    """The logical ID that a property references, or its text."""
    if isinstance(value, Mapping):
        return next(referenced_ids(value), "")
    return value if isinstance(value, str) else ""


def _with_small_initials(value: Any) -> Any:
    """A value with the names of properties as CDK's constructs have them. Templates begin them with a capital."""
    if isinstance(value, list):
        return [_with_small_initials(element) for element in value]
    if isinstance(value, Mapping):
        return {_small_initial(name): _with_small_initials(element) for name, element in value.items()}
    return value


def _small_initial(name: str) -> str:
    return name if name == "Ref" or name.startswith("Fn::") else name[:1].lower() + name[1:]
