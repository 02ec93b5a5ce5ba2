"""The journey's app: two images of a few bytes, and three services without tasks, which cost nothing.

The services wait for both verifications through a join. CloudFormation makes the two branches at the same time, which
the local AWS does not do.
"""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs

from cdk_safe_image import ImageVerification, RunsOn, SafeDockerImageAsset

IMAGE = str(Path(__file__).parent / "image")
RUNTIME = RunsOn.ECS_EC2

app = cdk.App()
stack = cdk.Stack(app, "CdkSafeImageIntegration")
state = app.node.try_get_context("state") or "good"

good = SafeDockerImageAsset(stack, "Good", directory=IMAGE, runs_on=RUNTIME)
other = SafeDockerImageAsset(stack, "Other", directory=IMAGE, runs_on=RUNTIME, extra_hash="other", verify_layers=True)
images = {"Web": good.container_image(), "Worker": other.container_image(), "Cron": good.container_image()}
if state == "broken":
    # The same task definition gets an image for another architecture, built by the plain construct.
    plain = ecr_assets.DockerImageAsset(
        stack, "Broken", directory=IMAGE, platform=ecr_assets.Platform.LINUX_ARM64, extra_hash="broken"
    )
    broken = ImageVerification(stack, "Verification", repository=plain.repository, tag=plain.image_tag, runs_on=RUNTIME)
    images["Web"] = broken.container_image()

cluster = ecs.CfnCluster(stack, "Cluster")
for name, image in images.items():
    task = ecs.Ec2TaskDefinition(stack, f"{name}Task")
    task.add_container("Main", image=image, memory_limit_mib=16)
    ecs.CfnService(
        stack, name, cluster=cluster.ref, task_definition=task.task_definition_arn, desired_count=0, launch_type="EC2"
    )
cdk.CfnOutput(stack, "Digest", value=good.image_digest)
app.synth()
