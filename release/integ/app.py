"""The journey's app: one image of a few bytes, and a task definition without a service, which costs nothing."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs

from cdk_safe_image import ImageVerification, SafeDockerImageAsset

IMAGE = str(Path(__file__).parent / "image")

app = cdk.App()
stack = cdk.Stack(app, "CdkSafeImageIntegration")
state = app.node.try_get_context("state") or "good"

good = SafeDockerImageAsset(stack, "Good", directory=IMAGE)
image = good.container_image()
if state == "broken":
    # The same task definition gets an image for another architecture, built by the plain construct.
    plain = ecr_assets.DockerImageAsset(
        stack, "Broken", directory=IMAGE, platform=ecr_assets.Platform.LINUX_ARM64, extra_hash="broken"
    )
    image = ImageVerification(stack, "Verification", repository=plain.repository, tag=plain.image_tag).container_image()

task = ecs.FargateTaskDefinition(stack, "Task")
task.add_container("Main", image=image)
cdk.CfnOutput(stack, "Digest", value=good.image_digest)
app.synth()
