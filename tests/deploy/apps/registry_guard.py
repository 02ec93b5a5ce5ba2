"""A guard of the registry and of the images in use, with a rule for one repository. Its messages reach a queue."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs

from cdk_safe_image import RegistryGuard, RegistryRule

app = cdk.App()
stack = cdk.Stack(app, app.node.get_context("stack"))
topic = sns.Topic(stack, "Topic")
inbox = sqs.Queue(stack, "Inbox")
topic.add_subscription(subscriptions.SqsSubscription(inbox, raw_message_delivery=True))
guard = RegistryGuard(
    stack,
    "Guard",
    topic=topic,
    watch_running=True,
    rules={app.node.get_context("repository"): RegistryRule(platform=ecr_assets.Platform.LINUX_ARM64)},
)
# Messages of a Lambda that was killed go on when it would have ended.
function = guard.function.node.default_child
assert isinstance(function, lambda_.CfnFunction)
function.timeout = 40
cdk.CfnOutput(stack, "Bucket", value=guard.bucket.bucket_name)
cdk.CfnOutput(stack, "InboxUrl", value=inbox.queue_url)
cdk.CfnOutput(stack, "DeadLettersUrl", value=guard.dead_letter_queue.queue_url)
assert guard.images_in_use
cdk.CfnOutput(stack, "Reader", value=guard.images_in_use.reader.function_name)
cdk.CfnOutput(stack, "QueueUrl", value=guard.queue.queue_url)
cdk.CfnOutput(stack, "LogGroup", value=guard.function.log_group.log_group_name)
app.synth()
