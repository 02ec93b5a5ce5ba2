"""What is wrong where no image is to blame: permissions, the network, quotas, keys, disks. Checks cannot find these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Outside:
    """A cause outside of the image.

    :param meaning: one sentence that says what is wrong.
    :param remedy: what mends it. A line that begins with `$ ` is a command; `{region}`, `{registry_id}`, `{repository}`
        and `{registry}` are filled in, and a line is left out where the text does not name them.
    """

    meaning: str
    remedy: tuple[str, ...]


OUTSIDE: Final[Mapping[str, Outside]] = {
    "access-denied": Outside(
        "Who pulls is not allowed to, or is not logged in: the task's execution role, the repository's policy, the "
        "node's role, or docker's login.",
        (
            "The role that pulls needs ecr:GetAuthorizationToken on *, and ecr:BatchGetImage, "
            "ecr:GetDownloadUrlForLayer and ecr:BatchCheckLayerAvailability on the repository "
            "(repository.grant_pull(role) in CDK). Of another account, the repository's policy must allow it too.",
            "$ aws ecr get-repository-policy --region {region} --registry-id {registry_id} "
            "--repository-name {repository}",
            "On a machine, log in again; a login lasts twelve hours:",
            "$ aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin {registry}",
        ),
    ),
    "lambda-access-denied": Outside(
        "Lambda may not read the image: the repository's policy does not allow the service to.",
        (
            "Allow ecr:BatchGetImage and ecr:GetDownloadUrlForLayer to lambda.amazonaws.com in the repository's "
            "policy; whoever deploys needs both as well.",
            "$ aws ecr get-repository-policy --region {region} --registry-id {registry_id} "
            "--repository-name {repository}",
        ),
    ),
    "repository-missing": Outside(
        "The registry has no such repository: another account, another region, another name.",
        (
            "Look which there are, or create it; for a CDK application, cdk bootstrap does.",
            "$ aws ecr describe-repositories --region {region} --registry-id {registry_id}",
        ),
    ),
    "no-route": Outside(
        "The registry was not reached: no route, no name, or a security group in between.",
        (
            "In a private subnet, give the task a NAT gateway, or endpoints for ecr.api, ecr.dkr and S3 (a gateway "
            "endpoint), whose security group lets port 443 in; in a public one, a public IP.",
            "Or let AWS look: the runbook AWSSupport-TroubleshootECSTaskFailedToStart names what is missing.",
        ),
    ),
    "proxy-or-certificate": Outside(
        "Something between the two answered instead of the registry, with a certificate that is not trusted.",
        ("Let the proxy pass the registry and S3 through, or give its certificate authority to whoever pulls.",),
    ),
    "rate-limited": Outside(
        "The registry was asked too often.",
        (
            "From Docker Hub, pull with a login, or through ECR: a pull through cache, or the same image in "
            "public.ecr.aws/docker/library.",
            "From ECR, ask for a higher quota, and let fewer tasks start at once.",
        ),
    ),
    "key-unusable": Outside(
        "The key with which ECR has encrypted the image could not be used.",
        (
            "Look whether the key is enabled, and whether its policy allows ECR and the role kms:Decrypt.",
            "$ aws ecr describe-repositories --region {region} --registry-id {registry_id} "
            "--repository-names {repository} --query 'repositories[].encryptionConfiguration'",
        ),
    ),
    "disk-full": Outside(
        "There was no room for the image, packed and unpacked, on the task's or the instance's disk.",
        (
            "On Fargate, raise ephemeral_storage_gib (20 by default, up to 200); on an instance, give it a larger "
            "volume or remove what is not used: docker system prune.",
        ),
    ),
    "out-of-memory": Outside(
        "The container was ended since it took more memory than it was given.",
        ("Raise the memory of the task, the function or the pod.",),
    ),
    "ended-by-itself": Outside(
        "The container was started, and its program ended or did not answer: the image could be pulled.",
        ("Look at the program's own log, at its exit code, and at what the health check asks for.",),
    ),
    "log-driver": Outside(
        "The container's log has no place to go to, so it was not started.",
        (
            "Create the log group, or give awslogs-create-group; the execution role needs logs:CreateLogStream and "
            "logs:PutLogEvents, and the subnet a way to CloudWatch Logs.",
        ),
    ),
    "secret-unavailable": Outside(
        "A secret or parameter that the task definition names could not be read.",
        (
            "The execution role needs secretsmanager:GetSecretValue or ssm:GetParameters on it (and kms:Decrypt), and "
            "the subnet a way there.",
        ),
    ),
    "tag-immutable": Outside(
        "The repository's tags are immutable, and this one exists already, with another image.",
        (
            "If what the tag points at is broken, remove it and push again; else push under another tag.",
            "$ aws ecr describe-images --region {region} --registry-id {registry_id} --repository-name {repository}",
        ),
    ),
    "push-incomplete": Outside(
        "The manifest was pushed before everything that it names: the registry does not know a blob of it.",
        ("Push again; with Docker 29.7.0, take another version, or set BUILDX_NO_DEFAULT_OCI_ARTIFACT=true.",),
    ),
    "no-docker": Outside(
        "There is no Docker to talk to on this machine.",
        ("Start it, or name it in DOCKER_HOST.", "$ docker info"),
    ),
    "registry-failed": Outside(
        "The registry answered with an error of its own.",
        ("Try again; if it stays, look at https://health.aws.amazon.com/health/status.",),
    ),
    "says-nothing": Outside(
        "This only says that it failed; why, is said elsewhere.",
        (
            "On ECS: the stopped task's reason, and its containers'.",
            "$ aws ecs describe-tasks --cluster CLUSTER --tasks TASK "
            "--query 'tasks[].[stoppedReason,containers[].reason]'",
            "On EKS: kubectl describe pod. At App Runner: the service's logs in CloudWatch.",
        ),
    ),
}
