"""The Lambda that verifies images. Its role may read no repository until a verification allows it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from aws_cdk import Annotations, Duration, RemovalPolicy, Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_cdk.region_info import RegionInfo
from constructs import Construct
from image_verifier.policy import Policy

from .argument_types import check_types
from .staging import verifier_code
from .synthesis.facts import path_of, place, stack_of
from .tokens import is_dummy, is_literal

# The first runtime whose standard library contains zstd. Older versions of aws-cdk-lib have no constant for it.
_RUNTIME: Final = "python3.14"
# The newest Python of each partition of which a source says that its Lambda lacks 3.14, with that source.
# 2026-11: no source names one. CDK's region facts (aws-cdk-lib 2.275.0, `FactName.LATEST_NODE_RUNTIME`) have
# nodejs24.x, which Lambda got in the same month, for every region of every partition.
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
_OLDER_RUNTIMES: Final[Mapping[str, str]] = {}
_FIRST_WITH_ZSTD: Final = (3, 14)
MEMORY_MIB: Final = 512
_TIMEOUT_SECONDS: Final = 300
# Reading layers is bound by the processor, and with this memory a Lambda has one whole processor.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MEMORY_TO_READ_MIB: Final = 1769
# A third of the compressed bytes that one core reads per second with the decoders of Python 3.14 (`make bench`,
# layer_reading).
_BYTES_A_SECOND: Final = 20_000_000
# The handler reserves nine seconds for its response (`image_verifier.entrypoints.custom_resource`), and some for its
# start. With less, the Lambda ends before it has responded, and the deploy hangs.
_SHORTEST_SECONDS: Final = 15
_LONGEST_SECONDS: Final = 900
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
_MEMORY_BOUNDS_MIB: Final = (128, 10240)
_OLDEST_PYTHON: Final = (3, 10)
# The permissions that Lambda needs to put the function into a VPC. For most of them EC2 accepts no narrower resource.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
_NETWORK_ACTIONS: Final = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)


class ImageVerifier(Construct):
    """The Lambda behind `ImageVerification`. It needs no layers and no provider framework, and costs nothing when idle.

    Each stack that verifies images gets one by default. Make one yourself to change its settings, or to share it
    between stacks of one region, and pass it to `SafeDockerImageAsset` or `ImageVerification` as `verifier=`.
    Changed settings update the Lambda in place, and no image is verified again.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        architecture: lambda_.Architecture | None = None,
        dead_letter_queue: sqs.IQueue | None = None,
        encryption_key: kms.IKey | None = None,
        log_group: logs.ILogGroup | None = None,
        log_retention: logs.RetentionDays | None = None,
        managed_policies: bool = False,
        memory_size: int | None = None,
        permissions_boundary: iam.IManagedPolicy | None = None,
        reserved_concurrent_executions: int | None = None,
        role: iam.IRole | None = None,
        runtime: lambda_.Runtime | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        timeout: Duration | None = None,
        vpc: ec2.IVpc | None = None,
        vpc_subnets: ec2.SubnetSelection | dict[str, Any] | None = None,
    ) -> None:
        """
        :param scope: the parent construct.
        :param id: the construct's id.
        :param architecture: architecture of the Lambda itself, which verifies images of every platform. Default: x86_64
        :param dead_letter_queue: the queue that gets CloudFormation's request if the Lambda crashes. The request
            contains the URL for the response, which is valid for two hours: everyone who can read the queue can
            respond. Default: none
        :param encryption_key: the key that encrypts the Lambda's environment, and its own log group. The policy of an
            imported key must allow CloudWatch Logs to use it (docs/constructs.md). Default: AWS's own keys
        :param log_group: the log group of the Lambda. Default: a log group that is deleted with the stack
        :param log_retention: how long its own log group keeps events. Default: one month
        :param managed_policies: whether the permissions of the role are managed policies instead of inline policies.
            The default quota of a role is ten managed policies: the Lambda needs one, and the repository of each stack
            another. Default: False
        :param memory_size: memory in MiB, 128 to 10240. Default: 512; 1769 (one processor) if a verification reads
            layers
        :param permissions_boundary: permissions boundary of its own role. Default: none
        :param reserved_concurrent_executions: how many verifications may run at once, at least 1. CloudFormation
            requests all verifications of a stack at once; the others wait, and may exceed their service timeout.
            Default: only the limit of the account
        :param role: the role of the Lambda. It must trust lambda.amazonaws.com. Policies add the permissions, unless
            the role is imported with `mutable=False` (docs/constructs.md lists the permissions that it needs then).
            Default: its own role
        :param runtime: a Python runtime, 3.10 or later. Default: python3.14
        :param security_groups: security groups in the VPC. Default: its own, which allows all outbound traffic
        :param timeout: how long one verification may take, 15 seconds to 15 minutes. Default: 5 minutes. If a
            verification reads layers: 5 minutes and one second for each 20 MB of the largest max_size, or 15 minutes
            without max_size
        :param vpc: the VPC of the Lambda, from which it must reach ECR's API and S3 (docs/constructs.md). Default: none
        :param vpc_subnets: the subnets of the VPC. Default: the private subnets with egress, or else the isolated
            subnets
        :raises ValueError: if a setting is not valid, or contradicts another; the message says what to use instead.
        """
        super().__init__(scope, id)
        place(self, scope, id)
        path = path_of(self)
        check_types(path, architecture=architecture, memory_size=memory_size, runtime=runtime, timeout=timeout)
        check_types(path, dead_letter_queue=dead_letter_queue, encryption_key=encryption_key, log_group=log_group)
        check_types(path, permissions_boundary=permissions_boundary, role=role, security_groups=security_groups)
        check_types(path, log_retention=log_retention, vpc=vpc)
        network = _Network(vpc, vpc_subnets, None if security_groups is None else tuple(security_groups))
        network.check(path)
        self._runtime = runtime or newest_runtime(self)
        self._cannot_read_zstd = not _check_runtime(path, self._runtime)
        _check_bounds(path, memory_size, reserved_concurrent_executions, timeout)
        if log_group is not None and log_retention is not None:
            raise ValueError(f"{path}: log_retention is for its own log group: set the retention of log_group instead")
        if role is not None and permissions_boundary is not None:
            raise ValueError(f"{path}: permissions_boundary is for its own role: set the boundary of role instead")
        _check_role_account(self, role)
        self._seconds = _TIMEOUT_SECONDS if timeout is None else int(timeout.to_seconds())
        self._timeout_is_given, self._memory_is_given = timeout is not None, memory_size is not None
        self._managed_policies = managed_policies

        self.log_group: logs.ILogGroup = log_group or _own_log_group(self, log_retention, encryption_key)
        statements = [
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[self.log_group.log_group_arn]
            ),
            *network.statements(),
            *_queue_statements(dead_letter_queue),
        ]
        self.role: iam.IRole = role or self._own_role(statements, permissions_boundary)
        self.function = lambda_.Function(
            self,
            "Function",
            description="Verifies container images before any resource of the stack references them",
            code=verifier_code(self, "custom_resource"),
            handler="image_verifier.entrypoints.custom_resource.handler",
            runtime=self._runtime,
            architecture=architecture or _default_architecture(),
            memory_size=memory_size or MEMORY_MIB,
            timeout=timeout or _default_timeout(),
            role=self.role,
            log_group=self.log_group,
            environment_encryption=encryption_key,
            reserved_concurrent_executions=reserved_concurrent_executions,
            **network.keywords(),
        )
        if role is not None:
            # Lambda uses the permissions when the function is made, and when it logs for the first time.
            self.function.node.add_dependency(self.policy(self, "Policy", statements))
        if dead_letter_queue is not None:
            # The argument of `Function` would add another inline policy to the role.
            self._resource.dead_letter_config = lambda_.CfnFunction.DeadLetterConfigProperty(
                target_arn=dead_letter_queue.queue_arn
            )

    def policy(
        self, scope: Construct, id: str, statements: Sequence[iam.PolicyStatement]
    ) -> iam.Policy | iam.ManagedPolicy:
        """Add a policy to the Lambda's role, in the stack of the scope.

        :param scope: the parent construct of the policy.
        :param id: the policy's id.
        :param statements: the statements of the policy.
        """
        if self._managed_policies:
            # The ID differs, because CloudFormation cannot change the type of a resource.
            return iam.ManagedPolicy(scope, f"{id}Managed", roles=[self.role], statements=statements)
        policy = iam.Policy(scope, id, statements=statements)
        # Unlike `roles=`, this does nothing for an immutable role, and then CDK leaves the policy out.
        self.role.attach_inline_policy(policy)
        return policy

    def allow(self, policy: Policy) -> int:
        """Give the Lambda the memory and the time that a verification needs, unless its settings fix them.

        :param policy: the policy of the image.
        :returns: how many seconds the verification may take.
        """
        needed = _seconds_for(policy)
        if policy.verify_layers and self._cannot_read_zstd:
            Annotations.of(self).add_warning_v2(
                "cdk-safe-image:zstd-not-read",
                f"The verifier runs on {self._runtime.name}, whose standard library has no zstd, so that it cannot "
                f"read zstd layers: verify_layers=True fails for them. Use {_RUNTIME} where Lambda has it, or "
                "compression='gzip' for the image.",
            )
        if policy.verify_layers and not self._memory_is_given:
            self._resource.memory_size = MEMORY_TO_READ_MIB
        if self._timeout_is_given:
            return self._seconds
        if needed > self._seconds:
            self._resource.timeout = self._seconds = needed
        return needed

    @cached_property
    def function_arn(self) -> str:
        """The ARN of the Lambda."""
        return self.function.function_arn

    @cached_property
    def function_id(self) -> str:
        """The logical ID of the Lambda, as a token."""
        return self._resource.logical_id

    @cached_property
    def _resource(self) -> lambda_.CfnFunction:
        function = self.function.node.default_child
        assert isinstance(function, lambda_.CfnFunction)
        return function

    def _own_role(
        self, statements: Sequence[iam.PolicyStatement], permissions_boundary: iam.IManagedPolicy | None
    ) -> iam.Role:
        # Inside the role, or before it, so that the role has the permissions when the Lambda is made.
        if self._managed_policies:
            own: dict[str, Any] = {
                "managed_policies": [iam.ManagedPolicy(self, "PolicyManaged", statements=statements)]
            }
        else:
            own = {"inline_policies": {"Logs": iam.PolicyDocument(statements=statements)}}
        return iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description="Verifies container images: reads the repositories in its policies, and logs",
            permissions_boundary=permissions_boundary,
            **own,
        )


@dataclass(frozen=True)
class _Network:
    """The settings of the VPC."""

    vpc: ec2.IVpc | None
    subnets: ec2.SubnetSelection | dict[str, Any] | None
    security_groups: tuple[ec2.ISecurityGroup, ...] | None

    def check(self, path: str) -> None:
        for name, value in (("vpc_subnets", self.subnets), ("security_groups", self.security_groups)):
            if self.vpc is None and value is not None:
                raise ValueError(f"{path}: {name} requires a VPC: pass vpc= too")
        if self.security_groups == ():
            raise ValueError(f"{path}: security_groups is empty: pass at least one, or leave it out")
        if self.vpc is not None and self._selected().has_public:
            raise ValueError(
                f"{path}: vpc_subnets selects public subnets, where a Lambda cannot reach anything outside the VPC: "
                "use vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS), or "
                "PRIVATE_ISOLATED with endpoints for ECR's API and S3"
            )

    def keywords(self) -> dict[str, Any]:
        """The arguments of `lambda_.Function`."""
        groups = None if self.security_groups is None else list(self.security_groups)
        return {"vpc": self.vpc, "vpc_subnets": self.subnets, "security_groups": groups}

    def statements(self) -> list[iam.PolicyStatement]:
        if self.vpc is None:
            return []
        return [iam.PolicyStatement(actions=list(_NETWORK_ACTIONS), resources=["*"])]

    def _selected(self) -> ec2.SelectedSubnets:
        subnets = self.subnets if self.subnets is not None else {}
        selection = subnets if isinstance(subnets, ec2.SubnetSelection) else ec2.SubnetSelection(**subnets)
        names = ("availability_zones", "one_per_az", "subnet_filters", "subnet_group_name", "subnets", "subnet_type")
        assert self.vpc is not None
        return self.vpc.select_subnets(**{name: getattr(selection, name) for name in names})


def _own_log_group(scope: Construct, retention: logs.RetentionDays | None, key: kms.IKey | None) -> logs.LogGroup:
    group = logs.LogGroup(
        scope,
        "Logs",
        retention=retention or logs.RetentionDays.ONE_MONTH,
        encryption_key=key,
        removal_policy=RemovalPolicy.DESTROY,
    )
    if key is not None:
        # The key policy must exist before the group, whose name is only known afterwards.
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        stack = stack_of(scope)
        arn = stack.format_arn(service="logs", resource="*")
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
                actions=["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arn}},
            )
        )
    return group


def _queue_statements(queue: sqs.IQueue | None) -> list[iam.PolicyStatement]:
    if queue is None:
        return []
    statements = [iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[queue.queue_arn])]
    if (key := queue.encryption_master_key) is not None:
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
        statements.append(iam.PolicyStatement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[key.key_arn]))
    return statements


def newest_runtime(scope: Construct) -> lambda_.Runtime:
    """The newest Python of the partition of a stack; the newest of all if the region is only known at deploy."""
    region = stack_of(scope).region
    partition = RegionInfo.get(region).partition if is_literal(region) else None
    return _python(_OLDER_RUNTIMES.get(partition or "", _RUNTIME))


# Each is a call to Node.js, and the verifiers of all stacks may share the value.
@cache
def _python(name: str) -> lambda_.Runtime:
    return lambda_.Runtime(name, lambda_.RuntimeFamily.PYTHON)


@cache
def _default_architecture() -> lambda_.Architecture:
    return lambda_.Architecture.X86_64


@cache
def _default_timeout() -> Duration:
    return Duration.seconds(_TIMEOUT_SECONDS)


def _check_runtime(path: str, runtime: lambda_.Runtime) -> bool:
    """Check that a runtime can run the verifier, and return whether it can read zstd."""
    name = runtime.name
    if is_dummy(name):
        return True
    numbers = re.fullmatch(r"python(\d+)\.(\d+)", name)
    if numbers is None:
        raise ValueError(f"{path}: runtime is {name}: use a Python runtime, such as {_RUNTIME}")
    version = tuple(map(int, numbers.groups()))
    if version < _OLDEST_PYTHON:
        raise ValueError(f"{path}: runtime is {name}, which is too old for the verifier: use {_RUNTIME}")
    return version >= _FIRST_WITH_ZSTD


def _check_bounds(path: str, memory_size: int | None, reserved: int | None, timeout: Duration | None) -> None:
    least, most = _MEMORY_BOUNDS_MIB
    if memory_size is not None and not Token.is_unresolved(memory_size) and not least <= memory_size <= most:
        raise ValueError(f"{path}: memory_size is {memory_size}: use {least} to {most} (MiB)")
    if reserved is not None and not Token.is_unresolved(reserved) and reserved < 1:
        raise ValueError(f"{path}: reserved_concurrent_executions is {reserved}, so that it never runs: use 1 or more")
    if timeout is None:
        return
    if timeout.is_unresolved():
        raise ValueError(f"{path}: timeout is only known at deploy: use a number, such as Duration.minutes(10)")
    if not _SHORTEST_SECONDS <= timeout.to_seconds() <= _LONGEST_SECONDS:
        raise ValueError(f"{path}: timeout is {timeout.to_human_string()}: use 15 seconds to 15 minutes")


def _check_role_account(verifier: Construct, role: iam.IRole | None) -> None:
    if role is None or is_dummy(role.role_arn):
        return
    here, there = stack_of(verifier).account, role.env.account
    if not Token.is_unresolved(here) and not Token.is_unresolved(there) and here != there:
        raise ValueError(
            f"{path_of(verifier)} is in account {here}, but its role is in {there}, and a Lambda needs a role of its "
            "own account. Use a role of that account, or leave out role="
        )


def _seconds_for(policy: Policy) -> int:
    if not policy.verify_layers:
        return _TIMEOUT_SECONDS
    if policy.max_size is None:
        return _LONGEST_SECONDS
    return min(_TIMEOUT_SECONDS + -(-policy.max_size // _BYTES_A_SECOND), _LONGEST_SECONDS)
