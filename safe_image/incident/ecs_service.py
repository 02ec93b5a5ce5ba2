"""A service of ECS: the deployment that failed, and not the one that the service went back to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from image_verifier.faults import Fault

from .aws_reader import AwsReader
from .ecs_tasks import (
    Task,
    TaskDefinition,
    digest,
    failed,
    failures_of,
    platform,
    runs_on,
    stopped_tasks,
    task_definition,
    task_proof,
)
from .incident import Failure, Incident

_SUCCEEDED: Final = "SUCCESSFUL"
_TELLING: Final = ("unable", "failed", "unhealthy", "error", "cannot", "circuit breaker")
_MOST_EVENTS: Final = 5
_VANISHED: Final = (
    "No stopped task of it is left: ECS keeps stopped tasks for about an hour. This is from the service's events and "
    "revisions."
)


@dataclass(frozen=True)
class _Deployment:
    """The last deployment, as far as ECS reports it.

    :param task_definition: the ARN of its task definition; empty where it is not known.
    :param failed: whether it failed.
    :param reason: what ECS says of it.
    :param since: when it finished; tasks that stopped before that are of another deployment.
    :param revision: its service revision; empty where it was not read.
    """

    task_definition: str
    failed: bool
    reason: str = ""
    since: Any = None
    revision: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digests(self) -> dict[str, str]:
        """The digests of its images, by the container's name."""
        return {
            one.get("containerName", ""): one.get("imageDigest", "") for one in self.revision.get("containerImages", [])
        }


def service_incident(reader: AwsReader, cluster: str, name: str) -> Incident:
    """The incident of a service.

    :param reader: reads from AWS.
    :param cluster: the cluster's name or ARN.
    :param name: the service's name or ARN.
    :raises Fault: if the service cannot be read, or there is none.
    """
    found = reader.require("ecs", "describe_services", f"{cluster}/{name}", cluster=cluster, services=[name])
    if not found.get("services"):
        raise Fault(
            f"Cluster {cluster} has no service {name}",
            f"List the services: aws ecs list-services --cluster {cluster}",
        )
    service = found["services"][0]
    deployment = _last_deployment(reader, cluster, service)
    tasks = _of_deployment(failed(stopped_tasks(reader, cluster, service["serviceName"])), deployment, service)
    events = _telling_events(service) if deployment.failed or not _is_steady(service) else ()
    subject = f"service {service['serviceName']} in cluster {cluster.rpartition('/')[2]}"
    if not tasks and not deployment.failed and not events:
        return Incident(subject, "healthy", proof=tuple(_health(service)), notes=tuple(reader.notes))
    arn = tasks[0].get("taskDefinitionArn", "") if tasks else deployment.task_definition
    definition = task_definition(reader, arn or service.get("taskDefinition", ""))
    task: Task = tasks[0] if tasks else {}
    failures = failures_of(tasks, definition, deployment.digests)
    if not tasks:
        reader.notes.append(_VANISHED)
        failures = _from_events(events, deployment, definition)
    return Incident(
        subject,
        "failed",
        failures,
        runs_on(task, deployment.revision, service),
        platform(definition, task),
        tuple(_proof(deployment, task, events)),
        tuple(reader.notes),
    )


def _last_deployment(reader: AwsReader, cluster: str, service: Mapping[str, Any]) -> _Deployment:
    """The last deployment: from the service's own record, else from what the service lists as its deployments."""
    without = "The service's deployments could not be read, so a deployment that was rolled back may be missing."
    arn = service.get("serviceArn", "")
    listed = reader.read("ecs", "list_service_deployments", arn, without, service=arn, cluster=cluster)
    known = sorted(listed.get("serviceDeployments", []), key=lambda one: str(one.get("createdAt", "")), reverse=True)
    if known:
        last = known[0]
        revision = _revision(reader, last.get("targetServiceRevisionArn", ""))
        status = last.get("status", "")
        broken = status not in (_SUCCEEDED, "PENDING") and (status != "IN_PROGRESS" or _failed_tasks(service))
        since = last.get("finishedAt") if status == _SUCCEEDED else None
        return _Deployment(revision.get("taskDefinition", ""), bool(broken), _reason(last), since, revision)
    deployments = service.get("deployments", [])
    broken_one = next((one for one in deployments if one.get("rolloutState") == "FAILED"), None)
    broken_one = broken_one or next((one for one in deployments if one.get("failedTasks")), None)
    if broken_one:
        return _Deployment(broken_one.get("taskDefinition", ""), True, broken_one.get("rolloutStateReason", ""))
    return _Deployment("", False)


def _failed_tasks(service: Mapping[str, Any]) -> bool:
    return any(one.get("failedTasks") for one in service.get("deployments", []))


def _reason(deployment: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (deployment.get("status", ""), deployment.get("statusReason", ""))))


def _revision(reader: AwsReader, arn: str) -> Mapping[str, Any]:
    without = "The service's revision could not be read, so an image's digest may be missing."
    if not arn:
        return {}
    found = reader.read("ecs", "describe_service_revisions", arn, without, serviceRevisionArns=[arn])
    return next(iter(found.get("serviceRevisions", [])), {})


def _of_deployment(tasks: tuple[Task, ...], deployment: _Deployment, service: Mapping[str, Any]) -> tuple[Task, ...]:
    """The failed tasks that belong to the deployment."""
    if deployment.since is not None:
        return tuple(task for task in tasks if str(task.get("stoppedAt", "")) > str(deployment.since))
    wanted = deployment.task_definition
    own = tuple(task for task in tasks if task.get("taskDefinitionArn") == wanted) if wanted else ()
    # Where the deployment is not known: tasks of a task definition that the service went back from, then any.
    others = tuple(task for task in tasks if task.get("taskDefinitionArn") != service.get("taskDefinition"))
    return own or ((others or tasks) if not wanted else ())


def _is_steady(service: Mapping[str, Any]) -> bool:
    return bool(service.get("runningCount", 0) >= service.get("desiredCount", 0))


def _telling_events(service: Mapping[str, Any]) -> tuple[str, ...]:
    """The newest events that say what went wrong."""
    messages = (str(event.get("message", "")) for event in service.get("events", []))
    told = [message for message in messages if any(word in message.lower() for word in _TELLING)]
    return tuple(dict.fromkeys(told))[:_MOST_EVENTS]


def _from_events(events: tuple[str, ...], deployment: _Deployment, definition: TaskDefinition) -> tuple[Failure, ...]:
    """The failures, where no task is left: the words of events, and the images of the deployment."""
    text = "\n".join(filter(None, (*events, deployment.reason)))
    names = {one.get("containerName", ""): one for one in deployment.revision.get("containerImages", [])}
    containers = definition.get("containerDefinitions", [])
    images = {one.get("name", ""): one.get("image", "") for one in containers} or {
        name: one.get("image", "") for name, one in names.items()
    }
    found = (
        Failure(name, text, image, *digest("", deployment.digests.get(name, ""))) for name, image in images.items()
    )
    return tuple(found) or (Failure("", text),)


def _proof(deployment: _Deployment, task: Task, events: Iterable[str]) -> Iterable[str]:
    if deployment.reason:
        yield f"The last deployment ({deployment.task_definition.rpartition('/')[2] or 'unknown'}): {deployment.reason}"
    yield from task_proof(task)
    yield from (f"Event: {event}" for event in events)


def _health(service: Mapping[str, Any]) -> Iterable[str]:
    yield f"{service.get('runningCount', 0)} of {service.get('desiredCount', 0)} tasks run."
    state = next((one.get("rolloutState") for one in service.get("deployments", [])), None)
    if state:
        yield f"The deployment is {state}."
