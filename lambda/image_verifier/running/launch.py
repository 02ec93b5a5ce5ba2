"""The runtime and the platform of an ECS service or task, as its launch type, capacity and task definition say them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..rules.consumer_types import template_names
from ..rules.consumers import ARCHITECTURES, CONSUMERS, LAUNCH_TYPES

_TASK_DEFINITION: Final = CONSUMERS["AWS::ECS::TaskDefinition"]
# Of ECS's hosts with Windows: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/windows_task_definitions.html
_WINDOWS: Final = "windows/amd64"


def runtime_of(*places: Mapping[str, Any]) -> str:
    """The runtime of a service or a task.

    :param places: the objects that may say it, the best first: the service, a task of it, its task definition.
    """
    for place in places:
        providers = [place.get("capacityProviderName", "")]
        providers += [strategy["capacityProvider"] for strategy in place.get("capacityProviderStrategy", ())]
        if any(provider.startswith("FARGATE") for provider in providers):
            return "fargate"
        # Of a capacity provider that a user made, only the hosts of its tasks are known.
        hosts = [place["launchType"]] if "launchType" in place else place.get("requiresCompatibilities", ())
        runtimes = [LAUNCH_TYPES[kind] for kind in hosts if kind in LAUNCH_TYPES]
        if len(runtimes) == 1:
            return runtimes[0]
    return "ecs-ec2"


def platform_of(
    definition: Mapping[str, Any], runtime: str, task: Mapping[str, Any], revision: Mapping[str, Any] | None = None
) -> str:
    """The platform for which the images of a task definition are pulled; empty where nothing says it.

    :param definition: the task definition.
    :param runtime: the runtime on which it is used: it may be for several, and Fargate's default holds there alone.
    :param task: a task of it that runs now; empty if none does.
    :param revision: the revision of the service. ECS may run it on another platform than its task definition's:
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RuntimePlatformOverride.html
    """
    override = (revision or {}).get("overrides", {}).get("runtimePlatform", {})
    definition = {**definition, "runtimePlatform": {**definition.get("runtimePlatform", {}), **override}}
    if definition["runtimePlatform"].get("operatingSystemFamily", "LINUX") != "LINUX":
        return _WINDOWS
    hosts = [kind for kind, name in LAUNCH_TYPES.items() if name == runtime]
    stated = _TASK_DEFINITION.use({**template_names(definition), "RequiresCompatibilities": hosts})
    return stated.platform or machine_of(task)


def machine_of(task: Mapping[str, Any]) -> str:
    """The platform of the machine on which a task runs; empty where ECS does not report it.

    :param task: the task.
    """
    if task.get("platformFamily", "").lower().startswith("windows"):
        return _WINDOWS
    attributes = {attribute["name"]: attribute.get("value", "") for attribute in task.get("attributes", ())}
    return ARCHITECTURES.get(attributes.get("ecs.cpu-architecture", "").upper(), "")
