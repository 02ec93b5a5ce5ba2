"""A consumer that cannot run its image is an error at synth."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import CfnParameter, CfnResource, CustomResource, Size, Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk_safe_image import ImageVerification, SafeDockerImageAsset
from tests.unit.cdk_safe_image.app import messages_of, new_app, stack_in

ARM64 = ecr_assets.Platform.LINUX_ARM64
ROLE = "arn:aws:iam::111122223333:role/any"


def fargate(stack: Stack, image: SafeDockerImageAsset, architecture: ecs.CpuArchitecture | None = None) -> None:
    platform = ecs.RuntimePlatform(cpu_architecture=architecture) if architecture else None
    task = ecs.FargateTaskDefinition(stack, "Task", runtime_platform=platform)
    task.add_container("app", image=image.container_image())


def annotations_for(folder: str, use: Any, level: str = "error", **keywords: Any) -> list[str]:
    app = new_app()
    stack = stack_in(app)
    use(stack, SafeDockerImageAsset(stack, "Image", directory=folder, **keywords))
    return messages_of(app.synth(), level)


def test_a_task_definition_for_arm64_cannot_run_an_amd64_image(docker_folder: str) -> None:
    (error,) = annotations_for(docker_folder, lambda stack, image: fargate(stack, image, ecs.CpuArchitecture.ARM64))
    assert "Demo/Task runs on linux/arm64 (its RuntimePlatform), but the image Demo/Image is for linux/amd64" in error
    assert (
        "Set platform=ecr_assets.Platform.LINUX_ARM64 for the image, or runtime_platform=ecs.RuntimePlatform(" in error
    )
    assert "cpu_architecture=ecs.CpuArchitecture.X86_64" in error


def test_a_task_definition_without_runtime_platform_cannot_run_an_arm64_image(docker_folder: str) -> None:
    (error,) = annotations_for(docker_folder, fargate, platform=ARM64)
    assert "Demo/Task runs on linux/amd64 (the default of a task definition without RuntimePlatform)" in error


def test_an_asset_whose_uri_the_user_passes_is_checked_too(docker_folder: str) -> None:
    def use(stack: Stack, image: SafeDockerImageAsset) -> None:
        by_hand = ecs.ContainerImage.from_docker_image_asset(image)
        ecs.FargateTaskDefinition(stack, "Task").add_container("app", image=by_hand)

    assert len(annotations_for(docker_folder, use, platform=ARM64)) == 1


def test_a_consumer_in_another_stack_is_checked_too(docker_folder: str) -> None:
    app = new_app()
    fargate(
        stack_in(app), SafeDockerImageAsset(stack_in(app, "Other"), "Image", directory=docker_folder, platform=ARM64)
    )
    (error,) = messages_of(app.synth(), "error")
    assert "Demo/Task" in error
    assert "Other/Image" in error


def test_a_function_for_x86_64_cannot_run_an_arm64_image(docker_folder: str) -> None:
    def use(stack: Stack, image: SafeDockerImageAsset) -> None:
        lambda_.DockerImageFunction(stack, "Function", code=image.docker_image_code())

    (error,) = annotations_for(docker_folder, use, platform=ARM64, runs_on="lambda")
    assert "Demo/Function runs on linux/amd64 (the default of a function without architecture)" in error
    assert "architecture=lambda_.Architecture.ARM_64 for Demo/Function" in error


REGIONS = [
    ("eu-west-1", "arn:aws:ecr:eu-central-1:111122223333:repository/shop", True),
    ("eu-west-1", "arn:aws:ecr:eu-west-1:444455556666:repository/shop", False),
    (None, "arn:aws:ecr:eu-central-1:111122223333:repository/shop", False),
    ("eu-west-1", None, False),
]


@pytest.mark.parametrize(("region", "arn", "refused"), REGIONS)
def test_a_function_runs_images_of_its_own_region_only(region: str | None, arn: str | None, refused: bool) -> None:
    app = new_app()
    stack = stack_in(app, region=region)
    repository = (
        ecr.Repository.from_repository_attributes(stack, "Repo", repository_arn=arn, repository_name="shop")
        if arn
        else ecr.Repository(stack, "Repo")
    )
    image = ImageVerification(stack, "Image", repository=repository, tag="1", runs_on=["lambda", "fargate"])
    lambda_.DockerImageFunction(stack, "Function", code=image.docker_image_code())
    # A task can pull from any region.
    ecs.FargateTaskDefinition(stack, "Task").add_container("app", image=image.container_image())
    errors = messages_of(app.synth(), "error")
    assert len(errors) == refused
    if refused:
        assert "Demo/Function is in eu-west-1, but the image Demo/Image is in eu-central-1, and" in errors[0]


def test_a_function_cannot_run_the_image_of_a_stack_in_another_region(docker_folder: str) -> None:
    app = new_app()
    here, there = stack_in(app, region="eu-west-1"), stack_in(app, "There", region="eu-central-1")
    image = SafeDockerImageAsset(there, "Image", directory=docker_folder, runs_on="lambda")
    lambda_.DockerImageFunction(here, "Function", code=image.docker_image_code())
    (error,) = messages_of(app.synth(), "error")
    assert "Demo/Function is in eu-west-1, but the image There/Image is in eu-central-1, and" in error
    assert "Make the image in a stack of eu-west-1" in error


def test_a_windows_task_definition_is_refused_with_the_linux_setting(docker_folder: str) -> None:
    def use(stack: Stack, image: SafeDockerImageAsset) -> None:
        platform = ecs.RuntimePlatform(
            cpu_architecture=ecs.CpuArchitecture.X86_64,
            operating_system_family=ecs.OperatingSystemFamily.WINDOWS_SERVER_2022_CORE,
        )
        task = ecs.FargateTaskDefinition(stack, "Task", runtime_platform=platform, cpu=1024, memory_limit_mib=2048)
        task.add_container("app", image=image.container_image())

    (error,) = annotations_for(docker_folder, use)
    assert "operating_system_family=ecs.OperatingSystemFamily.LINUX" in error
    assert "ecr_assets.Platform" not in error


def task_on_ec2(stack: Stack, image: SafeDockerImageAsset) -> None:
    task = ecs.Ec2TaskDefinition(stack, "Task")
    task.add_container("app", image=image.container_image(), memory_limit_mib=64)


def task_of_unknown_architecture(stack: Stack, image: SafeDockerImageAsset) -> None:
    parameter = CfnParameter(stack, "Architecture", default="ARM64").value_as_string
    ecs.CfnTaskDefinition(
        stack,
        "Task",
        requires_compatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        network_mode="awsvpc",
        runtime_platform=ecs.CfnTaskDefinition.RuntimePlatformProperty(cpu_architecture=parameter),
        container_definitions=[ecs.CfnTaskDefinition.ContainerDefinitionProperty(name="app", image=image.image_uri)],
    )


@pytest.mark.parametrize(
    ("use", "keywords"),
    [
        (fargate, {}),
        (lambda stack, image: fargate(stack, image, ecs.CpuArchitecture.ARM64), {"platform": ARM64}),
        (task_on_ec2, {"runs_on": "ecs-ec2", "platform": ARM64}),
        (task_of_unknown_architecture, {}),
    ],
)
def test_a_consumer_that_matches_or_sets_no_platform_is_accepted(
    docker_folder: str, use: Any, keywords: dict[str, Any]
) -> None:
    assert annotations_for(docker_folder, use, **keywords) == []
    assert annotations_for(docker_folder, use, "warning", **keywords) == []


def test_a_runtime_for_which_the_image_is_not_verified_is_a_warning(docker_folder: str) -> None:
    amd64 = ecr_assets.Platform.LINUX_AMD64
    (warning,) = annotations_for(docker_folder, task_on_ec2, "warning", platform=amd64)
    assert "Demo/Task runs the image Demo/Image on ECS on EC2, for which the image is not verified" in warning
    assert "Set runs_on=['ecs-ec2'] for the image." in warning
    (warning,) = annotations_for(docker_folder, task_on_ec2, "warning", platform=amd64, runs_on="fargate")
    assert "Set runs_on=['fargate', 'ecs-ec2'] for the image." in warning


def job(stack: Stack, image: SafeDockerImageAsset, architecture: ecs.CpuArchitecture | None = None) -> None:
    container = batch.EcsFargateContainerDefinition(
        stack,
        "Container",
        image=image.container_image(),
        cpu=1,
        memory=Size.gibibytes(2),
        fargate_cpu_architecture=architecture,
    )
    batch.EcsJobDefinition(stack, "Use", container=container)


def job_of_several_containers(stack: Stack, image: SafeDockerImageAsset) -> None:
    batch.CfnJobDefinition(
        stack,
        "Use",
        type="container",
        platform_capabilities=["FARGATE"],
        ecs_properties=batch.CfnJobDefinition.EcsPropertiesProperty(
            task_properties=[
                batch.CfnJobDefinition.EcsTaskPropertiesProperty(
                    containers=[
                        batch.CfnJobDefinition.TaskContainerPropertiesProperty(name="app", image=image.image_uri)
                    ],
                    runtime_platform=batch.CfnJobDefinition.RuntimePlatformProperty(cpu_architecture="ARM64"),
                )
            ]
        ),
    )


def app_runner(stack: Stack, image: SafeDockerImageAsset) -> None:
    source = {"ImageRepository": {"ImageIdentifier": image.image_uri, "ImageRepositoryType": "ECR"}}
    CfnResource(stack, "Use", type="AWS::AppRunner::Service", properties={"SourceConfiguration": source})


def model(stack: Stack, image: SafeDockerImageAsset) -> None:
    properties = {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": image.image_uri}}
    CfnResource(stack, "Use", type="AWS::SageMaker::Model", properties=properties)


def agent(stack: Stack, image: SafeDockerImageAsset) -> None:
    properties = {
        "AgentRuntimeName": "agent",
        "RoleArn": ROLE,
        "AgentRuntimeArtifact": {"ContainerConfiguration": {"ContainerUri": image.image_uri}},
        "NetworkConfiguration": {"NetworkMode": "PUBLIC"},
    }
    CfnResource(stack, "Use", type="AWS::BedrockAgentCore::Runtime", properties=properties)


@pytest.mark.parametrize(
    ("use", "runs_on", "platform", "title"),
    [
        (job, "batch", None, "Batch"),
        (job_of_several_containers, "batch", ARM64, "Batch"),
        (app_runner, "app-runner", None, "App Runner"),
        (model, "sagemaker", None, "SageMaker"),
        (agent, "agentcore", ARM64, "Bedrock AgentCore"),
    ],
)
def test_every_other_consumer_accepts_an_image_that_is_verified_for_it(
    docker_folder: str, use: Any, runs_on: str, platform: Any, title: str
) -> None:
    assert annotations_for(docker_folder, use, platform=platform, runs_on=runs_on) == []
    assert annotations_for(docker_folder, use, "warning", platform=platform, runs_on=runs_on) == []
    # SageMaker needs another build.
    level, reason = ("error", "refuses") if runs_on == "sagemaker" else ("warning", "for which the image is not")
    (message,) = annotations_for(docker_folder, use, level, platform=platform)
    assert f"Demo/Use runs the image Demo/Image on {title}, {reason}" in message.replace("which refuses", "refuses")


def express_service(stack: Stack, image: SafeDockerImageAsset) -> None:
    properties = {
        "PrimaryContainer": {"Image": image.image_uri},
        "ExecutionRoleArn": ROLE,
        "InfrastructureRoleArn": ROLE,
    }
    CfnResource(stack, "Use", type="AWS::ECS::ExpressGatewayService", properties=properties)


def daemon(stack: Stack, image: SafeDockerImageAsset) -> None:
    properties = {"Family": "agent", "ContainerDefinitions": [{"Name": "app", "Image": image.image_uri, "Memory": 64}]}
    CfnResource(stack, "Use", type="AWS::ECS::DaemonTaskDefinition", properties=properties)


@pytest.mark.parametrize(
    ("use", "runs_on", "title"),
    [(express_service, "fargate", "ECS on Fargate"), (daemon, "ecs-managed-instances", "ECS Managed Instances")],
)
def test_an_express_service_runs_on_fargate_and_a_daemon_on_managed_instances(
    docker_folder: str, use: Any, runs_on: str, title: str
) -> None:
    amd64 = ecr_assets.Platform.LINUX_AMD64
    assert annotations_for(docker_folder, use, "warning", runs_on=runs_on, platform=amd64) == []
    (warning,) = annotations_for(docker_folder, use, "warning", runs_on="ecs-ec2", platform=amd64)
    assert f"Demo/Use runs the image Demo/Image on {title}, for which the image is not verified" in warning


def test_a_manifest_has_the_path_of_the_construct_that_the_user_made(docker_folder: str) -> None:
    def use(stack: Stack, image: SafeDockerImageAsset) -> None:
        # The paths of CDK's module for EKS end in /Resource/Default.
        manifest = Construct(stack, "Manifest")
        text = stack.to_json_string([{"kind": "Pod", "spec": {"containers": [{"image": image.image_uri}]}}])
        kind = "Custom::AWSCDK-EKS-KubernetesResource"
        CustomResource(manifest, "Resource", resource_type=kind, service_token=ROLE, properties={"Manifest": text})

    (warning,) = annotations_for(docker_folder, use, "warning", platform=ecr_assets.Platform.LINUX_AMD64)
    assert "Demo/Manifest runs the image Demo/Image on EKS" in warning


def test_a_job_for_arm64_cannot_run_an_amd64_image(docker_folder: str) -> None:
    (error,) = annotations_for(
        docker_folder, lambda stack, image: job(stack, image, ecs.CpuArchitecture.ARM64), runs_on="batch"
    )
    assert "Demo/Use runs on linux/arm64 (its container's RuntimePlatform), but the image Demo/Image is for" in error


def test_a_job_of_several_containers_for_arm64_cannot_run_an_amd64_image(docker_folder: str) -> None:
    (error,) = annotations_for(docker_folder, job_of_several_containers, runs_on="batch")
    assert "Demo/Use runs on linux/arm64 (its container's RuntimePlatform)" in error


def test_a_job_without_runtime_platform_cannot_run_an_arm64_image(docker_folder: str) -> None:
    (error,) = annotations_for(docker_folder, job, runs_on="batch", platform=ARM64)
    assert "Demo/Use runs on linux/amd64" in error
    assert "fargate_cpu_architecture=ecs.CpuArchitecture.ARM64 in the container for Demo/Use" in error


def test_agentcore_cannot_run_an_amd64_image(docker_folder: str) -> None:
    (error,) = annotations_for(docker_folder, agent)
    assert (
        "Demo/Use runs on linux/arm64 (AgentCore's micro-VMs are arm64), but the image Demo/Image is for linux/amd64"
        in error
    )


@pytest.mark.parametrize(
    ("compatibility", "runs_on"),
    [("EXTERNAL", "ecs-anywhere"), ("MANAGED_INSTANCES", "ecs-managed-instances")],
)
def test_a_task_definition_says_the_kinds_of_hosts_that_run_it(
    docker_folder: str, compatibility: str, runs_on: str
) -> None:
    def use(stack: Stack, image: SafeDockerImageAsset) -> None:
        # No class of CDK's is needed: the template's names are read.
        properties = {
            "RequiresCompatibilities": [compatibility],
            "ContainerDefinitions": [{"Name": "app", "Image": image.image_uri}],
        }
        CfnResource(stack, "Task", type="AWS::ECS::TaskDefinition", properties=properties)

    (warning,) = annotations_for(docker_folder, use, "warning", platform=ARM64)
    assert f"Set runs_on=['{runs_on}'] for the image." in warning
    assert annotations_for(docker_folder, use, "warning", platform=ARM64, runs_on=runs_on) == []


def pod_job(stack: Stack, image: SafeDockerImageAsset) -> None:
    properties = batch.CfnJobDefinition.EksPropertiesProperty(
        pod_properties=batch.CfnJobDefinition.PodPropertiesProperty(
            containers=[batch.CfnJobDefinition.EksContainerProperty(image=image.image_uri)]
        )
    )
    batch.CfnJobDefinition(stack, "Use", type="container", eks_properties=properties)


def nodes_job(stack: Stack, image: SafeDockerImageAsset) -> None:
    node = {"TargetNodes": "0:", "Container": {"Image": image.image_uri}}
    properties = {"Type": "multinode", "NodeProperties": {"MainNode": 0, "NumNodes": 1, "NodeRangeProperties": [node]}}
    CfnResource(stack, "Use", type="AWS::Batch::JobDefinition", properties=properties)


@pytest.mark.parametrize(("use", "runs_on"), [(pod_job, "eks"), (nodes_job, "batch")])
def test_a_job_says_whether_a_cluster_of_kubernetes_runs_it(docker_folder: str, use: Any, runs_on: str) -> None:
    (warning,) = annotations_for(docker_folder, use, "warning", platform=ARM64)
    assert f"Set runs_on=['{runs_on}'] for the image." in warning


def test_a_service_whose_engine_nobody_knows_is_held_to_its_platform_alone(docker_folder: str) -> None:
    def use(stack: Stack, image: SafeDockerImageAsset) -> None:
        properties = {
            "Artifacts": {"Type": "NO_ARTIFACTS"},
            "Environment": {"Type": "ARM_CONTAINER", "ComputeType": "BUILD_GENERAL1_SMALL", "Image": image.image_uri},
            "ServiceRole": ROLE,
            "Source": {"Type": "NO_SOURCE", "BuildSpec": "version: 0.2"},
        }
        CfnResource(stack, "Use", type="AWS::CodeBuild::Project", properties=properties)

    (error,) = annotations_for(docker_folder, use)
    assert "Demo/Use runs on linux/arm64 (its environment's type), but the image Demo/Image is for" in error
    assert annotations_for(docker_folder, use, "warning", platform=ARM64) == []
