"""An image of a stack that depends on the stack that runs it, from the folder in context `directory`."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs

from cdk_safe_image import SafeImages

app = cdk.App()
SafeImages.protect(app)
name = app.node.get_context("stack")
images, stack = cdk.Stack(app, f"{name}Images"), cdk.Stack(app, name)
# Each stack name has its own tag, which no earlier deploy pushed.
image = ecr_assets.DockerImageAsset(images, "Image", directory=app.node.get_context("directory"), extra_hash=name)
vpc = ec2.Vpc.from_vpc_attributes(
    stack, "Vpc", vpc_id="vpc-00000001", availability_zones=["us-east-1a"], public_subnet_ids=["subnet-00000001"]
)
cluster = ecs.Cluster(stack, "Cluster", vpc=vpc)
task = ecs.FargateTaskDefinition(stack, "Task")
task.add_container("app", image=ecs.ContainerImage.from_docker_image_asset(image))
ecs.FargateService(
    stack,
    "WebService",
    cluster=cluster,
    task_definition=task,
    assign_public_ip=True,
    security_groups=[ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-00000001")],
)
# So the stack of the image can only be deployed after the other.
cdk.CfnOutput(images, "ClusterName", value=cluster.cluster_name)
app.synth()
