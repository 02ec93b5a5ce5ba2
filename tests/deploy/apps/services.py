"""A Fargate service for each image in context `images`, all in one stack."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs

from cdk_safe_image import ImageVerification

app = cdk.App()
stack = cdk.Stack(app, app.node.get_context("stack"))
repository = ecr.Repository.from_repository_name(stack, "Repository", app.node.get_context("repository"))
vpc = ec2.Vpc.from_vpc_attributes(
    stack, "Vpc", vpc_id="vpc-00000001", availability_zones=["us-east-1a"], public_subnet_ids=["subnet-00000001"]
)
cluster = ecs.Cluster(stack, "Cluster", vpc=vpc)
group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-00000001")

for name, tag in json.loads(app.node.get_context("images")).items():
    image = ImageVerification(stack, name, repository=repository, tag=tag)
    task = ecs.FargateTaskDefinition(stack, f"{name}Task")
    task.add_container("app", image=image.container_image())
    ecs.FargateService(
        stack, f"{name}Service", cluster=cluster, task_definition=task, assign_public_ip=True, security_groups=[group]
    )
    for attribute in (
        *("ImageUri", "ImageDigest", "ImageTag", "SizeInBytes"),
        *("MediaType", "Platform", "LayerCount", "Warnings"),
    ):
        cdk.CfnOutput(stack, f"{name}{attribute}", value=image.resource.get_att(attribute).to_string())
app.synth()
