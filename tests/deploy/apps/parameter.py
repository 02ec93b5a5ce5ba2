"""A service whose image has the tag in the parameter `Tag`; context `fail` makes a later resource fail."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs

from cdk_safe_image import ImageVerification, ImageVerifier

app = cdk.App()
stack = cdk.Stack(app, app.node.get_context("stack"))
seconds = app.node.try_get_context("timeout")
image = ImageVerification(
    stack,
    "Image",
    repository=ecr.Repository.from_repository_name(stack, "Repository", app.node.get_context("repository")),
    tag=cdk.CfnParameter(stack, "Tag").value_as_string,
    verifier=ImageVerifier(stack, "Verifier", timeout=cdk.Duration.seconds(int(seconds))) if seconds else None,
)
vpc = ec2.Vpc.from_vpc_attributes(
    stack, "Vpc", vpc_id="vpc-00000001", availability_zones=["us-east-1a"], public_subnet_ids=["subnet-00000001"]
)
task = ecs.FargateTaskDefinition(stack, "Task")
task.add_container("app", image=image.container_image())
service = ecs.FargateService(
    stack,
    "WebService",
    cluster=ecs.Cluster(stack, "Cluster", vpc=vpc),
    task_definition=task,
    assign_public_ip=True,
    security_groups=[ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-00000001")],
)
if app.node.try_get_context("fail"):
    # Nobody signals to it, so it fails after its second.
    handle = cdk.CfnWaitConditionHandle(stack, "Handle")
    condition = cdk.CfnWaitCondition(stack, "Condition", handle=handle.ref, timeout="1", count=1)
    condition.node.add_dependency(service)
cdk.CfnOutput(stack, "ImageUri", value=image.image_uri)
app.synth()
