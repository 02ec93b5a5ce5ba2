"""What the resource that uses an image says about where it will run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import CfnResource, Stack
from constructs import IConstruct

from .synthesis.snapshot import as_json


@dataclass(frozen=True)
class Consumer:
    """A resource that runs an image.

    :param path: construct path of what the user wrote.
    :param runs_on: names of the runtimes on which it may run.
    :param platform: such as `linux/amd64`; None where it does not say.
    :param said_by: what says so, for messages.
    :param remedies: how to write a platform there.
    :param own_region: whether it runs images of its own region only.
    """

    path: str
    runs_on: tuple[str, ...]
    platform: str | None
    said_by: str
    remedies: Mapping[str, str]
    own_region: bool = False


def consumer_at(scope: IConstruct) -> Consumer | None:
    """The consumer that a token is being resolved for, where it is a resource that runs images.

    :param scope: the resolving scope.
    """
    if not isinstance(scope, CfnResource):
        return None
    read = _CONSUMERS.get(scope.cfn_resource_type)
    return read(scope) if read else None


def images_of(resource: Any) -> Iterator[str]:
    """The images that a resource runs, as JSON: not every one that it names, in its environment, say.

    :param resource: of one of these types, as the template has it.
    """
    if isinstance(resource, list):
        for inner in resource:
            yield from images_of(inner)
    elif isinstance(resource, dict):
        for name, inner in resource.items():
            if name in _IMAGES:
                yield as_json(inner)
            else:
                yield from images_of(inner)


def _task_definition(resource: CfnResource) -> Consumer:
    compatibilities = _resolved(resource, "requires_compatibilities") or []
    said = _resolved(resource, "runtime_platform") or {}
    architecture = said.get("cpuArchitecture")
    family = str(said.get("operatingSystemFamily", "LINUX"))
    said_by = "its runtime_platform"
    if architecture is None and "FARGATE" in compatibilities:
        # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
        architecture, said_by = "X86_64", "the default of a task definition without runtime_platform"
    return Consumer(
        path=_path(resource),
        runs_on=tuple(_COMPATIBILITIES[name] for name in compatibilities if name in _COMPATIBILITIES),
        platform=_platform("linux" if family == "LINUX" else "windows", architecture),
        said_by=said_by,
        remedies=_RUNTIME_PLATFORM,
    )


def _function(resource: CfnResource) -> Consumer | None:
    if _resolved(resource, "package_type") != "Image":
        return None
    architectures = _resolved(resource, "architectures")
    return Consumer(
        path=_path(resource),
        runs_on=("lambda",),
        platform=_platform("linux", architectures[0] if architectures else "x86_64"),
        said_by="its architecture" if architectures else "the default of a function without architecture",
        remedies=_FUNCTION_ARCHITECTURE,
        # https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
        own_region=True,
    )


def _job_definition(resource: CfnResource) -> Consumer:
    # A job of several containers is one task, which says it for all of them.
    # https://docs.aws.amazon.com/batch/latest/APIReference/API_EcsProperties.html
    tasks = (_resolved(resource, "ecs_properties") or {}).get("taskProperties")
    container = _resolved(resource, "container_properties") or (tasks[0] if tasks else {})
    said = container.get("runtimePlatform") or {}
    architecture, said_by = said.get("cpuArchitecture"), "its container's runtimePlatform"
    if architecture is None and "FARGATE" in (_resolved(resource, "platform_capabilities") or []):
        # https://docs.aws.amazon.com/batch/latest/APIReference/API_RuntimePlatform.html
        architecture, said_by = "X86_64", "the default of a Fargate job without runtimePlatform"
    family = str(said.get("operatingSystemFamily", "LINUX"))
    return Consumer(
        path=_path(resource),
        runs_on=("batch",),
        platform=_platform("linux" if family == "LINUX" else "windows", architecture),
        said_by=said_by,
        remedies=_CONTAINER_ARCHITECTURE,
    )


def _of_one_platform(name: str, platform: str | None, said_by: str = "") -> Callable[[CfnResource], Consumer]:
    """A consumer that is of one runtime, and says no platform of its own."""
    return lambda resource: Consumer(_path(resource), (name,), platform, said_by, {})


_CONSUMERS: Final[Mapping[str, Callable[[CfnResource], Consumer | None]]] = {
    "AWS::ECS::TaskDefinition": _task_definition,
    "AWS::Lambda::Function": _function,
    "AWS::Batch::JobDefinition": _job_definition,
    # No source says on which architectures it runs; the verification warns of arm64.
    "AWS::AppRunner::Service": _of_one_platform("app-runner", None),
    # https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/runtime-service-contract.html
    "AWS::BedrockAgentCore::Runtime": _of_one_platform("agentcore", "linux/arm64", "as all of AgentCore"),
    # Its instances are of both architectures, and the model does not say on which it runs.
    "AWS::SageMaker::Model": _of_one_platform("sagemaker", None),
    # What CDK applies to a cluster; the nodes are of both architectures.
    "Custom::AWSCDK-EKS-KubernetesResource": _of_one_platform("eks", None),
    "Custom::AWSCDK-EKS-HelmChart": _of_one_platform("eks", None),
}
# Where a resource of these types has its images: a manifest of Kubernetes is one text, and a chart's values too.
_IMAGES: Final = frozenset({"ContainerUri", "Image", "ImageIdentifier", "ImageUri", "Manifest", "Values"})
TYPES: Final = frozenset(_CONSUMERS)
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
    # What is only known at deploy resolves to an intrinsic, a mapping.
    known = _ARCHITECTURES.get(architecture.upper()) if isinstance(architecture, str) else None
    return f"{os}/{known}" if known else None


def _resolved(resource: CfnResource, name: str) -> Any:
    return Stack.of(resource).resolve(getattr(resource, name, None))


def _path(resource: CfnResource) -> str:
    return resource.node.path.removesuffix("/Resource")
