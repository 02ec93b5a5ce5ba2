"""An image that CDK builds from the folder in context `directory`, for a service and for a Lambda function."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_

from cdk_safe_image import SafeDockerImageAsset

app = cdk.App()
stack = cdk.Stack(app, app.node.get_context("stack"))
image = SafeDockerImageAsset(
    stack,
    "Image",
    directory=app.node.get_context("directory"),
    runs_on=["fargate", "lambda"],
    on_failure=app.node.try_get_context("on_failure"),
)
vpc = ec2.Vpc.from_vpc_attributes(
    stack, "Vpc", vpc_id="vpc-00000001", availability_zones=["us-east-1a"], public_subnet_ids=["subnet-00000001"]
)
task = ecs.FargateTaskDefinition(stack, "Task")
# As code reads that was written for DockerImageAsset.
task.add_container("app", image=ecs.ContainerImage.from_docker_image_asset(image))
ecs.FargateService(
    stack,
    "WebService",
    cluster=ecs.Cluster(stack, "Cluster", vpc=vpc),
    task_definition=task,
    assign_public_ip=True,
    security_groups=[ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-00000001")],
)
function = lambda_.DockerImageFunction(stack, "Function", code=image.docker_image_code())
cdk.CfnOutput(stack, "FunctionName", value=function.function_name)
cdk.CfnOutput(stack, "ImageTag", value=image.image_tag)
app.synth()
