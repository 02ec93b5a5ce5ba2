"""Plain images that one line protects, for each kind of consumer that the local AWS has; from context `directory`."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_ssm as ssm

from cdk_safe_image import SafeImages

app = cdk.App()
SafeImages.protect(app)
stack = cdk.Stack(app, app.node.get_context("stack"))
folder = Path(app.node.get_context("directory"))
vpc = ec2.Vpc.from_vpc_attributes(
    stack, "Vpc", vpc_id="vpc-00000001", availability_zones=["us-east-1a"], public_subnet_ids=["subnet-00000001"]
)
cluster = ecs.Cluster(stack, "Cluster", vpc=vpc)

fargate = ecs.FargateTaskDefinition(stack, "FargateTask")
fargate.add_container("app", image=ecs.ContainerImage.from_asset(str(folder / "fargate")))
ecs.FargateService(
    stack,
    "FargateService",
    cluster=cluster,
    task_definition=fargate,
    assign_public_ip=True,
    security_groups=[ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-00000001")],
)

on_ec2 = ecs.Ec2TaskDefinition(stack, "Ec2Task")
on_ec2.add_container("app", image=ecs.ContainerImage.from_asset(str(folder / "ec2")), memory_limit_mib=64)
ecs.CfnService(
    stack, "Ec2Service", cluster=cluster.cluster_name, task_definition=on_ec2.task_definition_arn, launch_type="EC2"
)

code = lambda_.DockerImageCode.from_image_asset(str(folder / "function"))
function = lambda_.DockerImageFunction(stack, "Function", code=code)
cdk.CfnOutput(stack, "FunctionName", value=function.function_name)

named = ecr_assets.DockerImageAsset(stack, "Named", directory=str(folder / "named"))
ssm.StringParameter(stack, "Parameter", string_value=named.image_uri)
app.synth()
