"""Every push to ECR and, each night, every image in it is verified; refused images are messages on a topic."""

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_events as events
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions

from cdk_safe_image import RegistryGuard, RegistryRule, RegistrySweep

app = cdk.App()
stack = cdk.Stack(app, "Registry", env=cdk.Environment(account="123456789012", region="eu-west-1"))
alarms = sns.Topic(stack, "Alarms", enforce_ssl=True)
alarms.add_subscription(subscriptions.EmailSubscription("on-call@example.com"))
guard = RegistryGuard(
    stack,
    "Guard",
    topic=alarms,
    watch_running=True,
    sweep=RegistrySweep(schedule=events.Schedule.cron(hour="3", minute="30")),
    rules={
        "shop/*": RegistryRule(runs_on="fargate", platform=ecr_assets.Platform.LINUX_ARM64),
        "functions/*": RegistryRule(runs_on="lambda"),
    },
)
cdk.CfnOutput(stack, "Reports", value=guard.bucket.s3_url_for_object(guard.name))
app.synth()
