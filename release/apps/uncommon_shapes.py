"""More apps: shapes that fewer repositories have, and that strain what an image's verification relies on.

As in `shapes`, each function makes its images by `Images`, and must not know whether they are verified.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jsii
from aws_cdk import App, CfnOutput, Environment, Fn, IStableStringProducer, Lazy, NestedStack, Size, Stack, Stage
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ecs_patterns as patterns
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_stepfunctions as stepfunctions
from aws_cdk import aws_stepfunctions_tasks as tasks
from aws_cdk import cloudformation_include as include

from .images import Images


@jsii.implements(IStableStringProducer)
class _Names:
    """A name that the app sets at its end."""

    known = ""

    def produce(self) -> str:
        """The name."""
        return self.known


def _vpc(scope: Stack) -> ec2.IVpc:
    return ec2.Vpc.from_vpc_attributes(
        scope,
        "Vpc",
        vpc_id="vpc-1",
        availability_zones=["eu-west-1a", "eu-west-1b"],
        private_subnet_ids=["subnet-1", "subnet-2"],
        public_subnet_ids=["subnet-3", "subnet-4"],
    )


def _imported_cluster(scope: Stack) -> ecs.ICluster:
    return ecs.Cluster.from_cluster_attributes(scope, "Cluster", cluster_name="shared", vpc=_vpc(scope))


def nested_stages(app: App, images: Images) -> None:
    """A stage in a stage, each with a stack, and in the inner one a nested stack with the service."""
    outer = Stage(app, "Cell")
    stack, inner = Stack(outer, "Service"), Stack(Stage(outer, "Tenant"), "Service")
    _run(stack, "Web", images.container(stack, "web"))
    nested = NestedStack(inner, "Jobs")
    task = ecs.FargateTaskDefinition(nested, "Task")
    task.add_container("app", image=images.container(nested, "job"))
    ecs.FargateService(nested, "Job", cluster=ecs.Cluster(inner, "Shared", vpc=_vpc(inner)), task_definition=task)


def every_pattern(app: App, images: Images) -> None:
    """The patterns of ECS that `shapes` does not have, with an imported cluster."""
    stack = Stack(app, "Patterns", env=Environment(account="111122223333", region="eu-west-1"))
    cluster = _imported_cluster(stack)

    def options(kind: Any, name: str) -> Any:
        return kind(image=images.container(stack, name))

    network = options(patterns.NetworkLoadBalancedTaskImageOptions, "network")
    patterns.NetworkLoadBalancedFargateService(stack, "Network", cluster=cluster, task_image_options=network)
    web = options(patterns.ApplicationLoadBalancedTaskImageProps, "multiple")
    patterns.ApplicationMultipleTargetGroupsFargateService(
        stack,
        "Multiple",
        cluster=cluster,
        task_image_options=web,
        target_groups=[patterns.ApplicationTargetProps(container_port=80)],
    )
    ports = options(patterns.NetworkLoadBalancedTaskImageProps, "ports")
    patterns.NetworkMultipleTargetGroupsFargateService(
        stack,
        "Ports",
        cluster=cluster,
        task_image_options=ports,
        target_groups=[patterns.NetworkTargetProps(container_port=80)],
    )
    on_ec2 = options(patterns.ApplicationLoadBalancedTaskImageOptions, "instances")
    patterns.ApplicationLoadBalancedEc2Service(
        stack, "Instances", cluster=cluster, memory_limit_mib=512, task_image_options=on_ec2
    )


def lazy_values(app: App, images: Images) -> None:
    """Names, commands and environments that are only known when CDK resolves the template."""
    stack = Stack(app, "Lazy")
    names = _Names()
    task = ecs.FargateTaskDefinition(stack, "Task", family=Lazy.string(names))
    asset = images.asset(stack, "web")
    task.add_container(
        "app",
        image=ecs.ContainerImage.from_docker_image_asset(asset),
        command=["run", Lazy.string(names)],
        environment={"IMAGE": Fn.join("@", [asset.image_uri, stack.stack_name])},
    )
    CfnOutput(stack, "Image", value=Fn.sub("run ${Image} now", {"Image": asset.image_uri}))
    names.known = "later"


def included_template(app: App, images: Images) -> None:
    """A template of CloudFormation's with a task definition, whose image the app sets."""
    stack = Stack(app, "Included")
    asset = images.asset(stack, "web")
    task = {"Family": "web", "ContainerDefinitions": [{"Name": "app", "Image": "nginx", "Memory": 256}]}
    service = {"TaskDefinition": {"Ref": "Task"}, "DesiredCount": 1}
    resources = {
        "Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": task},
        "Service": {"Type": "AWS::ECS::Service", "Properties": service},
    }
    file = Path(images.context("web")).with_suffix(".template.json")
    file.write_text(json.dumps({"Resources": resources}))
    made = include.CfnInclude(stack, "Template", template_file=str(file)).get_resource("Task")
    made.add_property_override("ContainerDefinitions.0.Image", asset.image_uri)


def tokens_in_names(app: App, images: Images) -> None:
    """A service whose names and size come from parameters, and an image beside it that only an output names."""
    stack = Stack(app, "Named")
    name = ssm.StringParameter.value_for_string_parameter(stack, "/shop/name")
    task = ecs.FargateTaskDefinition(stack, "Task", family=f"shop-{name}-{stack.region}")
    task.add_container("app", container_name=f"app-{name}", image=images.container(stack, "web"))
    ecs.FargateService(
        stack, "Service", cluster=_imported_cluster(stack), task_definition=task, service_name=f"shop-{name}"
    )
    CfnOutput(stack, "Other", value=images.asset(stack, "other").image_uri, export_name=f"{stack.stack_name}-other")


def cross_region(app: App, images: Images) -> None:
    """A stack that uses a bucket of another region, by CDK's references across regions."""
    stacks = [
        Stack(
            app,
            name,
            env=Environment(account="111122223333", region=region),
            cross_region_references=True,
        )
        for name, region in (("Data", "us-east-1"), ("Service", "eu-west-1"))
    ]
    bucket = s3.Bucket(stacks[0], "Bucket")
    task = _run(stacks[1], "Web", images.container(stacks[1], "web"))
    task.add_container("sidecar", image=images.container(stacks[1], "sidecar"), environment={"B": bucket.bucket_name})


def task_steps(app: App, images: Images) -> None:
    """State machines that run a task, a Batch job and a function, each of an image."""
    stack = Stack(app, "Steps")
    task = ecs.FargateTaskDefinition(stack, "Task")
    container = task.add_container("app", image=images.container(stack, "task"))
    run = tasks.EcsRunTask(
        stack,
        "Run",
        cluster=_imported_cluster(stack),
        task_definition=task,
        launch_target=tasks.EcsFargateLaunchTarget(platform_version=ecs.FargatePlatformVersion.LATEST),
        container_overrides=[tasks.ContainerOverride(container_definition=container, command=["once"])],
        integration_pattern=stepfunctions.IntegrationPattern.RUN_JOB,
    )
    function = lambda_.DockerImageFunction(stack, "Function", code=images.code(stack, "function"))
    invoke = tasks.LambdaInvoke(stack, "Invoke", lambda_function=function)
    stepfunctions.StateMachine(
        stack, "Machine", definition_body=stepfunctions.DefinitionBody.from_chainable(run.next(invoke))
    )


def pods(app: App, images: Images) -> None:
    """Pods of Kubernetes in an imported cluster, by manifests."""
    stack = Stack(app, "Pods")
    role = "arn:aws:iam::111122223333:role/kubectl"
    provider = eks.KubectlProvider.from_kubectl_provider_attributes(
        stack,
        "Provider",
        function_arn="arn:aws:lambda:eu-west-1:111122223333:function:kubectl",
        kubectl_role_arn=role,
        handler_role=iam.Role.from_role_arn(stack, "Role", role),
    )
    cluster = eks.Cluster.from_cluster_attributes(
        stack, "Cluster", cluster_name="shared", kubectl_provider=provider, vpc=_vpc(stack)
    )
    container = {"name": "app", "image": images.asset(stack, "pod", "eks").image_uri}
    spec = {"selector": {}, "template": {"spec": {"containers": [container]}}}
    cluster.add_manifest("Deployment", {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec})


def multi_node_job(app: App, images: Images) -> None:
    """A Batch job on several nodes, whose main node has another image than the workers."""
    stack = Stack(app, "Nodes")

    def container(name: str) -> Any:
        return batch.EcsEc2ContainerDefinition(
            stack,
            name.title(),
            image=images.container(stack, name, "batch"),
            cpu=1,
            memory=Size.mebibytes(512),
        )

    batch.MultiNodeJobDefinition(
        stack,
        "Job",
        main_node=0,
        containers=[
            batch.MultiNodeContainer(start_node=0, end_node=0, container=container("main")),
            batch.MultiNodeContainer(start_node=1, end_node=4, container=container("worker")),
        ],
    )


def two_apps(app: App, images: Images) -> None:
    """A second app in the same process, which is synthesized first, with the same names."""
    for each in (App(analytics_reporting=False), app):
        stack = Stack(each, "Same")
        _run(stack, "Web", images.container(stack, "web"))
        if each is not app:
            each.synth()


def _run(scope: Stack, name: str, image: ecs.ContainerImage) -> ecs.FargateTaskDefinition:
    task = ecs.FargateTaskDefinition(scope, f"{name}Task")
    task.add_container("app", image=image)
    ecs.FargateService(scope, f"{name}Service", cluster=_imported_cluster(scope), task_definition=task)
    return task


UNCOMMON_SHAPES: Final[tuple[Callable[[App, Images], None], ...]] = (
    nested_stages,
    every_pattern,
    lazy_values,
    included_template,
    tokens_in_names,
    cross_region,
    task_steps,
    pods,
    multi_node_job,
    two_apps,
)
