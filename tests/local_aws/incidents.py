"""Incidents to record in the local AWS: a service of ECS that failed, and its task definitions, in AWS's shapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from local_aws import ACCOUNT, REGION

CLUSTER = "shop"
NAME = "web"
_ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
SERVICE = f"{_ARN}:service/{CLUSTER}/{NAME}"
TASK = f"{_ARN}:task/{CLUSTER}/0a1b2c3d4e5f"
_CLUSTER = f"{_ARN}:cluster/{CLUSTER}"
# Seconds since the epoch, as ECS's protocol has them.
NOW = 1_795_000_000


def definition(revision: int) -> str:
    return f"{_ARN}:task-definition/web:{revision}"


def revision(number: int) -> str:
    return f"{_ARN}:service-revision/{CLUSTER}/{NAME}/{number}"


@dataclass
class EcsIncident:
    """A service with revision 1, which is healthy, and whatever a test adds.

    :param images: the images of revision 2, by the container's name.
    """

    images: dict[str, str]
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add("taskDefinitions", self._definition(1, {"web": "nginx:1"}))
        self.add("taskDefinitions", self._definition(2, self.images))

    def add(self, kind: str, record: dict[str, Any]) -> None:
        self.records.setdefault(kind, []).append(record)

    def service(self, current: int, running: int, events: list[str], *deployments: dict[str, Any]) -> None:
        """The service as DescribeServices has it, running a revision of its task definition."""
        self.add(
            "services",
            {
                "serviceArn": SERVICE,
                "serviceName": NAME,
                "clusterArn": _CLUSTER,
                "status": "ACTIVE",
                "desiredCount": 2,
                "runningCount": running,
                "pendingCount": 0,
                "launchType": "FARGATE",
                "taskDefinition": definition(current),
                "deployments": list(deployments),
                "events": [{"id": str(i), "createdAt": NOW - i, "message": text} for i, text in enumerate(events)],
            },
        )

    def deployment(self, status: str, target: int, reason: str = "", digests: dict[str, str] | None = None) -> None:
        """The last deployment, as ListServiceDeployments and DescribeServiceRevisions have it."""
        self.add(
            "serviceDeployments",
            {
                "serviceDeploymentArn": f"{_ARN}:service-deployment/{CLUSTER}/{NAME}/{target}",
                "serviceArn": SERVICE,
                "clusterArn": _CLUSTER,
                "createdAt": NOW - 600,
                "finishedAt": NOW - 60,
                "targetServiceRevisionArn": revision(target),
                "status": status,
                "statusReason": reason,
            },
        )
        images = [{"containerName": name, "image": image} for name, image in self.images.items()]
        for image in images:
            image["imageDigest"] = (digests or {}).get(image["containerName"], "")
        self.add(
            "serviceRevisions",
            {
                "serviceRevisionArn": revision(target),
                "serviceArn": SERVICE,
                "clusterArn": _CLUSTER,
                "taskDefinition": definition(target),
                "launchType": "FARGATE",
                "containerImages": [image for image in images if image["imageDigest"]] if target == 2 else [],
            },
        )

    def task(self, of: int, reason: str, containers: list[dict[str, Any]], ago: int = 120) -> None:
        """A stopped task of a revision of the task definition."""
        self.add(
            "tasks",
            {
                "taskArn": TASK,
                "clusterArn": _CLUSTER,
                "taskDefinitionArn": definition(of),
                "group": f"service:{NAME}",
                "startedBy": "ecs-svc/1",
                "launchType": "FARGATE",
                "lastStatus": "STOPPED",
                "desiredStatus": "STOPPED",
                "stopCode": "TaskFailedToStart",
                "stoppedReason": reason,
                "stoppedAt": NOW - ago,
                "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
                "containers": containers,
            },
        )

    @staticmethod
    def _definition(number: int, images: dict[str, str]) -> dict[str, Any]:
        return {
            "taskDefinitionArn": definition(number),
            "family": "web",
            "revision": number,
            "containerDefinitions": [
                {"name": name, "image": image, "essential": True} for name, image in images.items()
            ],
            "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
            "requiresCompatibilities": ["FARGATE"],
        }
