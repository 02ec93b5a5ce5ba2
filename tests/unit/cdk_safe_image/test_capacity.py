"""The platform of the instances that run an image: of its own service's cluster, or else of all of the app."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import CfnResource, CustomResource, Size, Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam

from cdk_safe_image import SafeDockerImageAsset, SafeImages
from tests.unit.cdk_safe_image.app import VERIFICATION, messages_of, new_app, resources, stack_in

PROVIDER = "AWS::ECS::CapacityProvider"
ROLE = "arn:aws:iam::111122223333:role/any"
Use = Callable[[Stack, SafeDockerImageAsset], object]
# The message of the synth for an image that is built for linux/amd64 because nothing says its platform; or none.
INTEL = ""
GRAVITON = "runs on linux/arm64 (the instances that the app makes for it)"
UNKNOWN = "cdk-safe-image:platform-assumed"


def network(stack: Stack) -> ec2.IVpc:
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        availability_zones=["eu-west-1a"],
        private_subnet_ids=["subnet-0123456789abcdef0"],
    )


def template(stack: Stack, instance_type: str | None = None) -> ec2.LaunchTemplate:
    name = f"Template{instance_type}"
    return ec2.LaunchTemplate(
        stack,
        name,
        instance_type=ec2.InstanceType(instance_type) if instance_type else None,
        machine_image=ecs.EcsOptimizedImage.amazon_linux2023(),
        user_data=ec2.UserData.for_linux(),
        role=iam.Role(stack, f"{name}Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com")),
        security_group=ec2.SecurityGroup.from_security_group_id(stack, f"{name}Group", "sg-0123456789abcdef0"),
    )


def add_provider(shared: ecs.Cluster, name: str, **group: Any) -> ecs.AsgCapacityProvider:
    stack = Stack.of(shared)
    made = ecs.AsgCapacityProvider(
        stack,
        name,
        auto_scaling_group=autoscaling.AutoScalingGroup(stack, f"{name}Instances", vpc=shared.vpc, **group),
        enable_managed_termination_protection=False,
    )
    shared.add_asg_capacity_provider(made)
    return made


def serve_on(on: ecs.ICluster, image: SafeDockerImageAsset, *providers: ecs.AsgCapacityProvider) -> None:
    stack = Stack.of(image)
    task = ecs.Ec2TaskDefinition(stack, "Task")
    task.add_container("app", image=image.container_image(), memory_limit_mib=64)
    strategies = [
        ecs.CapacityProviderStrategy(capacity_provider=it.capacity_provider_name, weight=1) for it in providers
    ]
    ecs.Ec2Service(
        stack, "Web", cluster=on, task_definition=task, capacity_provider_strategies=strategies, min_healthy_percent=0
    )


def on_one_of_two_clusters(chosen: str) -> Use:
    def use(stack: Stack, image: SafeDockerImageAsset) -> None:
        vpc = network(stack)
        for instance_type in ("m5.large", "m7g.large"):
            made = ecs.Cluster(stack, f"Cluster{instance_type}", vpc=vpc)
            made.add_capacity("Capacity", instance_type=ec2.InstanceType(instance_type))
            if instance_type == chosen:
                serve_on(made, image)

    return use


def on_an_imported_cluster(stack: Stack, image: SafeDockerImageAsset) -> None:
    """Beside a cluster with instances, on which the image does not run."""
    vpc = network(stack)
    made = ecs.Cluster(stack, "Cluster", vpc=vpc)
    made.add_capacity("Capacity", instance_type=ec2.InstanceType("m7g.large"))
    serve_on(ecs.Cluster.from_cluster_attributes(stack, "Imported", cluster_name="shop", vpc=vpc), image)


def on_capacity_providers(*chosen: str) -> Use:
    """The providers of a cluster that has one for each architecture."""

    def use(stack: Stack, image: SafeDockerImageAsset) -> None:
        shared = ecs.Cluster(stack, "Cluster", vpc=network(stack))
        providers = {
            it: add_provider(shared, f"Provider{it}", launch_template=template(stack, it))
            for it in ("m5.large", "m7g.large")
        }
        serve_on(shared, image, *(providers[name] for name in chosen))

    return use


def on_mixed_instances(*overrides: autoscaling.LaunchTemplateOverrides) -> Use:
    def use(stack: Stack, image: SafeDockerImageAsset) -> None:
        shared = ecs.Cluster(stack, "Cluster", vpc=network(stack))
        policy = autoscaling.MixedInstancesPolicy(
            launch_template=template(stack), launch_template_overrides=list(overrides)
        )
        serve_on(shared, image, add_provider(shared, "Provider", mixed_instances_policy=policy))

    return use


def of_type(instance_type: str) -> autoscaling.LaunchTemplateOverrides:
    return autoscaling.LaunchTemplateOverrides(instance_type=ec2.InstanceType(instance_type))


def with_requirements(**requirements: Any) -> Use:
    """A group whose instances are described by requirements, in resources as an included template has them."""

    def use(stack: Stack, image: SafeDockerImageAsset) -> None:
        launch = {
            "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1", "Version": "1"},
            "Overrides": [{"InstanceRequirements": requirements}],
        }
        group = raw(stack, "AWS::AutoScaling::AutoScalingGroup", MixedInstancesPolicy={"LaunchTemplate": launch})
        serve_with(image, raw(stack, PROVIDER, AutoScalingGroupProvider={"AutoScalingGroupArn": group.ref}))

    return use


def with_managed_instances(**requirements: Any) -> Use:
    """A capacity provider whose instances ECS manages."""

    def use(stack: Stack, image: SafeDockerImageAsset) -> None:
        managed = {"InstanceLaunchTemplate": {"InstanceRequirements": requirements}}
        serve_with(image, raw(stack, PROVIDER, ManagedInstancesProvider=managed))

    return use


def raw(stack: Stack, kind: str, **properties: Any) -> CfnResource:
    return CfnResource(stack, kind.rpartition(":")[2], type=kind, properties=properties)


def serve_with(image: SafeDockerImageAsset, provider: CfnResource) -> None:
    stack = Stack.of(image)
    shared = raw(stack, "AWS::ECS::Cluster")
    raw(stack, "AWS::ECS::ClusterCapacityProviderAssociations", Cluster=shared.ref, CapacityProviders=[provider.ref])
    task = ecs.Ec2TaskDefinition(stack, "Task")
    task.add_container("app", image=image.container_image(), memory_limit_mib=64)
    ecs.CfnService(stack, "Web", cluster=shared.ref, task_definition=task.task_definition_arn)


def in_the_cluster(chosen: str) -> Use:
    """A manifest for one of two clusters on Kubernetes."""

    def use(stack: Stack, image: SafeDockerImageAsset) -> None:
        for name, instance_type in (("intel", "m5.large"), ("graviton", "m7g.large")):
            keywords = {"cluster_name": name, "node_role": ROLE, "subnets": ["subnet-0123456789abcdef0"]}
            eks.CfnNodegroup(stack, name, instance_types=[instance_type], **keywords)  # type: ignore[arg-type]
        manifest = stack.to_json_string([{"spec": {"containers": [{"image": image.image_uri}]}}])
        CustomResource(
            stack,
            "Use",
            resource_type="Custom::AWSCDK-EKS-KubernetesResource",
            service_token=f"{ROLE}:x",
            properties={"Manifest": manifest, "ClusterName": chosen},
        )

    return use


def in_environments(*instance_types: str) -> Use:
    def use(stack: Stack, image: SafeDockerImageAsset) -> None:
        environment = batch.CfnComputeEnvironment.ComputeResourcesProperty(
            type="EC2", maxv_cpus=8, subnets=["subnet-0123456789abcdef0"], instance_types=list(instance_types)
        )
        batch.CfnComputeEnvironment(stack, "Environment", type="MANAGED", compute_resources=environment)
        container = batch.EcsEc2ContainerDefinition(
            stack, "Job", image=image.container_image(), cpu=1, memory=Size.gibibytes(2)
        )
        batch.EcsJobDefinition(stack, "Use", container=container)

    return use


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (on_one_of_two_clusters("m5.large"), INTEL),
        (on_one_of_two_clusters("m7g.large"), GRAVITON),
        (on_an_imported_cluster, UNKNOWN),
        (on_capacity_providers("m5.large"), INTEL),
        (on_capacity_providers("m7g.large"), GRAVITON),
        (on_capacity_providers(), UNKNOWN),
        (on_mixed_instances(of_type("c7g.large"), of_type("m7g.large")), GRAVITON),
        (on_mixed_instances(of_type("c7g.large"), of_type("m5.large")), UNKNOWN),
        (with_requirements(CpuManufacturers=["amazon-web-services"]), GRAVITON),
        (with_requirements(CpuManufacturers=["intel", "amd"]), INTEL),
        (with_requirements(MemoryMiB={"Min": 1024}), UNKNOWN),
        (with_managed_instances(AllowedInstanceTypes=["c7g.*", "m7g.*"]), GRAVITON),
        (with_managed_instances(AllowedInstanceTypes=["c*"]), UNKNOWN),
        (in_the_cluster("intel"), INTEL),
        (in_the_cluster("graviton"), GRAVITON),
        (in_the_cluster("of another app"), UNKNOWN),
        (in_environments("optimal"), INTEL),
        (in_environments("default_arm64"), GRAVITON),
        (in_environments("c7g", "m7g.large"), GRAVITON),
        (in_environments("c7g", "c5"), UNKNOWN),
    ],
)
def test_the_instances_are_those_on_which_the_image_runs(docker_folder: str, use: Use, message: str) -> None:
    app = new_app(**{"@aws-cdk/core:validateAgainstDefaultRules": False})
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder, runs_on=["ecs-ec2", "eks", "batch"])
    use(stack, image)
    assembly = app.synth()
    found = messages_of(assembly, "error") + messages_of(assembly, "warning")
    assert [message in text for text in found] == [True] * bool(message), found


def test_an_image_beside_a_task_decides_nothing_for_the_image_in_it(docker_folder: str, tmp_path: Path) -> None:
    Path(tmp_path, "Dockerfile").write_text("FROM scratch\nLABEL other=1\n")
    app = new_app()
    SafeImages.protect(app)
    stack = stack_in(app)
    on_instances = ecs.Ec2TaskDefinition(stack, "OnInstances")
    beside = ecr_assets.DockerImageAsset(stack, "Image", directory=str(tmp_path))
    on_fargate = ecs.FargateTaskDefinition(stack, "OnFargate")
    on_fargate.add_container("app", image=ecs.ContainerImage.from_docker_image_asset(beside))
    shared = ecs.Cluster(stack, "Cluster", vpc=network(stack))
    shared.add_capacity(
        "Capacity",
        instance_type=ec2.InstanceType("m7g.large"),
        machine_image=ecs.EcsOptimizedImage.amazon_linux2023(ecs.AmiHardwareType.ARM),
    )
    on_instances.add_container("app", image=ecs.ContainerImage.from_asset(docker_folder), memory_limit_mib=64)
    ecs.Ec2Service(stack, "Service", cluster=shared, task_definition=on_instances)
    assembly = app.synth()
    platforms = {it["Properties"]["Platform"] for it in resources(assembly, VERIFICATION).values()}
    assert platforms == {"linux/amd64", "linux/arm64"}
    assert messages_of(assembly, "error") == []


def test_an_image_made_before_the_app_is_complete_freezes_nothing(docker_folder: str) -> None:
    """CDK keeps the first value of a `Lazy`, such as the instances of a compute environment and the user data."""
    app = new_app(**{"@aws-cdk/core:validateAgainstDefaultRules": False})
    SafeImages.protect(app)
    stack = stack_in(app)
    shared = ecs.Cluster(stack, "Cluster", vpc=network(stack))
    data = ec2.UserData.for_linux()
    group = autoscaling.AutoScalingGroup(
        stack,
        "Group",
        vpc=shared.vpc,
        instance_type=ec2.InstanceType("m7g.large"),
        machine_image=ecs.EcsOptimizedImage.amazon_linux2023(ecs.AmiHardwareType.ARM),
        user_data=data,
    )
    environment = batch.ManagedEc2EcsComputeEnvironment(
        stack,
        "Environment",
        vpc=shared.vpc,
        instance_types=[ec2.InstanceType("m7g.large")],
        use_optimal_instance_classes=False,
    )
    image = ecs.ContainerImage.from_asset(docker_folder)
    ecs.Ec2TaskDefinition(stack, "Task").add_container("app", image=image, memory_limit_mib=64)
    container = batch.EcsEc2ContainerDefinition(stack, "Job", image=image, cpu=1, memory=Size.gibibytes(2))
    batch.EcsJobDefinition(stack, "Use", container=container)
    environment.add_instance_type(ec2.InstanceType("c7g.large"))
    group.add_security_group(ec2.SecurityGroup.from_security_group_id(stack, "More", "sg-0fedcba9876543210"))
    data.add_commands("echo late")
    assembly = app.synth()
    (made,) = resources(assembly, "AWS::Batch::ComputeEnvironment").values()
    assert "c7g.large" in made["Properties"]["ComputeResources"]["InstanceTypes"]
    text = json.dumps(assembly.get_stack_by_name("Demo").template)
    assert "echo late" in text
    assert "sg-0fedcba9876543210" in text
    manifest = json.loads(Path(assembly.directory, "Demo.assets.json").read_text())
    assert {it["source"]["platform"] for it in manifest["dockerImages"].values()} == {"linux/arm64"}
