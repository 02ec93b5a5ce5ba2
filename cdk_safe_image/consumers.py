"""Consumers: the resources that run an image, and the runtimes and platforms on which they run it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import CfnResource, Stack
from constructs import IConstruct

from .synthesis.snapshot import as_json


@dataclass(frozen=True)
class Consumer:
    """A resource that runs an image.

    :param path: path of the construct that the user made.
    :param runs_on: names of the runtimes on which it may run.
    :param platform: such as `linux/amd64`; None if it is unknown.
    :param stated_by: the property or default from which the platform follows, for messages.
    :param remedies: the argument that sets each platform there.
    :param own_region: whether it only runs images of its own region.
    """

    path: str
    runs_on: tuple[str, ...]
    platform: str | None
    stated_by: str
    remedies: Mapping[str, str]
    own_region: bool = False


def consumer_at(scope: IConstruct) -> Consumer | None:
    """The consumer that a construct is; None if it is not a resource that runs images.

    :param scope: the construct, such as the one that a token is resolved for.
    """
    if not isinstance(scope, CfnResource):
        return None
    read = _CONSUMERS.get(scope.cfn_resource_type)
    return read(scope) if read else None


def images_of(resource: Any) -> Iterator[str]:
    """The images that a resource runs, as JSON, without those that it only references, such as in its environment.

    :param resource: a resource of one of `TYPES`, as its template contains it.
    """
    if isinstance(resource, list):
        for value in resource:
            yield from images_of(value)
    elif isinstance(resource, dict):
        for name, value in resource.items():
            if name in _IMAGE_PROPERTIES:
                yield as_json(value)
            else:
                yield from images_of(value)


def user_path(resource: IConstruct) -> str:
    """The path of the construct that the user made, for a resource in it."""
    return _RESOURCE_IDS.sub("", resource.node.path)


def _task_definition(resource: CfnResource) -> Consumer:
    compatibilities = _resolved(resource, "requires_compatibilities") or []
    runtime_platform = _resolved(resource, "runtime_platform") or {}
    architecture = runtime_platform.get("cpuArchitecture")
    family = str(runtime_platform.get("operatingSystemFamily", "LINUX"))
    stated_by = "its runtime_platform"
    if architecture is None and "FARGATE" in compatibilities:
        # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
        architecture, stated_by = "X86_64", "the default of a task definition without runtime_platform"
    return Consumer(
        path=user_path(resource),
        runs_on=tuple(_COMPATIBILITIES[name] for name in compatibilities if name in _COMPATIBILITIES),
        platform=_platform("linux" if family == "LINUX" else "windows", architecture),
        stated_by=stated_by,
        remedies=_RUNTIME_PLATFORM,
    )


def _function(resource: CfnResource) -> Consumer | None:
    if _resolved(resource, "package_type") != "Image":
        return None
    architectures = _resolved(resource, "architectures")
    return Consumer(
        path=user_path(resource),
        runs_on=("lambda",),
        platform=_platform("linux", architectures[0] if architectures else "x86_64"),
        stated_by="its architecture" if architectures else "the default of a function without architecture",
        remedies=_FUNCTION_ARCHITECTURE,
        # https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
        own_region=True,
    )


def _job_definition(resource: CfnResource) -> Consumer:
    # A job with several containers is one task, whose runtimePlatform applies to all of them.
    # https://docs.aws.amazon.com/batch/latest/APIReference/API_EcsProperties.html
    tasks = (_resolved(resource, "ecs_properties") or {}).get("taskProperties")
    container = _resolved(resource, "container_properties") or (tasks[0] if tasks else {})
    runtime_platform = container.get("runtimePlatform") or {}
    architecture, stated_by = runtime_platform.get("cpuArchitecture"), "its container's runtimePlatform"
    if architecture is None and "FARGATE" in (_resolved(resource, "platform_capabilities") or []):
        # https://docs.aws.amazon.com/batch/latest/APIReference/API_RuntimePlatform.html
        architecture, stated_by = "X86_64", "the default of a Fargate job without runtimePlatform"
    family = str(runtime_platform.get("operatingSystemFamily", "LINUX"))
    return Consumer(
        path=user_path(resource),
        runs_on=("batch",),
        platform=_platform("linux" if family == "LINUX" else "windows", architecture),
        stated_by=stated_by,
        remedies=_CONTAINER_ARCHITECTURE,
    )


def _on_one_runtime(name: str, platform: str | None, stated_by: str = "") -> Callable[[CfnResource], Consumer]:
    """Read a consumer that belongs to one runtime, and has no property for its platform."""
    return lambda resource: Consumer(user_path(resource), (name,), platform, stated_by, {})


_CONSUMERS: Final[Mapping[str, Callable[[CfnResource], Consumer | None]]] = {
    "AWS::ECS::TaskDefinition": _task_definition,
    "AWS::Lambda::Function": _function,
    "AWS::Batch::JobDefinition": _job_definition,
    # No source says on which architectures it runs; the verification itself warns about arm64.
    "AWS::AppRunner::Service": _on_one_runtime("app-runner", None),
    # https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/runtime-service-contract.html
    "AWS::BedrockAgentCore::Runtime": _on_one_runtime("agentcore", "linux/arm64", "like all of AgentCore"),
    # Instances of both architectures exist, and the model does not say on which it runs.
    "AWS::SageMaker::Model": _on_one_runtime("sagemaker", None),
    # CDK applies these to a cluster, whose nodes may have either architecture.
    "Custom::AWSCDK-EKS-KubernetesResource": _on_one_runtime("eks", None),
    "Custom::AWSCDK-EKS-HelmChart": _on_one_runtime("eks", None),
}
# The properties that contain images in these types. A Kubernetes manifest is one string, and so are a chart's values.
_IMAGE_PROPERTIES: Final = frozenset({"ContainerUri", "Image", "ImageIdentifier", "ImageUri", "Manifest", "Values"})
TYPES: Final = frozenset(_CONSUMERS)
# The IDs of the resources in constructs, such as the manifests of CDK's EKS module.
_RESOURCE_IDS: Final = re.compile(r"(/Resource|/Default)+$")
_COMPATIBILITIES: Final = {"FARGATE": "fargate", "EC2": "ecs-ec2"}
_ARCHITECTURES: Final = {"X86_64": "amd64", "ARM64": "arm64"}
_RUNTIME_PLATFORM: Final = {
    f"linux/{architecture}": f"runtime_platform=ecs.RuntimePlatform(cpu_architecture=ecs.CpuArchitecture.{name}, "
    "operating_system_family=ecs.OperatingSystemFamily.LINUX)"
    for name, architecture in _ARCHITECTURES.items()
}
_CONTAINER_ARCHITECTURE: Final = {
    f"linux/{architecture}": f"fargate_cpu_architecture=ecs.CpuArchitecture.{name} in the container"
    for name, architecture in _ARCHITECTURES.items()
}
_FUNCTION_ARCHITECTURE: Final = {
    "linux/amd64": "architecture=lambda_.Architecture.X86_64",
    "linux/arm64": "architecture=lambda_.Architecture.ARM_64",
}


def _platform(os: str, architecture: Any) -> str | None:
    # A value that is only known at deploy resolves to an intrinsic function, which is a mapping.
    known = _ARCHITECTURES.get(architecture.upper()) if isinstance(architecture, str) else None
    return f"{os}/{known}" if known else None


def _resolved(resource: CfnResource, name: str) -> Any:
    return Stack.of(resource).resolve(getattr(resource, name, None))
