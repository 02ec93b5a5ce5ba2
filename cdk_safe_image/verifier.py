"""The Lambda that verifies images, with a role of its own that may read nothing until a verification grants it."""

from __future__ import annotations

from typing import Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct
from image_verifier.policy import Policy

from .staging import verifier_code

# The first runtime with zstd in its standard library. Older aws-cdk-lib has no constant for it.
_RUNTIME: Final = "python3.14"
_MEMORY_MIB: Final = 512
_TIMEOUT: Final = Duration.minutes(5)
# To read layers is work for the processor, and a Lambda has one whole processor at this memory.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
_MEMORY_TO_READ_MIB: Final = 1769
# A third of what one core read of compressed layers per second with Python 3.14's own decoders: `make bench`, layers.
_BYTES_A_SECOND: Final = 20_000_000
_LONGEST: Final = Duration.minutes(15)


class ImageVerifier(Construct):
    """The Lambda behind `ImageVerification`, without layers, provider framework or idle cost.

    Each stack that verifies images gets one by default. Make one yourself to change its settings, or to share it
    between stacks of one region, and hand it to `SafeDockerImageAsset` or `ImageVerification` as `verifier=`.
    Changed settings update it in place; no image is verified again for them.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        architecture: lambda_.Architecture | None = None,
        log_group: logs.ILogGroup | None = None,
        log_retention: logs.RetentionDays | None = None,
        memory_size: int | None = None,
        runtime: lambda_.Runtime | None = None,
        timeout: Duration | None = None,
    ) -> None:
        """
        :param scope: the parent construct.
        :param id: the construct's id.
        :param architecture: of the Lambda itself; it verifies images of every platform. Default: x86_64
        :param log_group: where it logs. Default: a log group that is deleted with the stack
        :param log_retention: how long its own log group keeps events. Default: one month
        :param memory_size: memory in MiB. Default: 512; 1769 (one processor) once an image's layers are read
        :param runtime: a Python runtime. Default: python3.14
        :param timeout: how long one verification may take, at most 15 minutes. Default: 5 minutes; once an image's
            layers are read, as long as the largest of them may take, by its max_size: 5 minutes and one second for
            each 20 MB, and 15 minutes without max_size
        :raises ValueError: if settings contradict each other, or no Lambda can have them.
        """
        super().__init__(scope, id)
        path = self.node.path
        if log_group is not None and log_retention is not None:
            raise ValueError(f"{path}: log_retention is for its own log group: write it where log_group is made")
        if runtime is not None and runtime.family is not lambda_.RuntimeFamily.PYTHON:
            raise ValueError(f"{path}: runtime is {runtime.name}: write a Python runtime, such as {_RUNTIME}")
        self.timeout = timeout or _TIMEOUT
        self._timeout_is_given, self._memory_is_given = timeout is not None, memory_size is not None
        if not self.timeout.is_unresolved() and not 1 <= self.timeout.to_seconds() <= 900:
            raise ValueError(f"{path}: timeout is {self.timeout.to_human_string()}: write 1 second to 15 minutes")

        self.log_group: logs.ILogGroup = log_group or logs.LogGroup(
            self,
            "Logs",
            retention=log_retention or logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description="Verifies container images: reads the repositories that its policies name, and logs",
            inline_policies={
                "Logs": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                            resources=[self.log_group.log_group_arn],
                        )
                    ]
                )
            },
        )
        with verifier_code(self) as code:
            self.function = lambda_.Function(
                self,
                "Function",
                description="Verifies container images before anything in the stack refers to them",
                code=lambda_.Code.from_asset(code),
                handler="image_verifier.handler.handler",
                runtime=runtime or lambda_.Runtime(_RUNTIME, lambda_.RuntimeFamily.PYTHON),
                architecture=architecture or lambda_.Architecture.X86_64,
                memory_size=memory_size or _MEMORY_MIB,
                timeout=self.timeout,
                role=self.role,
                log_group=self.log_group,
            )

    def allow(self, policy: Policy) -> Duration:
        """Let the Lambda have what a verification needs, where its settings do not say otherwise.

        :param policy: what is asked of the image.
        :returns: how long that verification may take.
        """
        needed = _time_for(policy)
        function = self.function.node.default_child
        assert isinstance(function, lambda_.CfnFunction)
        if policy.verify_layers and not self._memory_is_given:
            function.memory_size = _MEMORY_TO_READ_MIB
        if self._timeout_is_given:
            return self.timeout
        if needed.to_seconds() > self.timeout.to_seconds():
            self.timeout = needed
            function.timeout = needed.to_seconds()
        return needed


def _time_for(policy: Policy) -> Duration:
    if not policy.verify_layers:
        return _TIMEOUT
    if policy.max_size is None:
        return _LONGEST
    seconds = int(_TIMEOUT.to_seconds()) + -(-policy.max_size // _BYTES_A_SECOND)
    return Duration.seconds(min(seconds, int(_LONGEST.to_seconds())))
