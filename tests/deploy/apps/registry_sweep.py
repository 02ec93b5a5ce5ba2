"""A guard that sweeps the registry; the context `repository` has a rule for arm64. The tests start the sweeps."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs

from cdk_safe_image import RegistryGuard, RegistryRule, RegistrySweep

app = cdk.App()
stack = cdk.Stack(app, app.node.get_context("stack"))
topic = sns.Topic(stack, "Topic")
inbox = sqs.Queue(stack, "Inbox")
topic.add_subscription(subscriptions.SqsSubscription(inbox, raw_message_delivery=True))
guard = RegistryGuard(
    stack,
    "Guard",
    topic=topic,
    rules={app.node.get_context("repository"): RegistryRule(platform=ecr_assets.Platform.LINUX_ARM64)},
    sweep=RegistrySweep(
        schedule=events.Schedule.rate(cdk.Duration.days(365)),
        repositories=[app.node.get_context("repositories")],
        max_concurrency=int(app.node.try_get_context("at_once") or 1),
    ),
)
assert guard.sweep
# Shorter than a call that a test delays, so that the Lambda dies in it.
function = guard.sweep.verify_batch.node.default_child
assert isinstance(function, lambda_.CfnFunction)
function.timeout = 12
cdk.CfnOutput(stack, "Bucket", value=guard.bucket.bucket_name)
cdk.CfnOutput(stack, "InboxUrl", value=inbox.queue_url)
cdk.CfnOutput(stack, "StateMachine", value=guard.sweep.state_machine.state_machine_arn)
app.synth()
