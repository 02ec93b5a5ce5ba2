"""Stacks of one account and region that share a verifier: one Lambda, and a policy in each stack that uses it."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs

from cdk_safe_image import ImageVerifier, SafeDockerImageAsset

# CDK warns of references between stacks until the app chooses their strength.
app = cdk.App(context={"@aws-cdk/core:defaultCrossStackReferences": "strong"})
verifier = ImageVerifier(
    cdk.Stack(app, "ImageVerifier"), "Verifier", log_retention=logs.RetentionDays.ONE_YEAR, memory_size=1024
)
for name in ("Orders", "Billing"):
    stack = cdk.Stack(app, name)
    image = SafeDockerImageAsset(stack, "Image", directory=str(Path(__file__).parent / "service"), verifier=verifier)
    task = ecs.FargateTaskDefinition(stack, "Task")
    task.add_container("Web", image=image.container_image())
app.synth()
