"""A running estate that adopts SafeImages: a Fargate service for each folder in context `images`, in steps by `way`."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs

from cdk_safe_image import SafeImages

app = cdk.App()
way = app.node.get_context("way")
if way == "report":
    SafeImages.report(app, unverified="warning")
elif way == "never":
    SafeImages.protect(app, fail_on="never")
elif way == "protect":
    SafeImages.protect(app)

stack = cdk.Stack(app, app.node.get_context("stack"))
vpc = ec2.Vpc.from_vpc_attributes(
    stack, "Vpc", vpc_id="vpc-00000001", availability_zones=["us-east-1a"], public_subnet_ids=["subnet-00000001"]
)
cluster = ecs.Cluster(stack, "Cluster", vpc=vpc)
group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-00000001")
for name, directory in json.loads(app.node.get_context("images")).items():
    task = ecs.FargateTaskDefinition(stack, f"{name}Task")
    task.add_container("app", image=ecs.ContainerImage.from_asset(directory))
    ecs.FargateService(
        stack, f"{name}Service", cluster=cluster, task_definition=task, assign_public_ip=True, security_groups=[group]
    )
app.synth()
