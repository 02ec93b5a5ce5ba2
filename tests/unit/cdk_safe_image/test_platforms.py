"""The platform of an image that says none: from the instances that run it, or else assumed, with a warning."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Annotations, App, CustomResource, Size, Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_sagemaker as sagemaker
from image_verifier.custom_resource.schema import RESOURCE_TYPE

from cdk_safe_image import ImagePolicy, SafeDockerImageAsset, SafeImages
from tests.unit.cdk_safe_image.app import messages_of, new_app, stack_in

ARM64 = ecr_assets.Platform.LINUX_ARM64
ROLE = "arn:aws:iam::111122223333:role/any"


def cluster(stack: Stack, instance_type: str) -> ecs.Cluster:
    is_arm = ec2.InstanceType(instance_type).architecture == ec2.InstanceArchitecture.ARM_64
    hardware = ecs.AmiHardwareType.ARM if is_arm else ecs.AmiHardwareType.STANDARD
    capacity = ecs.AddCapacityOptions(
        instance_type=ec2.InstanceType(instance_type), machine_image=ecs.EcsOptimizedImage.amazon_linux2023(hardware)
    )
    return ecs.Cluster(stack, "Cluster", vpc=ec2.Vpc(stack, "Vpc", max_azs=1), capacity=capacity)


def run(stack: Stack, name: str, image: ecs.ContainerImage) -> None:
    ecs.Ec2TaskDefinition(stack, name).add_container("app", image=image, memory_limit_mib=64)


def compute_environment(stack: Stack, folder: str) -> None:
    resources = batch.CfnComputeEnvironment.ComputeResourcesProperty(
        type="EC2", maxv_cpus=8, subnets=["subnet-0123456789abcdef0"], instance_types=["m7g.large"]
    )
    batch.CfnComputeEnvironment(stack, "Environment", type="MANAGED", compute_resources=resources)
    image = ecs.ContainerImage.from_asset(folder)
    container = batch.EcsEc2ContainerDefinition(stack, "Job", image=image, cpu=1, memory=Size.gibibytes(2))
    batch.EcsJobDefinition(stack, "Use", container=container)


def graviton_cluster(stack: Stack, folder: str) -> None:
    cluster(stack, "t4g.small")
    run(stack, "Task", ecs.ContainerImage.from_asset(folder))


def intel_cluster(stack: Stack, folder: str) -> None:
    cluster(stack, "m5.large")
    run(stack, "Task", ecs.ContainerImage.from_asset(folder))


@pytest.mark.parametrize(
    ("use", "platform"),
    [(graviton_cluster, "linux/arm64"), (intel_cluster, "linux/amd64"), (compute_environment, "linux/arm64")],
)
def test_the_platform_is_that_of_the_instances(docker_folder: str, use: Any, platform: str) -> None:
    app = new_app()
    SafeImages.protect(app)
    stack = stack_in(app)
    use(stack, docker_folder)
    assembly = app.synth()
    manifest = json.loads(Path(assembly.directory, "Demo.assets.json").read_text())
    assert [image["source"]["platform"] for image in manifest["dockerImages"].values()] == [platform]
    assert messages_of(assembly, "error") + messages_of(assembly, "warning") == []


def test_an_image_for_another_architecture_than_the_instances_is_an_error(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    run(
        stack,
        "Task",
        SafeDockerImageAsset(stack, "Image", directory=docker_folder, runs_on="ecs-ec2").container_image(),
    )
    cluster(stack, "t4g.small")
    (error,) = messages_of(app.synth(), "error")
    assert "Demo/Task runs on linux/arm64 (the instances that the app makes for it)" in error
    assert "Set platform=ecr_assets.Platform.LINUX_ARM64 for the image" in error


def two_tasks(app: App, folder: str, **keywords: Any) -> Stack:
    stack = stack_in(app)
    for name in ("One", "Two"):
        image = SafeDockerImageAsset(stack, f"{name}Image", directory=folder, runs_on="ecs-ec2", **keywords)
        run(stack, name, image.container_image())
    return stack


def test_an_assumed_platform_is_one_warning_for_each_stack_with_its_images(docker_folder: str) -> None:
    app = new_app()
    two_tasks(app, docker_folder)
    (warning,) = messages_of(app.synth(), "warning")
    assert warning.startswith("Demo: ")
    assert "are built for linux/amd64: Demo/OneImage, Demo/TwoImage. On instances of another architecture" in warning
    assert "cdk-safe-image:platform-assumed" in warning


def said_on_the_image(app: App, folder: str) -> None:
    two_tasks(app, folder, platform=ecr_assets.Platform.LINUX_AMD64)


def said_on_the_scope(app: App, folder: str) -> None:
    ImagePolicy.defaults(app, platform=ARM64)
    two_tasks(app, folder)


def said_by_the_task(app: App, folder: str) -> None:
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=folder, runs_on="ecs-ec2").container_image()
    platform = ecs.CfnTaskDefinition.RuntimePlatformProperty(cpu_architecture="X86_64")
    task = ecs.Ec2TaskDefinition(stack, "Task")
    task.add_container("app", image=image, memory_limit_mib=64)
    task.node.default_child.runtime_platform = platform  # type: ignore[union-attr]


def acknowledged(app: App, folder: str) -> None:
    Annotations.of(two_tasks(app, folder)).acknowledge_warning("cdk-safe-image:platform-assumed")


def acknowledges_what_comes_later() -> bool:
    """Whether this CDK keeps an acknowledgement for a later warning at the same construct, as it does since 2026.

    https://github.com/aws/aws-cdk/issues/38820
    """
    stack = stack_in(new_app())
    Annotations.of(stack).acknowledge_warning("a-warning")
    Annotations.of(stack).add_warning_v2("a-warning", "A warning")
    return stack.node.metadata == []


@pytest.mark.parametrize("use", [said_on_the_image, said_on_the_scope, said_by_the_task, acknowledged])
def test_a_platform_that_is_said_or_acknowledged_is_no_warning(docker_folder: str, use: Callable[..., Any]) -> None:
    if use is acknowledged and not acknowledges_what_comes_later():
        pytest.skip("this aws-cdk-lib forgets acknowledgements: https://github.com/aws/aws-cdk/issues/38820")
    app = new_app()
    use(app, docker_folder)
    assembly = app.synth()
    assert messages_of(assembly, "error") + messages_of(assembly, "warning") == []


# Images that no runtime accepts, and runtimes that the user did not set


@pytest.mark.parametrize("platform", ["linux/arm/v7", "linux/amd64,linux/arm64"])
def test_a_platform_that_no_runtime_accepts_is_an_error_at_the_image_with_the_way_to_leave_it_out(
    docker_folder: str, platform: str
) -> None:
    def synthesize(leave_out: bool) -> list[str]:
        app = new_app()
        SafeImages.protect(app)
        task = ecs.FargateTaskDefinition(stack_in(app), "Task")
        if leave_out:
            SafeImages.report(task, unverified="warning")
        image = ecs.ContainerImage.from_asset(docker_folder, platform=ecr_assets.Platform.custom(platform))
        task.add_container("app", image=image)
        return messages_of(app.synth(), "error")

    (error,) = synthesize(leave_out=False)
    assert f"Demo/Task/app/AssetImage is built for {platform}, which ECS on Fargate cannot run" in error
    assert "SafeImages.report(…, unverified='warning') for Demo/Task" in error
    assert synthesize(leave_out=True) == []


def test_an_image_for_any_platform_is_verified_for_the_hosts_of_an_external_task(docker_folder: str) -> None:
    app = new_app()
    SafeImages.protect(app)
    stack = stack_in(app)
    image = ecs.ContainerImage.from_asset(docker_folder, platform=ecr_assets.Platform.custom("linux/arm/v7"))
    ecs.ExternalTaskDefinition(stack, "Task").add_container("app", image=image, memory_limit_mib=64)
    assembly = app.synth()
    assert messages_of(assembly, "error") + messages_of(assembly, "warning") == []
    resources = assembly.get_stack_by_name(stack.stack_name).template["Resources"].values()
    (properties,) = [it["Properties"] for it in resources if it["Type"] == RESOURCE_TYPE]
    assert (properties["RunsOn"], properties["Platform"]) == (["ecs-anywhere"], "linux/arm/v7")


def test_the_proposed_runtimes_are_those_of_the_consumers_if_the_user_set_none(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder, platform=ecr_assets.Platform.LINUX_AMD64)
    run(stack, "One", image.container_image())
    on_kubernetes_with(stack, image.image_uri)
    warnings = [text for text in messages_of(app.synth(), "warning") if "not-verified-for-runtime" in text]
    assert len(warnings) == 2
    assert all("Set runs_on=['ecs-ec2', 'eks'] for the image." in text for text in warnings)


def on_kubernetes_with(stack: Stack, uri: str) -> None:
    manifest = stack.to_json_string([{"kind": "Pod", "spec": {"containers": [{"image": uri}]}}])
    kind = "Custom::AWSCDK-EKS-KubernetesResource"
    CustomResource(stack, "Use", resource_type=kind, service_token=f"{ROLE}:x", properties={"Manifest": manifest})


def test_an_image_that_sagemaker_refuses_is_an_error_with_the_runtime_to_set(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    container = sagemaker.CfnModel.ContainerDefinitionProperty(image=image.image_uri)
    sagemaker.CfnModel(stack, "Use", execution_role_arn=ROLE, primary_container=container)
    (error,) = messages_of(app.synth(), "error")
    assert "Demo/Use runs the image Demo/Image on SageMaker, which refuses an OCI image" in error
    assert error.endswith("Set runs_on=['sagemaker'] for the image.")
