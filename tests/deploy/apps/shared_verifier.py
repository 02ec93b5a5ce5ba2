"""One verifier in a stack of its own, and two stacks that share it: a function in one, a service in the other."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_

from cdk_safe_image import ImageVerification, ImageVerifier, RunsOn

app = cdk.App()
name = app.node.get_context("stack")
verifier = ImageVerifier(cdk.Stack(app, f"{name}Verifier"), "Verifier")


def verified(stack: cdk.Stack, runs_on: RunsOn) -> ImageVerification:
    repository = ecr.Repository.from_repository_name(stack, "Repository", app.node.get_context("repository"))
    return ImageVerification(
        stack, "Image", repository=repository, tag=app.node.get_context("tag"), runs_on=runs_on, verifier=verifier
    )


stack = cdk.Stack(app, name)
function = lambda_.DockerImageFunction(stack, "Function", code=verified(stack, RunsOn.LAMBDA).docker_image_code())
cdk.CfnOutput(stack, "FunctionName", value=function.function_name)

services = cdk.Stack(app, f"{name}Services")
task = ecs.FargateTaskDefinition(services, "Task")
task.add_container("app", image=verified(services, RunsOn.FARGATE).container_image())
app.synth()
