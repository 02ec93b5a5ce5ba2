"""The app of the deploy benchmark: a task definition that runs an image, plain or verified."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs

from cdk_safe_image import ImageVerification

app = cdk.App()
kind, name, tag = (app.node.get_context(key) for key in ("kind", "repository", "tag"))
stack = cdk.Stack(app, kind.title())
repository = ecr.Repository.from_repository_name(stack, "Repository", name)
image = ecs.ContainerImage.from_ecr_repository(repository, tag)
if kind == "verified":
    image = ImageVerification(stack, "Image", repository=repository, tag=tag).container_image()
ecs.FargateTaskDefinition(stack, "Task").add_container("app", image=image)
app.synth()
