"""SweepMachine: the state machine of a guard's sweeps, its three Lambdas, its schedule and its alarms."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct
from image_verifier.custom_resource.metrics import NAMESPACE
from image_verifier.registry.settings import VARIABLE
from image_verifier.sweep.settings import VARIABLE as SWEEP_VARIABLE

from ..verifier import MEMORY_MIB, MEMORY_TO_READ_MIB
from .guard_parts import allow, guard_alarm, guard_function
from .registry_sweep import RegistrySweep
from .sweep_definition import sweep_definition

# The longest that a Lambda may run.
_TIMEOUT: Final = Duration.minutes(15)
# Listing and summing up stream what they read; more memory means more CPU.
_MEMORY_TO_STREAM_MIB: Final = 1024
# All environment variables of a function have 4 KB.
_MAX_SETTINGS: Final = 3900
_SET: Final = re.compile(r"\[[^\]]*\]")
_READS: Final = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
)


class SweepMachine(Construct):
    """The resources of a guard's sweeps.

    :param guard: the guard, which is the parent construct.
    :param sweep: what is swept.
    :param name: the guard's name, with which the keys of its objects begin.
    :param settings: the settings of the guard, for the Lambdas.
    :param bucket: the bucket for the results.
    :param topic: the topic for messages and alarms; None for none.
    :param inventory: the table with the images in use; None where they are not watched.
    :param dead_letters: the queue for events of the schedule that start no sweep.
    :raises ValueError: if a setting is not valid.
    """

    def __init__(
        self,
        guard: Construct,
        sweep: RegistrySweep,
        *,
        name: str,
        settings: Mapping[str, Any],
        bucket: s3.IBucket,
        topic: sns.ITopic | None,
        inventory: dynamodb.ITable | None,
        dead_letters: sqs.IQueue,
    ) -> None:
        super().__init__(guard, "Sweep")
        path = guard.node.path
        self._name, self._bucket = name, bucket
        self._settings = sweep.settings(path)
        own = self._settings.as_json()
        if len(json.dumps(settings)) + len(json.dumps(own)) > _MAX_SETTINGS:
            raise ValueError(
                f"{path}: rules and sweep need more than {_MAX_SETTINGS} characters, and a Lambda's environment has no "
                "room for more: use fewer names, with wildcards"
            )
        self._lambda_settings = {VARIABLE: settings, SWEEP_VARIABLE: own}
        self.list_images = self._function("ListImages", "list_images", _MEMORY_TO_STREAM_MIB)
        memory = MEMORY_TO_READ_MIB if self._settings.verify_layers else MEMORY_MIB
        self.verify_batch = self._function("VerifyBatch", "verify_batch", memory)
        self.sum_up = self._function("SumUp", "sum_up", _MEMORY_TO_STREAM_MIB)
        self._allow_lambdas(topic)
        if inventory is not None:
            allow(self.verify_batch, ["dynamodb:Query"], [inventory.table_arn])
        self.state_machine = self._state_machine(sweep.max_concurrency)
        events.Rule(
            self,
            "Schedule",
            description="Starts a sweep over the registry",
            schedule=sweep.schedule,
            targets=[
                targets.SfnStateMachine(
                    self.state_machine, input=events.RuleTargetInput.from_object({}), dead_letter_queue=dead_letters
                )
            ],
        )
        failed = self.state_machine.metric_failed(period=Duration.minutes(5))
        self.failed = guard_alarm(self, "Failed", "A sweep failed, so that it has no summary", failed, topic)
        self.unfinished, self.unknown = (
            guard_alarm(self, name, description, self._metric(f"Sweep{name}"), topic)
            for name, description in (
                ("Unfinished", "Batches of a sweep have no results: its summary names them"),
                ("Unknown", "Images of a sweep could not be verified: its page says why"),
            )
        )

    def _function(self, name: str, handler: str, memory_mib: int) -> lambda_.Function:
        return guard_function(
            self,
            name,
            entry_point="registry_sweep",
            handler=handler,
            description="A step of a sweep over the registry",
            role_description="A step of a sweep over the registry",
            settings=self._lambda_settings,
            timeout=_TIMEOUT,
            memory_mib=memory_mib,
        )

    def _allow_lambdas(self, topic: sns.ITopic | None) -> None:
        """Give each Lambda the permissions for its calls, and no others."""
        # IAM has the same wildcards, but for the sets of characters.
        names = [_SET.sub("?", pattern) for pattern in self._settings.repositories or ("*",)]
        stack = Stack.of(self)
        swept = [stack.format_arn(service="ecr", resource="repository", resource_name=name) for name in names]
        # The list of all repositories is not about one of them.
        allow(self.list_images, ["ecr:DescribeRepositories"], ["*"])
        tags = ["ecr:ListTagsForResource"] if self._settings.tags else []
        allow(self.list_images, ["ecr:DescribeImages", *tags], swept)
        allow(self.verify_batch, _READS, swept)
        folder = self._objects("*")
        for function in (self.list_images, self.verify_batch, self.sum_up):
            allow(function, ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"], [folder])
            function.add_to_role_policy(
                iam.PolicyStatement(
                    actions=["s3:ListBucket"],
                    resources=[self._bucket.bucket_arn],
                    conditions={"StringLike": {"s3:prefix": f"{self._name}/sweeps/*"}},
                )
            )
            self._grant_key(function)
        if topic is not None:
            topic.grant_publish(self.sum_up)

    def _state_machine(self, max_concurrency: int) -> sfn.StateMachine:
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            description="Runs sweeps over the registry",
        )
        functions = [self.list_images, self.verify_batch, self.sum_up]
        statements = (
            (["lambda:InvokeFunction"], [function.function_arn for function in functions]),
            (["s3:GetObject"], [self._objects("*/items.jsonl")]),
            (
                ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"],
                [self._objects("*/runs/*")],
            ),
        )
        for actions, resources in statements:
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources))
        self._grant_key(role)
        definition = sweep_definition(
            partition=stack.partition,
            bucket=self._bucket.bucket_name,
            list_images=self.list_images.function_arn,
            verify_batch=self.verify_batch.function_arn,
            sum_up=self.sum_up.function_arn,
            max_concurrency=max_concurrency,
        )
        machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_string(stack.to_json_string(definition)),
            role=role,
        )
        # A policy of its own, since the machine waits for the role's other policy.
        children = stack.format_arn(
            service="states",
            resource="execution",
            resource_name=f"{machine.state_machine_name}/*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        iam.Policy(
            self,
            "Children",
            roles=[role],
            statements=[
                iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine.state_machine_arn]),
                iam.PolicyStatement(
                    actions=["states:DescribeExecution", "states:RedriveExecution", "states:StopExecution"],
                    resources=[children],
                ),
            ],
        )
        return machine

    def _objects(self, name: str) -> str:
        """The ARN of objects of sweeps."""
        return self._bucket.arn_for_objects(f"{self._name}/sweeps/{name}")

    def _grant_key(self, grantee: iam.IGrantable) -> None:
        if self._bucket.encryption_key is not None:
            self._bucket.encryption_key.grant_encrypt_decrypt(grantee)

    def _metric(self, name: str) -> cloudwatch.IMetric:
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"Stack": self._name},
            statistic="Sum",
            period=Duration.minutes(5),
        )
