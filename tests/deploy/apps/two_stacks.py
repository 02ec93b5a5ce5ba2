"""The image in one stack, the service that runs it in another."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs

from cdk_safe_image import ImageVerification

app = cdk.App()
name = app.node.get_context("stack")
images = cdk.Stack(app, f"{name}Images")
image = ImageVerification(
    images,
    "Web",
    repository=ecr.Repository.from_repository_name(images, "Repository", app.node.get_context("repository")),
    tag=app.node.get_context("tag"),
)

stack = cdk.Stack(app, name)
vpc = ec2.Vpc.from_vpc_attributes(
    stack, "Vpc", vpc_id="vpc-00000001", availability_zones=["us-east-1a"], public_subnet_ids=["subnet-00000001"]
)
task = ecs.FargateTaskDefinition(stack, "Task")
task.add_container("app", image=image.container_image())
ecs.FargateService(
    stack,
    "WebService",
    cluster=ecs.Cluster(stack, "Cluster", vpc=vpc),
    task_definition=task,
    assign_public_ip=True,
    security_groups=[ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-00000001")],
)
app.synth()
