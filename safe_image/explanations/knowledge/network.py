"""Failures on the way to the registry: DNS, routes, endpoints, certificates."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, near, unless
from ..contexts import ANY, BUILD, ECS, PULL, PUSH, S3, SECRETS

_ECS_PULL: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html"
_ENDPOINTS: Final = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html"
_RUNBOOK: Final = (
    "Let AWS look for the missing piece: run the Systems Manager runbook AWSSupport-TroubleshootECSTaskFailedToStart "
    "on the task.",
)
_LOG_DRIVER: Final = ECS + r"|loggingdriver|loggerargs|awslogs-"
_NOT_A_PULL: Final = rf"{BUILD}|{PUSH}"
_WAYS: Final = (
    "Private subnet: route 0.0.0.0/0 to a NAT gateway, or add VPC endpoints for ecr.api and ecr.dkr and a gateway "
    "endpoint for S3; their security group must allow port 443 from the task. Docker Hub needs the NAT gateway.",
    "Public subnet: set assignPublicIp to ENABLED.",
)

CAUSES: Final = (
    Cause(
        "layers-unreachable",
        "The layers come from S3, and the task has no path to S3: its gateway endpoint, its route or its policy is to "
        "blame.",
        "ECR hands out the manifest itself and redirects to an S3 bucket for the layers. With endpoints for ECR but "
        "none for S3, the manifest arrives and the layers do not. A policy of the S3 endpoint must allow the bucket "
        "prod-REGION-starport-layer-bucket.",
        "pull",
        ("network",),
        words=(
            "failed open: failed to do request: Get https://prod-{region}-starport-layer-bucket",
            "httpReadSeeker: failed open: failed to do request: Get https://{bucket}.s3.",
            "error pulling image configuration: Get https://prod-{region}-starport-layer-bucket{url}: dial tcp",
            *near(
                S3,
                "failed open: failed to do request",
                "httpReadSeeker: failed open: unexpected status code{it}403 Forbidden",
            ),
            *near(
                r"starport|layer-bucket",
                "i/o timeout",
                "TLS handshake timeout",
                "403 Forbidden",
                "AccessDenied",
                "no such host",
                "connection refused",
                "Client.Timeout exceeded",
                "context deadline exceeded",
                "request canceled",
                "network is unreachable",
                unless=PUSH,
            ),
        ),
        confirm=_RUNBOOK,
        remedy=(
            "Add a gateway endpoint for S3 to the route table of the task's subnet, or a NAT gateway.",
            "If the endpoint has a policy, allow s3:GetObject on arn:aws:s3:::prod-REGION-starport-layer-bucket/*.",
            "Allow port 443 to the S3 prefix list in the task's security group.",
        ),
        prevention=("Create the ECR endpoints and the S3 endpoint together.",),
        sources=(_ENDPOINTS, _ECS_PULL),
    ),
    Cause(
        "registry-name-unresolved",
        "The registry's name was not resolved: DNS of the VPC or of the host fails, or the name is wrong.",
        "The VPC has DNS support or DNS host names turned off, the DHCP options name a DNS server that does not "
        "answer, a private hosted zone hides the name, or the region in the name is wrong.",
        "resolve",
        ("network", "task definition"),
        words=near(
            PULL + "|amazonaws",
            "no such host",
            "server misbehaving",
            "dial tcp: lookup",
            "Temporary failure in name resolution",
            "lookup {name} on {server}: read udp",
            "could not resolve host",
            unless=_NOT_A_PULL,
        ),
        confirm=("Ask for the name in the VPC or on the host:", "$ getent hosts {registry}"),
        remedy=(
            "Turn on enableDnsSupport and enableDnsHostnames of the VPC, and check its DHCP options and resolver "
            "rules.",
            "Correct the registry's name.",
        ),
        prevention=("Turn on private DNS for the ECR endpoints.",),
        sources=(_ENDPOINTS, "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-dns.html", _ECS_PULL),
    ),
    Cause(
        "registry-unreachable",
        "The registry was not reached over the network: no route (NAT, public IP or VPC endpoint), or a security group "
        "blocks port 443.",
        "In a private subnet there is no NAT gateway and no VPC endpoint; in a public one the task has no public IP. "
        "Docker Hub and other public registries always need a route to the internet.",
        "resolve",
        ("network",),
        words=(
            *near(
                ANY,
                "i/o timeout",
                "network is unreachable",
                "no route to host",
                "connect: connection timed out",
                "Client.Timeout exceeded while awaiting headers",
                "request canceled while waiting for connection",
                "context deadline exceeded",
                "connect: connection refused",
                "TLS handshake timeout",
                "dial tcp{it}: connect:",
                "net/http: request canceled",
                "proxyconnect tcp",
                unless=_NOT_A_PULL + "|secretornotregistry",
            ),
            "There is a connection issue between the task and Amazon ECR",
            "Check your task network configuration",
            "pull command failed: panic: runtime error{it}dial tcp",
        ),
        confirm=_RUNBOOK,
        remedy=_WAYS,
        prevention=("Deploy the endpoints and the routes in the stack of the VPC, and let the service depend on it.",),
        sources=(_ECS_PULL, _ENDPOINTS, "https://repost.aws/knowledge-center/ecs-fargate-pull-container-error"),
    ),
    Cause(
        "log-group-missing",
        "The CloudWatch log group that the task definition names does not exist, so the container is not started.",
        "The awslogs driver creates the stream and not the group, unless awslogs-create-group is true. The name or the "
        "region (awslogs-region) is wrong, or the group was removed.",
        "start",
        ("task definition",),
        words=(
            "failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist",
            *near(_LOG_DRIVER, "The specified log group does not exist"),
        ),
        confirm=("See whether the log group exists:", "$ aws logs describe-log-groups --log-group-name-prefix GROUP"),
        remedy=("Create the log group, or set awslogs-create-group and allow the execution role logs:CreateLogGroup.",),
        prevention=("Use ecs.LogDrivers.aws_logs with a log group of the same stack.",),
        sources=("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html",),
    ),
    Cause(
        "logs-unreachable",
        "The task cannot reach CloudWatch Logs, or may not write there, so its container is not started.",
        "The awslogs driver creates its stream before the container starts. The log group is missing, the execution "
        "role lacks logs:CreateLogStream, or the subnet has no path (VPC endpoint `logs`, NAT gateway).",
        "start",
        ("network", "permissions", "task definition"),
        words=(
            *unless(
                "loggroupdoesnotexist",
                "failed to validate logger args",
                "failed to initialize logging driver",
                "failed to create Cloudwatch log stream",
            ),
            "failed to create Cloudwatch log group",
            "is not authorized to perform: logs:CreateLog",
            "unable to create logging driver",
        ),
        confirm=("See whether the log group exists:", "$ aws logs describe-log-groups --log-group-name-prefix GROUP"),
        remedy=(
            "Create the log group or set awslogs-create-group, allow the execution role logs:CreateLogStream and "
            "logs:PutLogEvents, and give a private subnet the endpoint `logs`.",
        ),
        prevention=("Use ecs.LogDrivers.aws_logs with a log group of the same stack.",),
        sources=(
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html",
            "https://repost.aws/knowledge-center/ecs-resource-initialization-error",
        ),
    ),
    Cause(
        "certificate-untrusted",
        "A certificate on the way to the registry is not trusted, usually a proxy's own.",
        "A proxy that inspects TLS answers with a certificate of its own authority, the registry has a self-signed "
        "one, or the clock of the host is wrong.",
        "resolve",
        ("network", "registry"),
        words=(
            *near(ANY + "|" + BUILD + "|docker", "x509: certificate", "tls: failed to verify certificate", "x509:"),
            *near(PULL, "server gave HTTP response to HTTPS client", "self signed certificate", "remote error: tls"),
        ),
        confirm=("See whose certificate it is:", "$ openssl s_client -connect {registry}:443 </dev/null"),
        remedy=(
            "Let the proxy pass the registry and S3 through, or install its certificate authority where images are "
            "pulled.",
        ),
        sources=(
            "https://pkg.go.dev/crypto/x509#UnknownAuthorityError",
            "https://docs.docker.com/engine/security/certificates/",
        ),
    ),
    Cause(
        "file-system-unreachable",
        "The task's EFS file system could not be mounted.",
        "The security group of the mount target does not allow port 2049 from the task, the subnet has no mount "
        "target, DNS does not resolve the file system's name, or its policy refuses the task.",
        "start",
        ("network", "permissions", "task definition"),
        words=(
            "ecs-volume-plugin.sock/VolumeDriver.",
            "failed to invoke EFS utils commands",
            "EFS utils commands to set up EFS volumes",
            "mount.nfs4: Connection timed out",
            "mount.nfs4: Connection reset by peer",
            "Failed to resolve {name}efs.{region}.amazonaws.com",
            "mount.nfs4: access denied by server",
            "botocore failed to initialize{it}efs",
        ),
        confirm=("See the mount targets:", "$ aws efs describe-mount-targets --file-system-id FILE_SYSTEM"),
        remedy=(
            "Allow port 2049 from the task's security group, create a mount target in its subnet's zone, and grant "
            "access.",
        ),
        prevention=("Connect them in CDK: file_system.connections.allow_default_port_from(service).",),
        sources=(
            "https://repost.aws/knowledge-center/fargate-unable-to-mount-efs",
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html",
        ),
    ),
    Cause(
        "environment-file-unreadable",
        "The task's environment file in S3 could not be read.",
        "The execution role lacks s3:GetObject and s3:GetBucketLocation, the object does not exist, or the subnet has "
        "no path to S3.",
        "resolve",
        ("permissions", "network", "task definition"),
        words=(
            "failed to download env files",
            "unable to download env file",
            "environment variable files",
            *near(SECRETS, "file download command: non empty error stream"),
        ),
        confirm=("Ask for the object:", "$ aws s3 ls s3://BUCKET/KEY"),
        remedy=("Allow the execution role s3:GetObject and s3:GetBucketLocation, and correct the object's ARN.",),
        sources=("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html",),
    ),
)
