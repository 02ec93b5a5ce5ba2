"""The images that run in an account, by the digests to which ECS and Lambda have resolved them.

They are those of ECS tasks, of the service revisions that run or start next, of those that a service rolls back to,
and of every version of a Lambda function. An answer that is cut, empty or denied raises a fault: it does not prove that
nothing runs.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceRevision.html and
https://docs.aws.amazon.com/lambda/latest/api/API_FunctionCodeLocation.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from image_verifier import aws
from image_verifier.faults import Fault
from image_verifier.pool import Pool
from image_verifier.retry import RetryBudget

from .aws_sessions import AwsSessions, Endpoint

_RETRY_SECONDS: Final = 20.0
# The maximum of DescribeServices, of DescribeTasks and of DescribeServiceRevisions.
_SERVICES: Final = 10
_TASKS: Final = 100
_REVISIONS: Final = 20
_AT_ONCE: Final = 8
# A service rolls back to its last successful deployment, and CloudFormation's own rollback to the one before.
_EARLIER: Final = 2
_ENDED: Final = frozenset({"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})


@dataclass(frozen=True)
class RunningImage:
    """An image that runs.

    :param reference: its reference, as its user has it.
    :param digest: the digest that runs; empty where ECS has not resolved the reference.
    :param user: the user's display name, such as `ECS service prod/web`.
    """

    reference: str
    digest: str
    user: str


def running_images(sessions: AwsSessions, region: str) -> list[RunningImage]:
    """The images that run in the caller's account, in one region.

    :param sessions: the AWS sessions.
    :param region: the region.
    :raises Fault: if a call fails, or its answer is incomplete; then it is not known which images run.
    """
    ecs = _Api(sessions, "ecs", region)
    clusters = ecs.items("list_clusters", "clusterArns", ("nextToken", "nextToken"))
    with Pool(_AT_ONCE) as pool:
        by_cluster = pool.results(lambda cluster: _in_cluster(ecs, cluster), clusters)
        in_ecs = [image for images in by_cluster for image in images]
    return list(dict.fromkeys([*in_ecs, *_in_lambda(_Api(sessions, "lambda", region))]))


class _Api:
    """One service's API."""

    def __init__(self, sessions: AwsSessions, name: str, region: str) -> None:
        self._client = sessions.client(name, Endpoint(region))
        self._name, self._on = name, f"{name} in {region}"

    def call(self, operation: str, missing: Sequence[str] = (), **parameters: Any) -> Mapping[str, Any]:
        """One call. Raises `Fault`."""
        return aws.call(self._client, operation, self._on, RetryBudget.of(_RETRY_SECONDS), missing, **parameters)

    def items(self, operation: str, name: str, tokens: tuple[str, str], **parameters: Any) -> list[Any]:
        """All items of a paged call.

        :param name: the answer's field with the items.
        :param tokens: the answer's field with the next page's token, and the parameter for it.
        """
        budget = partial(RetryBudget.of, _RETRY_SECONDS)
        pages = aws.pages(self._client, operation, self._on, budget, tokens, **parameters)
        return [item for page in pages for item in page[name]]

    def described(self, operation: str, name: str, **parameters: Any) -> list[Any]:
        """The descriptions of ECS, without those that have ended meanwhile.

        :param name: the answer's field with the descriptions.
        """
        answer = self.call(operation, **parameters)
        reasons = {failure.get("reason", "") for failure in answer.get("failures", ())} - {"MISSING"}
        if reasons:
            raise self.incomplete(operation, f"the failure {' and '.join(sorted(reasons))}")
        return list(answer.get(name, ()))

    def incomplete(self, operation: str, what: str) -> Fault:
        """The fault for an answer that leaves open what runs."""
        return Fault(f"{self._name}:{operation} on {self._on} returned {what}", aws.UNKNOWN_ADVICE)


def _in_cluster(ecs: _Api, cluster: str) -> list[RunningImage]:
    paged = ("nextToken", "nextToken")
    services = ecs.items("list_services", "serviceArns", paged, cluster=cluster, maxResults=100)
    tasks = ecs.items("list_tasks", "taskArns", paged, cluster=cluster)
    found: list[RunningImage] = []
    for arns in _batches(services, _SERVICES):
        for service in ecs.described("describe_services", "services", cluster=cluster, services=arns):
            found += _of_service(ecs, cluster, service)
    for arns in _batches(tasks, _TASKS):
        for task in ecs.described("describe_tasks", "tasks", cluster=cluster, tasks=arns):
            user = f"ECS task {_name(cluster)}/{_name(task['taskArn'])}"
            found += [_running(one, user) for one in task.get("containers", ()) if one.get("image")]
    return found


def _of_service(ecs: _Api, cluster: str, service: Mapping[str, Any]) -> Iterator[RunningImage]:
    user, arn = f"ECS service {_name(cluster)}/{service['serviceName']}", service["serviceArn"]
    definitions = [service, *service.get("deployments", ()), *service.get("taskSets", ())]
    unresolved = {one["taskDefinition"] for one in definitions if one.get("taskDefinition")}
    for arns in _batches(_revisions(ecs, cluster, service), _REVISIONS):
        for revision in ecs.described("describe_service_revisions", "serviceRevisions", serviceRevisionArns=arns):
            images = revision.get("containerImages", ())
            if images and all(image.get("imageDigest") for image in images):
                unresolved.discard(revision.get("taskDefinition", ""))
            elif revision.get("taskDefinition"):
                unresolved.add(revision["taskDefinition"])
            yield from (_running(image, user) for image in images if image.get("image"))
    # Where no revision has the digests, the references of the task definitions are all that is known.
    for definition in sorted(unresolved):
        described = ecs.call("describe_task_definition", taskDefinition=definition)
        containers = described["taskDefinition"].get("containerDefinitions")
        if not containers:
            raise ecs.incomplete("describe_task_definition", f"no containers of {definition} of {arn}")
        yield from (_running(one, user) for one in containers if one.get("image"))


def _revisions(ecs: _Api, cluster: str, service: Mapping[str, Any]) -> list[str]:
    """The revisions of a service that run, that start next, and that it rolls back to."""
    paged = ("nextToken", "nextToken")
    deployments = ecs.items(
        "list_service_deployments", "serviceDeployments", paged, cluster=cluster, service=service["serviceArn"]
    )
    deployments.sort(key=lambda deployment: deployment["createdAt"], reverse=True)
    earlier = [deployment for deployment in deployments if deployment.get("status") == "SUCCESSFUL"][:_EARLIER]
    going_on = [deployment for deployment in deployments if deployment.get("status") not in _ENDED]
    targets = [deployment.get("targetServiceRevisionArn") for deployment in (*going_on, *earlier)]
    current = [revision.get("arn") for revision in service.get("currentServiceRevisions", ())]
    return list(dict.fromkeys(arn for arn in (*current, *targets) if arn))


def _in_lambda(service: _Api) -> list[RunningImage]:
    paged = ("NextMarker", "Marker")
    functions = service.items("list_functions", "Functions", paged, FunctionVersion="ALL")
    arns = [one["FunctionArn"] for one in functions if one.get("PackageType") == "Image"]

    def image(arn: str) -> RunningImage | None:
        answer = service.call("get_function", ("ResourceNotFoundException",), FunctionName=arn)
        if not answer:
            # It was deleted meanwhile.
            return None
        # A function keeps running the digest that its tag was resolved to.
        reference = answer["Code"].get("ResolvedImageUri") or answer["Code"].get("ImageUri")
        if not reference:
            raise service.incomplete("get_function", f"no image of {arn}")
        return _running({"image": reference}, f"Lambda function {arn.partition(':function:')[2]}")

    with Pool(_AT_ONCE) as pool:
        return [one for one in pool.results(image, arns) if one]


def _running(container: Mapping[str, Any], user: str) -> RunningImage:
    reference = container["image"]
    return RunningImage(reference, container.get("imageDigest") or reference.partition("@")[2], user)


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    known = list(items)
    for start in range(0, len(known), size):
        yield known[start : start + size]
