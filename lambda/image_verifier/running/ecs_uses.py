"""The images of ECS services and tasks: those that run, that a service starts next, and that it rolls back to.

ECS resolves each reference to a digest once for each revision of a service, and starts every task of the revision with
it. Where no revision has the digests, the references of the task definition are all that is known.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceRevision.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from ..pool import Pool
from ..retry import RetryBudget
from .api import Api, batches
from .image_use import Consumer, ConsumerKind, ImageUse
from .launch import machine_of, platform_of, runtime_of

# The maximum of DescribeServices, of DescribeTasks and of DescribeServiceRevisions.
_SERVICES: Final = 10
_TASKS: Final = 100
_REVISIONS: Final = 20
_AT_ONCE: Final = 8
# A service rolls back to its last successful deployment, and CloudFormation's own rollback to the one before.
_EARLIER: Final = 2
_ENDED: Final = frozenset({"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})


def uses_in_ecs(client: Any) -> list[ImageUse]:
    """The images that the services and tasks of an account use, in one region.

    :param client: the client of ECS.
    :raises Fault: if a call fails, or its answer is incomplete; then it is not known which images run.
    """
    ecs = _Ecs(client)
    with Pool(_AT_ONCE) as pool:
        clusters = pool.results(lambda arn: _Cluster.read(ecs, arn), ecs.items("list_clusters", "clusterArns"))
        # One cluster may have most of the services.
        parts = [part for cluster in clusters for part in cluster.parts()]
        by_part = pool.results(lambda part: list(part()), parts)
        return list(dict.fromkeys(use for uses in by_part for use in uses))


def uses_of_services(
    client: Any, cluster: str, services: Sequence[str], retry_budget: RetryBudget | None = None
) -> list[ImageUse]:
    """The images that some services use; a service that was deleted uses none.

    :param client: the client of ECS.
    :param cluster: the cluster's ARN or name.
    :param services: the services' ARNs or names.
    :param retry_budget: for how long all calls are retried. Default: each for a minute
    :raises Fault: if a call fails, or its answer is incomplete.
    """
    return list(dict.fromkeys(_of_services(_Ecs(client, retry_budget), cluster, services, {})))


def uses_of_tasks(
    client: Any, cluster: str, tasks: Sequence[str], retry_budget: RetryBudget | None = None
) -> list[ImageUse]:
    """The images that some tasks run; a task that has stopped runs none.

    :param client: the client of ECS.
    :param cluster: the cluster's ARN or name.
    :param tasks: the tasks' ARNs.
    :param retry_budget: for how long all calls are retried. Default: each for a minute
    :raises Fault: if a call fails, or its answer is incomplete.
    """
    running = _running(_Ecs(client, retry_budget), cluster, tasks)
    return [use for task in running if task.get("lastStatus") != "STOPPED" for use in uses_of_task(task, cluster)]


def uses_of_task(task: Mapping[str, Any], cluster: str) -> Iterator[ImageUse]:
    """The images of a task, by the digest that each runs, also where its tag has moved.

    :param task: the task, as DescribeTasks and ECS's events describe it.
    :param cluster: the cluster's ARN or name.
    """
    kind, _, name = task.get("group", "").partition(":")
    if kind == "service":
        user, consumer = f"ECS service {_name(cluster)}/{name}", Consumer(ConsumerKind.SERVICE, name, cluster)
    else:
        definition = _name(task.get("taskDefinitionArn", task["taskArn"]))
        user, consumer = (
            f"ECS task {_name(cluster)}/{definition}",
            Consumer(ConsumerKind.TASK, task["taskArn"], cluster),
        )
    yield from _uses(task.get("containers", ()), user, consumer, runtime_of(task), machine_of(task))


class _Ecs(Api):
    """ECS, whose task definitions are read once."""

    def __init__(self, client: Any, retry_budget: RetryBudget | None = None) -> None:
        super().__init__(client, retry_budget)
        self._definitions: dict[str, Mapping[str, Any]] = {}

    def definition(self, arn: str) -> Mapping[str, Any]:
        """A task definition; empty if it was deleted."""
        if arn not in self._definitions:
            answer = self.call("describe_task_definition", ("ClientException",), taskDefinition=arn)
            self._definitions[arn] = answer.get("taskDefinition", {})
        return self._definitions[arn]

    def previous_definition(self, arn: str) -> str | None:
        """The previous active revision of a task definition."""
        family, revision = family_and_revision(arn)
        # Newest first: the previous one is among them, or too old for a rollback.
        parameters: dict[str, Any] = {"familyPrefix": family, "status": "ACTIVE", "sort": "DESC", "maxResults": 100}
        known = self.call("list_task_definitions", **parameters)["taskDefinitionArns"]
        earlier = (one for one in known if family_and_revision(one)[0] == family)
        return next((one for one in earlier if family_and_revision(one)[1] < revision), None)


@dataclass
class _Revisions:
    """The revisions of a service by their ARNs, each once.

    :param current: those that run, or start next.
    :param earlier: those to which the service rolls back.
    :param is_complete: whether ECS knows to which one it rolls back.
    """

    current: list[str] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)
    is_complete: bool = True


@dataclass(frozen=True)
class _Cluster:
    """A cluster.

    :param ecs: the API.
    :param arn: its ARN.
    :param services: the ARNs of its services.
    :param tasks: its tasks.
    """

    ecs: _Ecs
    arn: str
    services: Sequence[str]
    tasks: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, ecs: _Ecs, arn: str) -> _Cluster:
        """Read the tasks of a cluster, and the names of its services."""
        services = ecs.items("list_services", "serviceArns", cluster=arn, maxResults=100)
        return cls(ecs, arn, services, list(_running(ecs, arn, ecs.items("list_tasks", "taskArns", cluster=arn))))

    def parts(self) -> Iterator[Callable[[], Iterable[ImageUse]]]:
        """The readings of its images, which do not depend on each other."""
        by_group = {task.get("group", ""): task for task in self.tasks}
        for arns in batches(self.services, _SERVICES):
            yield partial(_of_services, self.ecs, self.arn, arns, by_group)
        yield lambda: (use for task in self.tasks for use in uses_of_task(task, self.arn))


def _running(ecs: _Ecs, cluster: str, tasks: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for arns in batches(tasks, _TASKS):
        yield from ecs.described("describe_tasks", "tasks", cluster=cluster, tasks=arns)


def _of_services(
    ecs: _Ecs, cluster: str, services: Iterable[str], tasks: Mapping[str, Mapping[str, Any]]
) -> Iterator[ImageUse]:
    """:param tasks: a task that runs now, by the group of its service."""
    for arns in batches(services, _SERVICES):
        for service in ecs.described("describe_services", "services", cluster=cluster, services=arns):
            if service.get("status") != "INACTIVE":
                task = tasks.get(f"service:{service['serviceName']}", {})
                yield from _ServiceReader(ecs, cluster, service, task).uses()


@dataclass
class _ServiceReader:
    """Reads the images of one service.

    :param ecs: the API.
    :param cluster: its cluster.
    :param service: the service.
    :param task: a task of it that runs now; empty if none does.
    """

    ecs: _Ecs
    cluster: str
    service: Mapping[str, Any]
    task: Mapping[str, Any]

    def uses(self) -> Iterator[ImageUse]:
        """The images that run, then those that start next, then those that it rolls back to."""
        known = self._revisions()
        deployed = [self.service, *self.service.get("deployments", ()), *self.service.get("taskSets", ())]
        definitions = {one["taskDefinition"] for one in deployed if one.get("taskDefinition")}
        found = self._described([*known.current, *known.earlier])
        current = [revision for revision in found if revision["serviceRevisionArn"] in known.current]
        yield from self._of_revisions(current, definitions, "")
        own = definitions | {revision.get("taskDefinition", "") for revision in current}
        earlier = [revision for revision in found if revision not in current]
        for revision in earlier:
            definition = revision.get("taskDefinition", "")
            yield from self._of_revisions([revision], {definition} - {""}, _rolled_back(definition))
        current_definition = self.service.get("taskDefinition")
        if not earlier and not known.is_complete and current_definition:
            previous = self.ecs.previous_definition(current_definition)
            if previous and previous not in own:
                yield from self._of_definition(previous, _rolled_back(previous))

    def _revisions(self) -> _Revisions:
        """The revisions of the service that run, that start next, and that it rolls back to."""
        deployments = self.ecs.items(
            "list_service_deployments",
            "serviceDeployments",
            cluster=self.cluster,
            service=self.service["serviceArn"],
        )
        deployments.sort(key=lambda deployment: deployment["createdAt"], reverse=True)
        succeeded = [one for one in deployments if one.get("status") == "SUCCESSFUL"][:_EARLIER]
        going_on = [one for one in deployments if one.get("status") not in _ENDED]
        running = [revision.get("arn") for revision in self.service.get("currentServiceRevisions", ())]
        current = [arn for arn in (*running, *_targets(going_on)) if arn]
        earlier = [arn for arn in _targets(succeeded) if arn not in current]
        # The service may be older than what ECS lists. A deployment that failed was not rolled back to.
        is_complete = any(one.get("status") in _ENDED - {"SUCCESSFUL"} for one in deployments)
        return _Revisions(list(dict.fromkeys(current)), list(dict.fromkeys(earlier)), is_complete)

    def _described(self, arns: Iterable[str]) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for some in batches(arns, _REVISIONS):
            found += self.ecs.described("describe_service_revisions", "serviceRevisions", serviceRevisionArns=some)
        return found

    def _of_revisions(
        self, revisions: Iterable[Mapping[str, Any]], definitions: Iterable[str], role: str
    ) -> Iterator[ImageUse]:
        """:param definitions: the task definitions in use, whose references count where no revision has all digests."""
        unresolved = set(definitions)
        for revision in revisions:
            definition, images = revision.get("taskDefinition", ""), revision.get("containerImages", ())
            if images and all(image.get("imageDigest") for image in images):
                unresolved.discard(definition)
            elif definition:
                unresolved.add(definition)
            yield from self._uses(images, self.ecs.definition(definition) if definition else {}, role, revision)
        for definition in sorted(unresolved):
            yield from self._of_definition(definition, role)

    def _of_definition(self, arn: str, role: str) -> Iterator[ImageUse]:
        definition = self.ecs.definition(arn)
        containers = definition.get("containerDefinitions")
        if not containers:
            what = f"no containers of {arn} of {self.service['serviceArn']}"
            raise self.ecs.incomplete("describe_task_definition", what)
        yield from self._uses(containers, definition, role, {})

    def _uses(
        self,
        containers: Iterable[Mapping[str, Any]],
        definition: Mapping[str, Any],
        role: str,
        revision: Mapping[str, Any],
    ) -> Iterator[ImageUse]:
        user = f"ECS service {_name(self.cluster)}/{self.service['serviceName']}{role}"
        consumer = Consumer(ConsumerKind.SERVICE, self.service["serviceName"], self.cluster)
        runtime = runtime_of(revision, self.service, self.task, definition)
        return _uses(containers, user, consumer, runtime, platform_of(definition, runtime, self.task, revision))


def _uses(
    containers: Iterable[Mapping[str, Any]], user: str, consumer: Consumer, runtime: str, platform: str
) -> Iterator[ImageUse]:
    for container in containers:
        if reference := container.get("image"):
            digest = container.get("imageDigest") or reference.partition("@")[2]
            yield ImageUse(reference, digest, user, consumer, runtime, platform)


def _targets(deployments: Iterable[Mapping[str, Any]]) -> list[str]:
    targets = (deployment.get("targetServiceRevisionArn") for deployment in deployments)
    return [target for target in targets if target]


def _rolled_back(definition: str) -> str:
    return f", rolled back to {_name(definition)}" if definition else ", rolled back"


def family_and_revision(arn: str) -> tuple[str, int]:
    """The family of a task definition, and the number of its revision.

    :param arn: the ARN of the task definition.
    """
    family, _, revision = _name(arn).rpartition(":")
    return family, int(revision)


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]
