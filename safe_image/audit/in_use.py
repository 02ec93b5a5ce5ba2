"""The images that ECS and Lambda reference: those that run, that a service starts next, and that it rolls back to.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ and
https://docs.aws.amazon.com/lambda/latest/api/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from image_verifier import aws
from image_verifier.audit.repository import RETRY_SECONDS
from image_verifier.faults import Fault
from image_verifier.pool import Pool
from image_verifier.retry import RetryBudget
from image_verifier.rules.consumer_types import template_names
from image_verifier.rules.consumers import ARCHITECTURES, CONSUMERS, LAUNCH_TYPES

from ..sources.aws_sessions import AwsSessions

# The maximum of DescribeServices and of DescribeTasks.
_SERVICES: Final = 10
_TASKS: Final = 100
_AT_ONCE: Final = 8
_TASK_DEFINITION: Final = CONSUMERS["AWS::ECS::TaskDefinition"]
_FUNCTION: Final = CONSUMERS["AWS::Lambda::Function"]


@dataclass(frozen=True)
class ImageUse:
    """A use of an image.

    :param image: the image's reference, as its user has it.
    :param user: the user's display name: `ECS service prod/web`.
    :param runtime: the runtime, as in `runs_on`.
    :param platform: the platform; empty where it is not known.
    """

    image: str
    user: str
    runtime: str
    platform: str = ""


class _Service:
    """One AWS service, whose calls are retried."""

    def __init__(self, sessions: AwsSessions, name: str) -> None:
        place = sessions.environment()
        self._client = sessions.client(name)
        self._on = f"arn:{place.partition}:{name}:{place.region}:{place.account}:*"

    def call(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """One call. Raises `Fault`."""
        return aws.call(self._client, operation, self._on, RetryBudget.of(RETRY_SECONDS), **parameters)

    def items(self, operation: str, what: str, tokens: tuple[str, str], **parameters: Any) -> Iterator[Any]:
        """All items of a paged call.

        :param what: the answer's field with the items.
        :param tokens: the answer's field with the next page's token, and the parameter for it.
        """
        budget = partial(RetryBudget.of, RETRY_SECONDS)
        for page in aws.pages(self._client, operation, self._on, budget, tokens, **parameters):
            yield from page.get(what, ())

    def incomplete(self, operation: str, what: str) -> Fault:
        """The fault for an answer that leaves open what is in use."""
        return Fault(f"{operation} on {self._on} returned {what}", aws.UNKNOWN_ADVICE)


class _Ecs(_Service):
    def __init__(self, sessions: AwsSessions) -> None:
        super().__init__(sessions, "ecs")
        self._definitions: dict[str, Mapping[str, Any]] = {}

    def arns(self, operation: str, what: str, **parameters: Any) -> list[str]:
        return list(self.items(operation, what, ("nextToken", "nextToken"), **parameters))

    def described(self, operation: str, what: str, **parameters: Any) -> list[Any]:
        """The descriptions of ECS; a service or task that has ended meanwhile has none."""
        answer = self.call(operation, **parameters)
        reasons = {failure.get("reason", "") for failure in answer.get("failures", ())} - {"MISSING"}
        if reasons:
            raise self.incomplete(operation, f"the failure {' and '.join(sorted(reasons))}")
        return list(answer.get(what, ()))

    def definition(self, arn: str) -> Mapping[str, Any]:
        if arn not in self._definitions:
            self._definitions[arn] = self.call("describe_task_definition", taskDefinition=arn)["taskDefinition"]
        return self._definitions[arn]

    def previous_revision(self, arn: str) -> str | None:
        """The revision of a task definition to which a service rolls back: the previous active one."""
        family, revision = _family_and_revision(arn)
        # Newest first: the previous one is among them, or too old for a rollback.
        parameters = {"familyPrefix": family, "status": "ACTIVE", "sort": "DESC", "maxResults": 100}
        known = self.call("list_task_definitions", **parameters)["taskDefinitionArns"]
        earlier = (one for one in known if _family_and_revision(one)[0] == family)
        return next((one for one in earlier if _family_and_revision(one)[1] < revision), None)


def in_ecs(sessions: AwsSessions) -> list[ImageUse]:
    """The images that ECS services and tasks reference.

    :raises Fault: if a call to ECS fails.
    """
    ecs = _Ecs(sessions)
    clusters = ecs.arns("list_clusters", "clusterArns")
    with Pool(_AT_ONCE) as pool:
        by_cluster = pool.results(lambda cluster: _in_cluster(ecs, cluster), clusters)
        return list(dict.fromkeys(use for uses in by_cluster for use in uses))


def _in_cluster(ecs: _Ecs, cluster: str) -> list[ImageUse]:
    name = cluster.rpartition("/")[2]
    tasks = list(_running(ecs, cluster))
    by_group = {task.get("group", ""): task for task in tasks}
    return [*_services(ecs, cluster, name, by_group), *_tasks(tasks, name)]


def _services(ecs: _Ecs, cluster: str, name: str, by_group: Mapping[str, Mapping[str, Any]]) -> Iterator[ImageUse]:
    arns = ecs.arns("list_services", "serviceArns", cluster=cluster, maxResults=100)
    for start in range(0, len(arns), _SERVICES):
        some = arns[start : start + _SERVICES]
        for service in ecs.described("describe_services", "services", cluster=cluster, services=some):
            user = f"ECS service {name}/{service['serviceName']}"
            runs = (service, by_group.get(f"service:{service['serviceName']}", {}))
            deployed = [d["taskDefinition"] for d in service.get("deployments", ()) if d.get("taskDefinition")]
            current = service.get("taskDefinition")
            for arn in dict.fromkeys(filter(None, (current, *deployed))):
                yield from _of_definition(ecs.definition(arn), user, *runs)
            earlier = ecs.previous_revision(current) if current else None
            if earlier and earlier not in deployed:
                family, revision = _family_and_revision(earlier)
                rolled_back = f"{user}, rolled back to {family}:{revision}"
                yield from _of_definition(ecs.definition(earlier), rolled_back, *runs)


def _of_definition(
    definition: Mapping[str, Any], user: str, service: Mapping[str, Any], task: Mapping[str, Any]
) -> Iterator[ImageUse]:
    """The images of a task definition of a service.

    :param task: a task of the service that runs now; empty if none does.
    """
    # No known runtime runs an image for Windows.
    if definition.get("runtimePlatform", {}).get("operatingSystemFamily", "LINUX") != "LINUX":
        return
    runtime = _runtime(service, task, definition)
    # A definition may be for several kinds of hosts, and Fargate's default holds on Fargate alone.
    hosts = [kind for kind, name in LAUNCH_TYPES.items() if name == runtime]
    stated = _TASK_DEFINITION.use({**template_names(definition), "RequiresCompatibilities": hosts})
    platform = stated.platform or _machine(task)
    for container in definition.get("containerDefinitions", ()):
        if container.get("image"):
            yield ImageUse(container["image"], user, runtime, platform)


def _running(ecs: _Ecs, cluster: str) -> Iterator[Mapping[str, Any]]:
    arns = ecs.arns("list_tasks", "taskArns", cluster=cluster)
    for start in range(0, len(arns), _TASKS):
        yield from ecs.described("describe_tasks", "tasks", cluster=cluster, tasks=arns[start : start + _TASKS])


def _tasks(tasks: Iterable[Mapping[str, Any]], cluster: str) -> Iterator[ImageUse]:
    """The images of running tasks, by the digest that each runs, also where its tag has moved."""
    for task in tasks:
        kind, _, name = task.get("group", "").partition(":")
        family, revision = _family_and_revision(task["taskDefinitionArn"])
        user = f"ECS service {cluster}/{name}" if kind == "service" else f"ECS task {cluster}/{family}:{revision}"
        for container in task.get("containers", ()):
            if image := container.get("image"):
                digest = container.get("imageDigest")
                pinned = f"{_without_tag(image)}@{digest}" if digest and "@" not in image else image
                yield ImageUse(pinned, user, _runtime(task), _machine(task))


def _runtime(*places: Mapping[str, Any]) -> str:
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


def _machine(task: Mapping[str, Any]) -> str:
    """The platform of the machine on which a task runs; empty where ECS does not report it."""
    attributes = {attribute["name"]: attribute.get("value", "") for attribute in task.get("attributes", ())}
    return ARCHITECTURES.get(attributes.get("ecs.cpu-architecture", "").upper(), "")


def _family_and_revision(arn: str) -> tuple[str, int]:
    family, _, revision = arn.rpartition("/")[2].rpartition(":")
    return family, int(revision)


def _without_tag(image: str) -> str:
    name, colon, tag = image.rpartition(":")
    return name if colon and "/" not in tag else image


def in_lambda(sessions: AwsSessions) -> list[ImageUse]:
    """The images that Lambda functions reference.

    :raises Fault: if a call to Lambda fails.
    """
    service = _Service(sessions, "lambda")
    functions = service.items("list_functions", "Functions", ("NextMarker", "Marker"))
    images = [one for one in functions if one.get("PackageType") == "Image"]

    def use(function: Mapping[str, Any]) -> ImageUse:
        name = function["FunctionName"]
        code = service.call("get_function", FunctionName=name)["Code"]
        # A function keeps running the digest that its tag was resolved to.
        image = code.get("ResolvedImageUri") or code.get("ImageUri")
        if not image:
            raise service.incomplete("get_function", f"no image of {name}")
        return ImageUse(image, f"Lambda function {name}", "lambda", _FUNCTION.use(function).platform or "")

    with Pool(_AT_ONCE) as pool:
        return list(pool.results(use, images))
