"""A Lambda of a guard: its code, its log group, and a role that may only log until more is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from ..staging import verifier_code
from ..verifier import newest_runtime


def guard_function(
    scope: Construct,
    name: str,
    *,
    entry_point: str,
    description: str,
    role_description: str,
    settings: Mapping[str, Mapping[str, Any]],
    timeout: Duration,
    memory_mib: int,
) -> lambda_.Function:
    """Make a Lambda.

    :param scope: the parent construct.
    :param name: the beginning of the constructs' ids; empty for the only Lambda of its parent.
    :param entry_point: the module of its handler in `image_verifier.entrypoints`.
    :param description: the purpose of the Lambda.
    :param role_description: what the role permits.
    :param settings: the settings, by environment variable.
    :param timeout: the longest that it may run.
    :param memory_mib: its memory.
    """
    log_group = logs.LogGroup(
        scope, f"{name}Logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
    )
    log_events = iam.PolicyStatement(
        actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log_group.log_group_arn]
    )
    role = iam.Role(
        scope,
        f"{name}Role",
        assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        description=role_description,
        inline_policies={"Logs": iam.PolicyDocument(statements=[log_events])},
    )
    return lambda_.Function(
        scope,
        f"{name}Function",
        description=description,
        code=verifier_code(scope, entry_point),
        handler=f"image_verifier.entrypoints.{entry_point}.handler",
        runtime=newest_runtime(scope),
        memory_size=memory_mib,
        timeout=timeout,
        role=role,
        log_group=log_group,
        environment={variable: Stack.of(scope).to_json_string(value) for variable, value in settings.items()},
    )
