"""A stack with a verified image and a shared verifier, which goes in steps by context `way`: safe, unused, gone."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ssm as ssm

from cdk_safe_image import ImageVerification, ImageVerifier

app = cdk.App()
name, way, tag = (app.node.get_context(key) for key in ("stack", "way", "tag"))

# First, as in most apps, so that `cdk deploy --all` deploys it first if no other stack uses it.
home = cdk.Stack(app, f"{name}Verifier") if way != "gone" else None
stack = cdk.Stack(app, name)
repository = ecr.Repository.from_repository_name(stack, "Repository", app.node.get_context("repository"))
image: ecs.ContainerImage = ecs.ContainerImage.from_ecr_repository(repository, tag)
if home is not None:
    # A resource that changes, so that the deploy of this stack is not skipped.
    ssm.CfnParameter(home, "NotEmpty", type="String", value=way)
    verifier = ImageVerifier(home, "Verifier")
    if way == "safe":
        verification = ImageVerification(stack, "Image", repository=repository, tag=tag, verifier=verifier)
        image = verification.container_image()
task = ecs.FargateTaskDefinition(stack, "Task")
task.add_container("app", image=image)
app.synth()
