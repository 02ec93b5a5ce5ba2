"""Failures before the image is requested: no network interface, no capacity, no host."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, near
from ..contexts import BATCH, ECS

_PLACEMENT: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html"
_STOPPED: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html"

CAUSES: Final = (
    Cause(
        "network-interface",
        "The task got no network interface: the subnet has no free address, or a limit on network interfaces is "
        "reached.",
        "Each task with awsvpc networking needs an elastic network interface with an address of its subnet. The image "
        "was not asked for yet.",
        "place",
        ("network", "quota"),
        words=(
            "Timeout waiting for network interface provisioning to complete",
            "Network interface provision timed out",
            "Unexpected EC2 error while attempting to Create Network Interface",
            "insufficient free addresses",
            "not have enough free addresses",
            "InsufficientFreeAddressesInSubnet",
            "encountered error RESOURCE:ENI",
            "RESOURCE:ENI",
            "no container instance met all of its requirements{it}encountered error RESOURCE:ENI",
            "failed to configure ENI",
            "netplugin failed",
            "failed to create network interface",
            "The maximum number of network interfaces",
            "NetworkInterfaceLimitExceeded",
        ),
        confirm=(
            "See the free addresses of the subnets:",
            "$ aws ec2 describe-subnets --query 'Subnets[].[SubnetId,AvailableIpAddressCount]' --output table",
        ),
        remedy=(
            "Use a larger subnet, free addresses, or request a higher quota of network interfaces. Then deploy again.",
        ),
        prevention=("Give services subnets that hold twice their tasks, since a deploy runs both versions.",),
        sources=(_STOPPED, _PLACEMENT),
    ),
    Cause(
        "capacity",
        "AWS has no capacity for the task at the moment, in this zone and of this kind.",
        "Fargate Spot and some zones run out of capacity. The image was not asked for yet.",
        "place",
        ("quota", "nobody"),
        words=(
            "Capacity is unavailable at this time",
            "RESOURCE:FARGATE",
            "SpotInterruption",
            "Your Spot Task was interrupted",
            *near(ECS + "|" + BATCH + "|capacityprovider|ecscluster", "InsufficientInstanceCapacity"),
        ),
        remedy=("Try again, use more availability zones, or FARGATE instead of FARGATE_SPOT.",),
        sources=(_STOPPED,),
    ),
    Cause(
        "host-terminated",
        "The instance on which the task ran was terminated or stopped.",
        "An Auto Scaling group, a Spot interruption or a person ended the instance. The image is not involved.",
        "other",
        ("nobody", "host engine"),
        words=("Host EC2 {instance} terminated", "Host EC2 {instance} stopped"),
        remedy=(
            "Nothing, if ECS has started the task elsewhere. Otherwise look at the Auto Scaling group's activity.",
        ),
        prevention=("Turn on managed instance draining of the capacity provider.",),
        sources=(_STOPPED,),
    ),
    Cause(
        "task-quota",
        "The account's quota of tasks or vCPUs is reached.",
        "Fargate limits the vCPUs that run at once in a region.",
        "place",
        ("quota",),
        words=(
            "You've reached the limit on the number of tasks",
            "You've reached the limit on the number of vCPUs",
            "limit on the number of tasks you can run concurrently",
        ),
        confirm=("$ aws service-quotas list-service-quotas --service-code fargate",),
        remedy=("Stop tasks that are not needed, or request a higher quota.",),
        sources=("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html",),
    ),
    Cause(
        "cluster-empty",
        "The cluster, or its capacity provider, has no container instance: none was started, or none has registered.",
        "The Auto Scaling group has no instance (a vCPU quota, an instance type that the zone does not have), or the "
        "instance's ECS agent does not reach the cluster: ECS_CLUSTER, the instance role or the route to ECS is wrong.",
        "place",
        ("host engine", "quota"),
        words=(
            "no container instance met all of its requirements. Reason: No Container Instances were found in your",
            "No Container Instances were found in your cluster",
            "No Container Instances were found in your capacity provider",
        ),
        confirm=(
            "See what the Auto Scaling group did last, and what has registered:",
            "$ aws autoscaling describe-scaling-activities --auto-scaling-group-name GROUP --max-items 5",
            "$ aws ecs list-container-instances --cluster CLUSTER",
        ),
        remedy=(
            "Request the quota, or use another instance type; otherwise correct the instance's role and user data.",
        ),
        prevention=("Let CDK set the cluster up: cluster.add_capacity, or Fargate.",),
        sources=(_PLACEMENT, "https://repost.aws/knowledge-center/ecs-instance-unable-join-cluster"),
    ),
    Cause(
        "agent-disconnected",
        "The ECS agent of the closest matching instance is not connected to ECS, so no task is placed there.",
        "The instance is overloaded or stopped, its Docker daemon hangs, or it lost the route to the ECS endpoints.",
        "place",
        ("host engine", "network"),
        words=(
            "closest matching container-instance {id} doesn't have the agent connected",
            "doesn't have the agent connected",
        ),
        confirm=(
            "See which agents are connected:",
            "$ aws ecs describe-container-instances --cluster CLUSTER --container-instances INSTANCE --query "
            "'containerInstances[].agentConnected'",
        ),
        remedy=("Restart the agent on the instance (systemctl restart ecs), or replace the instance.",),
        sources=(_PLACEMENT, "https://repost.aws/knowledge-center/ecs-agent-disconnected-linux2-ami"),
    ),
    Cause(
        "no-container-instance",
        "No container instance of the cluster fits the task: too little CPU, memory or ports, or a missing attribute.",
        "ECS places a task only on an instance that meets the whole task definition.",
        "place",
        ("task definition", "quota"),
        words=(
            "was unable to place a task because no container instance met all of its requirements",
            "RESOURCE:MEMORY",
            "RESOURCE:CPU",
            "closest matching container-instance",
            "is missing an attribute required by your task",
        ),
        confirm=(
            "$ aws ecs describe-services --cluster CLUSTER --services SERVICE --query 'services[].events[:5].message'",
        ),
        remedy=("Add instances, ask for less CPU and memory, or correct the attribute that the event names.",),
        prevention=("Use a capacity provider with managed scaling.",),
        sources=(_PLACEMENT,),
    ),
    Cause(
        "platform-version",
        "The task asks for a feature that its platform version or platform family does not have.",
        "Ephemeral storage, EFS, arm64 and Windows need certain platform versions of Fargate.",
        "place",
        ("task definition",),
        words=(
            "The specified platform does not satisfy the task definition",
            "The platform version must be",
            "No Fargate configuration exists for given values",
            "Platform{it}is not supported by FARGATE",
        ),
        remedy=("Set platformVersion to LATEST, or correct the task's CPU, memory and operating system.",),
        sources=("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/platform-fargate.html",),
    ),
    Cause(
        "role-not-assumed",
        "ECS may not assume the task's role or execution role.",
        "The role's trust policy does not name ecs-tasks.amazonaws.com, the role was removed, or it was just created.",
        "place",
        ("permissions",),
        words=(
            "ECS was unable to assume the role",
            "is unable to assume the role",
            "has insufficient permissions to assume",
        ),
        confirm=("$ aws iam get-role --role-name ROLE --query Role.AssumeRolePolicyDocument",),
        remedy=("Let ecs-tasks.amazonaws.com assume the role, and deploy again.",),
        sources=(_PLACEMENT,),
    ),
)
