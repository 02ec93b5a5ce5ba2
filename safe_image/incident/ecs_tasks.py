"""Stopped tasks of ECS: why each stopped, and which image each of its containers had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from image_verifier.faults import Fault
from image_verifier.rules.consumers import ARCHITECTURES, LAUNCH_TYPES

from .aws_reader import AwsReader
from .incident import Failure, Incident

# The maximum of ListTasks and of DescribeTasks.
_TASKS: Final = 100
_MOST_PAGES: Final = 20
# How many failed tasks are looked at; the newest has the newest reason.
_MOST_FAILED: Final = 5
_NOT_FAILED: Final = ("Scaling activity initiated by", "Task stopped by user", "Service scheduler")

Task = Mapping[str, Any]
TaskDefinition = Mapping[str, Any]


def task_incident(reader: AwsReader, arn: str) -> Incident:
    """The incident of one task.

    :param reader: reads from AWS.
    :param arn: the task's ARN.
    :raises Fault: if the task cannot be read, or is gone.
    """
    cluster, _, task_id = arn.partition(":task/")[2].rpartition("/")
    found = reader.require("ecs", "describe_tasks", arn, cluster=cluster or "default", tasks=[arn])["tasks"]
    if not found:
        raise Fault(
            f"ECS no longer has the task {task_id}: stopped tasks vanish after about an hour",
            f"Explain the service instead: safe-image explain --service {cluster or 'CLUSTER'}/SERVICE",
        )
    task = found[0]
    definition = task_definition(reader, task.get("taskDefinitionArn", ""))
    failures = tuple(task_failures(task, definition, {}))
    return Incident(
        f"task {task_id} in cluster {cluster}",
        "failed" if failures else "healthy",
        failures,
        runs_on(task),
        platform(definition, task),
        tuple(task_proof(task)),
        tuple(reader.notes),
    )


def stopped_tasks(reader: AwsReader, cluster: str, service: str) -> tuple[Task, ...]:
    """The stopped tasks of a service that ECS still has, the newest first.

    :param cluster: the cluster's name or ARN.
    :param service: the service's name.
    """
    without = "The stopped tasks could not be read, so the reason is from the service's events."
    wanted = {"cluster": cluster, "serviceName": service, "desiredStatus": "STOPPED", "maxResults": _TASKS}
    tasks: list[Task] = []
    more: dict[str, str] = {}
    # ECS lists the tasks in no order: the newest may be on any page.
    for _ in range(_MOST_PAGES):
        listed = reader.read("ecs", "list_tasks", service, without, **wanted, **more)
        if arns := listed.get("taskArns", []):
            described = reader.read("ecs", "describe_tasks", service, without, cluster=cluster, tasks=arns)
            tasks += described.get("tasks", [])
        if not listed.get("nextToken"):
            break
        more = {"nextToken": listed["nextToken"]}
    else:
        reader.notes.append(f"More than {_MOST_PAGES * _TASKS:,} stopped tasks: the newest may be missing.")
    return tuple(sorted(tasks, key=lambda task: str(task.get("stoppedAt", "")), reverse=True))


def failed(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """The tasks that stopped by a failure, and not since a deployment or a person replaced them."""
    return tuple(task for task in tasks if not str(task.get("stoppedReason", "")).startswith(_NOT_FAILED))


def task_definition(reader: AwsReader, arn: str) -> TaskDefinition:
    """A task definition; empty where it could not be read.

    :param arn: its ARN; empty gives nothing.
    """
    without = "The task definition could not be read, so the platform is a guess (linux/amd64)."
    if not arn:
        return {}
    found = reader.read("ecs", "describe_task_definition", arn, without, taskDefinition=arn)
    definition: TaskDefinition = found.get("taskDefinition", {})
    return definition


def failures_of(tasks: Sequence[Task], definition: TaskDefinition, digests: Mapping[str, str]) -> tuple[Failure, ...]:
    """The failures of some tasks, each container and text once.

    :param tasks: the failed tasks, the newest first.
    :param definition: their task definition.
    :param digests: digests by the container's name, as the service's revision has them.
    """
    found: dict[tuple[str, str], Failure] = {}
    for task in tasks[:_MOST_FAILED]:
        for failure in task_failures(task, definition, digests):
            # One container fails in each task anew, with an address or a time that differs.
            found.setdefault((failure.name, failure.image), failure)
    return tuple(found.values())


def task_failures(task: Task, definition: TaskDefinition, digests: Mapping[str, str]) -> Iterable[Failure]:
    """The failures of a task: the containers with a reason of their own, else those that exited with an error.

    :param task: the task.
    :param definition: its task definition.
    :param digests: digests by the container's name, as the service's revision has them.
    """
    reason = str(task.get("stoppedReason", ""))
    containers = task.get("containers", [])
    guilty = [one for one in containers if one.get("reason")]
    guilty = guilty or [one for one in containers if one.get("exitCode")]
    if not guilty and reason and task.get("lastStatus") == "STOPPED":
        # The reason is about the whole task; where it has one container, it is that one's.
        guilty = containers if len(containers) == 1 else []
        if not guilty:
            yield Failure("", reason)
    images = {one["name"]: one.get("image", "") for one in definition.get("containerDefinitions", [])}
    for one in guilty:
        name, code = one.get("name", ""), one.get("exitCode")
        text = "\n".join(filter(None, (reason, one.get("reason", ""), f"exit code {code}" if code else "")))
        image = one.get("image") or images.get(name, "")
        yield Failure(name, text, image, *digest(one.get("imageDigest", ""), digests.get(name, "")))


def digest(of_the_task: str, of_the_revision: str) -> tuple[str, str]:
    """The digest of a container's image, and where it is from."""
    if of_the_task:
        return of_the_task, "the digest that the task used"
    if of_the_revision:
        return of_the_revision, "the digest that the service's revision was resolved to"
    return "", "the tag as it is now, which may have moved since"


def task_proof(task: Task) -> Iterable[str]:
    """The proof that a task gives, in sentences."""
    task_id = str(task.get("taskArn", "")).rpartition("/")[2]
    code = f" ({task['stopCode']})" if task.get("stopCode") else ""
    if task.get("stoppedReason"):
        yield f"Task {task_id} stopped{_at(task.get('stoppedAt'))}{code}: {task['stoppedReason']}"
    for one in task.get("containers", []):
        if one.get("reason"):
            yield f"Container {one.get('name', '')}: {one['reason']}"
        elif one.get("exitCode"):
            yield f"Container {one.get('name', '')} exited with code {one['exitCode']}"


def _at(moment: Any) -> str:
    return f" at {moment:%Y-%m-%d %H:%M}" if hasattr(moment, "strftime") else ""


def runs_on(*places: Mapping[str, Any]) -> str:
    """The runtime of a task, a revision or a service.

    :param places: the objects that may have it, the best first.
    """
    for place in places:
        strategy = [one.get("capacityProvider", "") for one in place.get("capacityProviderStrategy", [])]
        provider = place.get("capacityProviderName") or next(iter(strategy), "")
        kind = place.get("launchType") or ("FARGATE" if provider.startswith("FARGATE") else provider and "EC2")
        if kind:
            return LAUNCH_TYPES.get(kind, "ecs-ec2")
    return "fargate"


def platform(definition: TaskDefinition, task: Task) -> str:
    """The platform of a task.

    :param definition: its task definition.
    :param task: the task, whose attributes have it where the definition does not.
    """
    runtime = definition.get("runtimePlatform", {})
    attributes = {one.get("name"): one.get("value") for one in task.get("attributes", [])}
    cpu = runtime.get("cpuArchitecture") or str(attributes.get("ecs.cpu-architecture", "")).upper()
    system = "windows" if str(runtime.get("operatingSystemFamily", "")).startswith("WINDOWS") else "linux"
    return ARCHITECTURES.get(cpu, "linux/amd64").replace("linux", system)
