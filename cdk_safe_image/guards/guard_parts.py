"""The parts that all guards have: Lambdas with a log group and a role of their own, permissions, and alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
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
    handler: str = "handler",
) -> lambda_.Function:
    """Make a Lambda, whose role may only log until `allow` permits more.

    :param scope: the parent construct.
    :param name: the beginning of the constructs' ids; empty for the only Lambda of its parent.
    :param entry_point: the module of its handler in `image_verifier.entrypoints`.
    :param description: the purpose of the Lambda.
    :param role_description: what the role permits.
    :param settings: the settings, by environment variable.
    :param timeout: the longest that it may run.
    :param memory_mib: its memory.
    :param handler: the name of the handler in that module.
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
        handler=f"image_verifier.entrypoints.{entry_point}.{handler}",
        runtime=newest_runtime(scope),
        memory_size=memory_mib,
        timeout=timeout,
        role=role,
        log_group=log_group,
        environment={variable: Stack.of(scope).to_json_string(value) for variable, value in settings.items()},
    )


def allow(function: lambda_.Function, actions: Sequence[str], resources: Sequence[str]) -> None:
    """Permit calls to a Lambda.

    :param function: the Lambda.
    :param actions: the calls.
    :param resources: the ARNs on which they are permitted.
    """
    function.add_to_role_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources)))


def guard_alarm(
    scope: Construct,
    id: str,
    description: str,
    metric: cloudwatch.IMetric,
    topic: sns.ITopic | None,
    *,
    missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
) -> cloudwatch.Alarm:
    """Make an alarm for a metric that should be 0.

    :param scope: the parent construct.
    :param id: the construct's id.
    :param description: what happened, and where to look.
    :param metric: the metric.
    :param topic: the topic that gets the alarm; None for none.
    :param missing: the meaning of a period without the metric.
    """
    alarm = cloudwatch.Alarm(
        scope,
        id,
        alarm_description=description,
        metric=metric,
        threshold=1,
        evaluation_periods=1,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        treat_missing_data=missing,
    )
    if topic is not None:
        alarm.add_alarm_action(cloudwatch_actions.SnsAction(topic))
    return alarm
