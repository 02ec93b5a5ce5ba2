"""SafeImages: one line for every image of an app."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsii
import pytest
from aws_cdk import (
    App,
    AspectPriority,
    Aspects,
    CfnResource,
    CustomResource,
    IAspect,
    IPropertyInjector,
    IStableAnyProducer,
    Lazy,
    NestedStack,
    PropertyInjectors,
    Size,
    Stack,
    Stage,
    Tags,
)
from aws_cdk import aws_apprunner as apprunner
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ecs_patterns as ecs_patterns
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from aws_cdk.cx_api import CloudAssembly
from constructs import Construct

from cdk_safe_image import ImagePolicy, ImageVerification, ImageVerifier, Require, SafeDockerImageAsset, SafeImages
from tests.unit.cdk_safe_image.app import (
    VERIFICATION,
    messages_of,
    new_app,
    not_empty,
    resources,
    serve,
    stack_in,
    the_only,
)

FUNCTION = "AWS::Lambda::Function"
SERVICE = "AWS::ECS::Service"
TASK = "AWS::ECS::TaskDefinition"
OUTPUTS = "type=docker,attestation-inline=false,oci-mediatypes=true"
ARM64 = ecr_assets.Platform.LINUX_ARM64
ROLE = "arn:aws:iam::111122223333:role/any"


@pytest.fixture
def other_folder(tmp_path: Path) -> str:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL other=1\n")
    return str(tmp_path)


def protected(**keywords: Any) -> tuple[App, Stack]:
    app = new_app()
    SafeImages.protect(app, **keywords)
    return app, stack_in(app)


def run(stack: Construct, name: str, image: ecs.ContainerImage, **more: Any) -> ecs.FargateTaskDefinition:
    task = ecs.FargateTaskDefinition(stack, name, **more)
    task.add_container("app", image=image)
    return task


def runtime(architecture: ecs.CpuArchitecture) -> ecs.RuntimePlatform:
    return ecs.RuntimePlatform(cpu_architecture=architecture, operating_system_family=ecs.OperatingSystemFamily.LINUX)


def builds(assembly: CloudAssembly, stack: str = "Demo") -> list[dict[str, Any]]:
    """The arguments for `docker build`, by image."""
    manifest = json.loads(Path(assembly.directory, f"{stack}.assets.json").read_text())
    return [image["source"] for image in manifest["dockerImages"].values()]


def verified(assembly: CloudAssembly, stack: str = "Demo") -> dict[str, Any]:
    """The properties of the only verification."""
    properties: dict[str, Any] = the_only(assembly, VERIFICATION, stack)[1]["Properties"]
    return properties


def waits(resource: Any, assembly: CloudAssembly, stack: str = "Demo") -> bool:
    """Whether it waits for every verification of the stack, and there is at least one."""
    names = set(resources(assembly, VERIFICATION, stack))
    depends = resource.get("DependsOn", [])
    return bool(names) and names <= {depends} | set(depends) if isinstance(depends, str) else names <= set(depends)


def all_tasks_wait(assembly: CloudAssembly, stack: str = "Demo") -> bool:
    tasks = resources(assembly, TASK, stack)
    return bool(tasks) and all(waits(task, assembly, stack) for task in tasks.values())


# Every way to make an image


def with_from_asset(stack: Stack, folder: str) -> None:
    run(stack, "Task", ecs.ContainerImage.from_asset(folder))


def with_a_pattern(stack: Stack, folder: str) -> None:
    options = ecs_patterns.ApplicationLoadBalancedTaskImageOptions(image=ecs.ContainerImage.from_asset(folder))
    ecs_patterns.ApplicationLoadBalancedFargateService(stack, "Web", task_image_options=options)


def with_an_asset(stack: Stack, folder: str) -> None:
    asset = ecr_assets.DockerImageAsset(stack, "Image", directory=folder)
    run(stack, "Task", ecs.ContainerImage.from_docker_image_asset(asset))


def with_its_repository(stack: Stack, folder: str) -> None:
    asset = ecr_assets.DockerImageAsset(stack, "Image", directory=folder)
    run(stack, "Task", ecs.ContainerImage.from_ecr_repository(asset.repository, asset.image_tag))


def with_an_override(stack: Stack, folder: str) -> None:
    asset = ecr_assets.DockerImageAsset(stack, "Image", directory=folder)
    task = run(stack, "Task", ecs.ContainerImage.from_registry("nginx")).node.default_child
    assert isinstance(task, CfnResource)
    task.add_property_override("ContainerDefinitions.0.Image", asset.image_uri)


def with_a_construct_of_a_third_party(stack: Stack, folder: str) -> None:
    class Theirs(Construct):
        def __init__(self) -> None:
            super().__init__(stack, "Theirs")
            run(self, "Task", ecs.ContainerImage.from_asset(folder))

    Theirs()


@pytest.mark.parametrize(
    "use",
    [
        with_from_asset,
        with_a_pattern,
        with_an_asset,
        with_its_repository,
        with_an_override,
        with_a_construct_of_a_third_party,
    ],
)
def test_every_image_has_a_pinned_build_and_is_verified_before_its_task(docker_folder: str, use: Any) -> None:
    app, stack = protected()
    use(stack, docker_folder)
    assembly = app.synth()
    (source,) = builds(assembly)
    assert (source["platform"], source["dockerOutputs"]) == ("linux/amd64", [OUTPUTS])
    properties = verified(assembly)
    assert (properties["RunsOn"], properties["Platform"]) == (["fargate"], "linux/amd64")
    assert properties["LocalImage"] == f"cdkasset-{properties['ImageTag']}"
    assert all_tasks_wait(assembly)
    assert all(waits(service, assembly) for service in resources(assembly, SERVICE).values())
    assert messages_of(assembly, "error") + messages_of(assembly, "warning") == []


def on_lambda(stack: Stack, folder: str) -> None:
    lambda_.DockerImageFunction(stack, "Use", code=lambda_.DockerImageCode.from_image_asset(folder))


def on_lambda_from_ecr(stack: Stack, folder: str) -> None:
    asset = ecr_assets.DockerImageAsset(stack, "Image", directory=folder)
    code = lambda_.DockerImageCode.from_ecr(asset.repository, tag_or_digest=asset.image_tag)
    lambda_.DockerImageFunction(stack, "Use", code=code)


def on_ec2(stack: Stack, folder: str) -> None:
    task = ecs.Ec2TaskDefinition(stack, "Use")
    task.add_container("app", image=ecs.ContainerImage.from_asset(folder), memory_limit_mib=64)


def on_batch(stack: Stack, folder: str) -> None:
    container = batch.EcsFargateContainerDefinition(
        stack, "Container", image=ecs.ContainerImage.from_asset(folder), cpu=1, memory=Size.gibibytes(2)
    )
    batch.EcsJobDefinition(stack, "Use", container=container)


def on_app_runner(stack: Stack, folder: str) -> None:
    uri = ecr_assets.DockerImageAsset(stack, "Image", directory=folder).image_uri
    source = apprunner.CfnService.ImageRepositoryProperty(image_identifier=uri, image_repository_type="ECR")
    configuration = apprunner.CfnService.SourceConfigurationProperty(image_repository=source)
    apprunner.CfnService(stack, "Use", source_configuration=configuration)


def on_sagemaker(stack: Stack, folder: str) -> None:
    uri = ecr_assets.DockerImageAsset(stack, "Image", directory=folder).image_uri
    container = sagemaker.CfnModel.ContainerDefinitionProperty(image=uri)
    sagemaker.CfnModel(stack, "Use", execution_role_arn=ROLE, primary_container=container)


def on_agentcore(stack: Stack, folder: str, platform: ecr_assets.Platform | None = ARM64) -> None:
    uri = ecr_assets.DockerImageAsset(stack, "Image", directory=folder, platform=platform).image_uri
    # By its type, because the oldest supported aws-cdk-lib has no class for it.
    CfnResource(
        stack,
        "Use",
        type="AWS::BedrockAgentCore::Runtime",
        properties={
            "AgentRuntimeName": "agent",
            "RoleArn": ROLE,
            "AgentRuntimeArtifact": {"ContainerConfiguration": {"ContainerUri": uri}},
            "NetworkConfiguration": {"NetworkMode": "PUBLIC"},
        },
    )


def on_kubernetes(stack: Stack, folder: str) -> None:
    uri = ecr_assets.DockerImageAsset(stack, "Image", directory=folder).image_uri
    # As `eks.Cluster.add_manifest` does.
    manifest = stack.to_json_string([{"kind": "Pod", "spec": {"containers": [{"image": uri}]}}])
    kind = "Custom::AWSCDK-EKS-KubernetesResource"
    CustomResource(stack, "Use", resource_type=kind, service_token=f"{ROLE}:x", properties={"Manifest": manifest})


def as_custom_resource(stack: Stack, folder: str) -> None:
    uri = ecr_assets.DockerImageAsset(stack, "Image", directory=folder).image_uri
    CustomResource(stack, "Use", service_token=f"{ROLE}:x", properties={"Deep": [{"Image": f"docker://{uri}"}]})


def as_any_resource(stack: Stack, folder: str) -> None:
    uri = ecr_assets.DockerImageAsset(stack, "Image", directory=folder).image_uri
    CfnResource(stack, "Use", type="Their::Image::Runner", properties={"Image": uri})


def as_a_class_of_the_users(stack: Stack, folder: str) -> None:
    class Runner(CfnResource):
        def __init__(self, uri: str) -> None:
            super().__init__(stack, "Use", type="Their::Image::Runner", properties={"Image": uri})

    Runner(ecr_assets.DockerImageAsset(stack, "Image", directory=folder).image_uri)


def as_user_data(stack: Stack, folder: str) -> None:
    uri = ecr_assets.DockerImageAsset(stack, "Image", directory=folder).image_uri
    data = ec2.CfnLaunchTemplate.LaunchTemplateDataProperty(user_data=f"docker run {uri}")
    ec2.CfnLaunchTemplate(stack, "Use", launch_template_data=data)


@pytest.mark.parametrize(
    ("use", "runs_on"),
    [
        (on_lambda, "lambda"),
        (on_lambda_from_ecr, "lambda"),
        (on_ec2, "ecs-ec2"),
        (on_batch, "batch"),
        (on_app_runner, "app-runner"),
        (on_agentcore, "agentcore"),
        (on_kubernetes, "eks"),
        (as_custom_resource, "fargate"),
        (as_any_resource, "fargate"),
        (as_a_class_of_the_users, "fargate"),
        (as_user_data, "fargate"),
    ],
)
def test_every_consumer_waits_and_sets_the_runtimes_of_its_image(docker_folder: str, use: Any, runs_on: str) -> None:
    app, stack = protected()
    use(stack, docker_folder)
    assembly = app.synth()
    template = assembly.get_stack_by_name("Demo").template["Resources"]
    naming = [it for it in template.values() if verified(assembly)["ImageTag"] in json.dumps(it)]
    assert {it["Type"] for it in naming} > {VERIFICATION}
    assert all(waits(it, assembly) for it in naming if it["Type"] != VERIFICATION)
    assert verified(assembly)["RunsOn"] == [runs_on]
    assert messages_of(assembly, "error") == []
    # Only their nodes may be Graviton instances.
    assumed = ["cdk-safe-image:platform-assumed" in text for text in messages_of(assembly, "warning")]
    assert assumed == [True] * (use in (on_ec2, on_kubernetes))


def test_an_image_of_a_function_is_built_for_lambda(docker_folder: str) -> None:
    app, stack = protected()
    on_lambda(stack, docker_folder)
    (source,) = builds(app.synth())
    assert source["dockerOutputs"] == [f"{OUTPUTS},compression=gzip,force-compression=true"]


def test_a_model_of_sagemaker_needs_a_build_of_its_own(docker_folder: str) -> None:
    app, stack = protected()
    on_sagemaker(stack, docker_folder)
    (error,) = messages_of(app.synth(), "error")
    assert "The image Demo/Image is built as an OCI image, which SageMaker refuses" in error
    assert "SafeDockerImageAsset with runs_on='sagemaker'" in error
    app, stack = protected(runs_on="sagemaker")
    on_sagemaker(stack, docker_folder)
    assembly = app.synth()
    assert messages_of(assembly, "error") == []
    assert waits(the_only(assembly, "AWS::SageMaker::Model")[1], assembly)


@jsii.implements(IStableAnyProducer)
class MakesAnImage:
    """As AgentCore's `Runtime`: the image is only made when the template is resolved."""

    def __init__(self, stack: Stack, folder: str) -> None:
        self._stack, self._folder = stack, folder

    def produce(self) -> Any:
        made = self._stack.node.try_find_child("Lazy")
        asset: Any = made or ecr_assets.DockerImageAsset(self._stack, "Lazy", directory=self._folder)
        return asset.image_uri


def test_an_image_that_is_made_while_templates_are_resolved_is_verified(docker_folder: str, other_folder: str) -> None:
    app, stack = protected()
    uri = Lazy.any(MakesAnImage(stack, docker_folder))
    CfnResource(stack, "Use", type="Their::Image::Runner", properties={"Image": uri})
    with_from_asset(stack, other_folder)
    assembly = app.synth()
    assert len(resources(assembly, VERIFICATION)) == 2
    ((_, user),) = resources(assembly, "Their::Image::Runner").items()
    (name,) = user["DependsOn"]
    assert name.startswith("CdkSafeImageImageLazy")
    assert messages_of(assembly, "error") + messages_of(assembly, "warning") == []


@jsii.implements(IStableAnyProducer)
class MakesAnImageLate(MakesAnImage):
    """The image is made when the template is resolved for the second time, after everything has been verified."""

    is_late = False

    def produce(self) -> Any:
        if self.is_late:
            return super().produce()
        self.is_late = True
        return "nothing"


def test_an_image_that_is_built_and_not_verified_fails_the_synth(docker_folder: str, other_folder: str) -> None:
    app, stack = protected()
    uri = Lazy.uncached_any(MakesAnImageLate(stack, docker_folder))  # type: ignore[arg-type]
    CfnResource(stack, "Use", type="Their::Image::Runner", properties={"Image": uri})
    with_from_asset(stack, other_folder)
    with pytest.raises(RuntimeError, match=r"Demo/Lazy was made by an aspect, .* or while CDK wrote the templates"):
        app.synth()


@pytest.mark.skipif(find_spec("aws_cdk.aws_bedrockagentcore") is None, reason="this aws-cdk-lib has no AgentCore")
def test_an_image_of_the_l2_construct_of_agentcore_is_verified(docker_folder: str) -> None:
    agentcore = pytest.importorskip("aws_cdk.aws_bedrockagentcore")
    if not hasattr(agentcore, "Runtime"):
        pytest.skip("this aws-cdk-lib has no L2 construct of AgentCore")
    app, stack = protected()
    artifact = agentcore.AgentRuntimeArtifact.from_asset(docker_folder)
    agentcore.Runtime(stack, "Use", runtime_name="agent", agent_runtime_artifact=artifact)
    assembly = app.synth()
    assert verified(assembly)["RunsOn"] == ["agentcore"]
    _, runtime = the_only(assembly, "AWS::BedrockAgentCore::Runtime")
    assert waits(runtime, assembly)
    assert messages_of(assembly, "error") == []


# Platforms


def test_the_platform_is_that_of_the_task_around_the_image(docker_folder: str) -> None:
    app, stack = protected()
    image = ecs.ContainerImage.from_asset(docker_folder)
    run(stack, "Task", image, runtime_platform=runtime(ecs.CpuArchitecture.ARM64))
    assembly = app.synth()
    assert builds(assembly)[0]["platform"] == verified(assembly)["Platform"] == "linux/arm64"
    assert messages_of(assembly, "error") == []


def test_the_platform_is_that_of_a_task_beside_the_image(docker_folder: str) -> None:
    app, stack = protected()
    task = ecs.FargateTaskDefinition(stack, "Task", runtime_platform=runtime(ecs.CpuArchitecture.ARM64))
    asset = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder)
    task.add_container("app", image=ecs.ContainerImage.from_docker_image_asset(asset))
    assembly = app.synth()
    assert verified(assembly)["Platform"] == "linux/arm64"
    assert messages_of(assembly, "error") == []


@pytest.mark.parametrize(
    ("make", "platform"),
    [
        (lambda stack: ecs.FargateTaskDefinition(stack, "Task"), "linux/amd64"),
        (
            lambda stack: ecs.TaskDefinition(
                stack,
                "Task",
                compatibility=ecs.Compatibility.EC2_AND_FARGATE,
                cpu="256",
                memory_mib="512",
                runtime_platform=runtime(ecs.CpuArchitecture.ARM64),
            ),
            "linux/arm64",
        ),
        (lambda stack: ecs.ExternalTaskDefinition(stack, "Task"), "linux/amd64"),
    ],
)
def test_every_construct_of_a_task_beside_the_image_says_its_platform(
    docker_folder: str, make: Any, platform: str
) -> None:
    app, stack = protected()
    task = make(stack)
    asset = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder)
    image = ecs.ContainerImage.from_docker_image_asset(asset)
    task.add_container("app", image=image, memory_limit_mib=64)
    assembly = app.synth()
    assert builds(assembly)[0]["platform"] == verified(assembly)["Platform"] == platform
    assert messages_of(assembly, "error") == []


def test_a_task_that_is_older_than_the_protection_says_the_platform_too(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    task = ecs.FargateTaskDefinition(stack, "Task", runtime_platform=runtime(ecs.CpuArchitecture.ARM64))
    SafeImages.protect(stack)
    asset = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder)
    task.add_container("app", image=ecs.ContainerImage.from_docker_image_asset(asset))
    assembly = app.synth()
    assert verified(assembly)["Platform"] == "linux/arm64"
    assert messages_of(assembly, "error") == []


def test_tasks_beside_the_image_that_differ_leave_it_at_the_default(docker_folder: str) -> None:
    app, stack = protected()
    ecs.FargateTaskDefinition(stack, "Arm", runtime_platform=runtime(ecs.CpuArchitecture.ARM64))
    ecs.FargateTaskDefinition(stack, "Amd")
    ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder)
    assert builds(app.synth())[0]["platform"] == "linux/amd64"


def test_a_platform_set_on_the_resource_of_a_task_counts(docker_folder: str) -> None:
    app, stack = protected()
    task = ecs.FargateTaskDefinition(stack, "Task")
    platform = ecs.CfnTaskDefinition.RuntimePlatformProperty(cpu_architecture="ARM64")
    task.node.default_child.runtime_platform = platform  # type: ignore[union-attr]
    asset = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder)
    task.add_container("app", image=ecs.ContainerImage.from_docker_image_asset(asset))
    assembly = app.synth()
    assert verified(assembly)["Platform"] == "linux/arm64"
    assert messages_of(assembly, "error") == []


@jsii.implements(IPropertyInjector)
class NamesFamilies:
    @property
    def construct_unique_id(self) -> str:
        return ecs.TaskDefinition.PROPERTY_INJECTION_ID

    def inject(self, original_props: Any, *, id: str, scope: Any) -> Any:
        return {**original_props, "family": "theirs"}


@pytest.mark.parametrize("nearer", [False, True])
def test_an_injector_of_the_user_for_task_definitions_works_and_hides_no_platform(
    docker_folder: str, nearer: bool
) -> None:
    app, stack = protected()
    PropertyInjectors.of(stack if nearer else app).add(NamesFamilies())
    task = ecs.FargateTaskDefinition(stack, "Task", runtime_platform=runtime(ecs.CpuArchitecture.ARM64))
    asset = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder)
    task.add_container("app", image=ecs.ContainerImage.from_docker_image_asset(asset))
    assembly = app.synth()
    _, made = the_only(assembly, TASK)
    assert made["Properties"]["Family"] == "theirs"
    assert verified(assembly)["Platform"] == "linux/arm64"
    assert messages_of(assembly, "error") == []


def test_the_platform_is_that_of_the_function_around_the_image(docker_folder: str) -> None:
    app, stack = protected()
    code = lambda_.DockerImageCode.from_image_asset(docker_folder)
    lambda_.DockerImageFunction(stack, "Use", code=code, architecture=lambda_.Architecture.ARM_64)
    assembly = app.synth()
    assert builds(assembly)[0]["platform"] == verified(assembly)["Platform"] == "linux/arm64"


def test_the_platform_that_the_user_set_is_kept(docker_folder: str) -> None:
    app, stack = protected()
    ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder, platform=ARM64)
    assembly = app.synth()
    assert builds(assembly)[0]["platform"] == verified(assembly)["Platform"] == "linux/arm64"


def test_a_consumer_with_another_platform_is_an_error_with_both_platforms(docker_folder: str) -> None:
    app, stack = protected()
    image = ecs.ContainerImage.from_asset(docker_folder, platform=ARM64)
    run(stack, "Task", image)
    (error,) = messages_of(app.synth(), "error")
    assert "Demo/Task runs on linux/amd64 (the default of a task definition without RuntimePlatform)" in error
    assert "the image Demo/Task/app/AssetImage is for linux/arm64" in error


def function_of_code(stack: Stack, uri: str) -> None:
    lambda_.Function(
        stack,
        "Use",
        code=lambda_.Code.from_inline("x"),
        handler="index.x",
        runtime=lambda_.Runtime("python3.13", lambda_.RuntimeFamily.PYTHON, supports_inline_code=True),
        environment={"Image": uri},
    )


def task_with_a_variable(stack: Stack, uri: str) -> None:
    task = ecs.FargateTaskDefinition(stack, "Use")
    task.add_container("app", image=ecs.ContainerImage.from_registry("nginx"), environment={"RUNS": uri})


@pytest.mark.parametrize("use", [function_of_code, task_with_a_variable])
def test_a_resource_that_only_references_an_image_waits_and_is_not_checked(docker_folder: str, use: Any) -> None:
    app, stack = protected()
    use(stack, ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder, platform=ARM64).image_uri)
    assembly = app.synth()
    found = resources(assembly, FUNCTION) | resources(assembly, TASK)
    (user,) = [it for name, it in found.items() if name.startswith("Use")]
    assert waits(user, assembly)
    assert verified(assembly)["Platform"] == "linux/arm64"
    assert messages_of(assembly, "error") + messages_of(assembly, "warning") == []


def test_a_function_with_another_platform_is_an_error_with_both_platforms(docker_folder: str) -> None:
    app, stack = protected()
    code = lambda_.DockerImageCode.from_image_asset(docker_folder, platform=ARM64)
    lambda_.DockerImageFunction(stack, "Use", code=code)
    (error,) = messages_of(app.synth(), "error")
    assert "Demo/Use runs on linux/amd64" in error
    assert "the image Demo/Use/AssetImage is for linux/arm64" in error


def arm64_function(stack: Stack, id: str, folder: str) -> None:
    lambda_.Function(
        stack,
        id,
        code=lambda_.Code.from_asset_image(folder),
        handler=lambda_.Handler.FROM_IMAGE,
        runtime=lambda_.Runtime.FROM_IMAGE,
        architecture=lambda_.Architecture.ARM_64,
    )


def test_the_platform_is_that_of_the_function_of_any_code(docker_folder: str) -> None:
    app, stack = protected()
    arm64_function(stack, "Use", docker_folder)
    assembly = app.synth()
    assert builds(assembly)[0]["platform"] == verified(assembly)["Platform"] == "linux/arm64"
    assert messages_of(assembly, "error") == []


def test_a_construct_may_have_a_slash_in_its_id(docker_folder: str) -> None:
    app, stack = protected()
    arm64_function(stack, "jobs/import", docker_folder)
    ecr_assets.DockerImageAsset(stack, "team/web", directory=docker_folder, build_args={"TEAM": "web"})
    assembly = app.synth()
    assert {build["platform"] for build in builds(assembly)} == {"linux/arm64", "linux/amd64"}
    assert messages_of(assembly, "error") == messages_of(assembly, "warning") == []


def test_the_platform_is_that_of_the_container_of_batch_around_the_image(docker_folder: str) -> None:
    app, stack = protected()
    container = batch.EcsFargateContainerDefinition(
        stack,
        "Container",
        image=ecs.ContainerImage.from_asset(docker_folder),
        cpu=1,
        memory=Size.gibibytes(2),
        fargate_cpu_architecture=ecs.CpuArchitecture.ARM64,
    )
    batch.EcsJobDefinition(stack, "Use", container=container)
    assembly = app.synth()
    assert builds(assembly)[0]["platform"] == verified(assembly)["Platform"] == "linux/arm64"
    assert messages_of(assembly, "error") + messages_of(assembly, "warning") == []


def test_a_job_with_another_platform_is_an_error_with_both_platforms(docker_folder: str) -> None:
    app, stack = protected()
    container = batch.EcsFargateContainerDefinition(
        stack,
        "Container",
        image=ecs.ContainerImage.from_asset(docker_folder, platform=ecr_assets.Platform.LINUX_AMD64),
        cpu=1,
        memory=Size.gibibytes(2),
        fargate_cpu_architecture=ecs.CpuArchitecture.ARM64,
    )
    batch.EcsJobDefinition(stack, "Use", container=container)
    (error,) = messages_of(app.synth(), "error")
    assert "Demo/Use runs on linux/arm64 (its container's RuntimePlatform)" in error
    assert "Demo/Container/AssetImage is for linux/amd64" in error
    assert "fargate_cpu_architecture=ecs.CpuArchitecture.X86_64 in the container" in error


def test_agentcore_with_an_amd64_image_is_an_error_with_both_platforms(docker_folder: str) -> None:
    app, stack = protected()
    on_agentcore(stack, docker_folder, platform=None)
    assembly = app.synth()
    (error,) = messages_of(assembly, "error")
    assert (
        "Demo/Use runs on linux/arm64 (AgentCore's micro-VMs are arm64), but the image Demo/Image is for linux/amd64"
        in error
    )
    assert error.endswith("Set platform=ecr_assets.Platform.LINUX_ARM64 for the image.")
    assert messages_of(assembly, "warning") == []


# Places of images


def test_an_image_in_a_nested_stack_is_verified_there(docker_folder: str) -> None:
    app, stack = protected()
    below = NestedStack(stack, "Below")
    serve(below, "Web", run(below, "Task", ecs.ContainerImage.from_asset(docker_folder)))
    assembly = app.synth()
    (path,) = Path(assembly.directory).glob("*Below*.nested.template.json")
    inside = json.loads(path.read_text())["Resources"]
    (name,) = [name for name, it in inside.items() if it["Type"] == VERIFICATION]
    (task,) = [it for it in inside.values() if it["Type"] == TASK]
    assert task["DependsOn"] == [name]
    assert FUNCTION not in {it["Type"] for it in inside.values()}
    assert len(resources(assembly, FUNCTION)) == 1


def test_a_nested_stack_waits_for_an_image_above_it(docker_folder: str) -> None:
    app, stack = protected()
    asset = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder)
    run(NestedStack(stack, "Below"), "Task", ecs.ContainerImage.from_docker_image_asset(asset))
    assembly = app.synth()
    assert waits(the_only(assembly, "AWS::CloudFormation::Stack")[1], assembly)


def test_an_image_in_a_stage_is_verified_there(docker_folder: str) -> None:
    app = new_app()
    SafeImages.protect(app)
    stages = [Stage(app, name) for name in ("One", "Two")]
    for stage in stages:
        with_from_asset(Stack(stage, "Demo"), docker_folder)
    app.synth()
    for stage in stages:
        assembly = stage.synth()
        name = f"{stage.node.id}-Demo"
        assert all_tasks_wait(assembly, name)
        assert verified(assembly, name)["ConstructPath"].startswith(f"{stage.node.id}/Demo/Task")


def test_a_stage_can_be_protected_by_itself(docker_folder: str) -> None:
    app = new_app()
    one, two = Stage(app, "One"), Stage(app, "Two")
    SafeImages.protect(one)
    for stage in (one, two):
        with_from_asset(Stack(stage, "Demo"), docker_folder)
    app.synth()
    assert all_tasks_wait(one.synth(), "One-Demo")
    assert resources(two.synth(), VERIFICATION, "Two-Demo") == {}


def test_a_task_of_another_stack_makes_its_stack_wait_without_an_export(docker_folder: str) -> None:
    app, stack = protected()
    asset = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder)
    other = stack_in(app, "Other")
    run(other, "Task", ecs.ContainerImage.from_docker_image_asset(asset))
    assembly = app.synth()
    assert verified(assembly)["RunsOn"] == ["fargate"]
    assert resources(assembly, VERIFICATION, "Other") == {}
    manifest = json.loads(Path(assembly.directory, "manifest.json").read_text())
    assert "Demo" in manifest["artifacts"]["Other"]["dependencies"]
    assert "Outputs" not in assembly.get_stack_by_name("Demo").template
    assert messages_of(assembly, "error", "Other") == []


def test_the_same_image_in_two_stacks_adds_no_dependency_between_them(docker_folder: str) -> None:
    app = new_app()
    SafeImages.protect(app)
    for name in ("One", "Two"):
        with_from_asset(stack_in(app, name), docker_folder)
    assembly = app.synth()
    manifest = json.loads(Path(assembly.directory, "manifest.json").read_text())
    for name in ("One", "Two"):
        assert all_tasks_wait(assembly, name)
        assert {"One", "Two"}.isdisjoint(manifest["artifacts"][name]["dependencies"])


def test_the_same_image_twice_in_a_stack_is_verified_once(docker_folder: str) -> None:
    app, stack = protected()
    for name in ("One", "Two"):
        run(stack, name, ecs.ContainerImage.from_asset(docker_folder))
    assembly = app.synth()
    assert len(resources(assembly, VERIFICATION)) == 1
    assert all_tasks_wait(assembly)


def test_a_task_waits_for_its_own_image_only(docker_folder: str, other_folder: str) -> None:
    app, stack = protected()
    run(stack, "One", ecs.ContainerImage.from_asset(docker_folder))
    run(stack, "Two", ecs.ContainerImage.from_asset(other_folder))
    tasks = resources(app.synth(), TASK).values()
    waited_for = [name.removeprefix("CdkSafeImageImage") for task in tasks for name in task["DependsOn"]]
    assert sorted(name[:3] for name in waited_for) == ["One", "Two"]


@pytest.mark.parametrize(("before", "after"), [("First", "Second"), ("Second", "First")])
def test_a_consumer_waits_for_its_image_whatever_dependencies_the_user_added(
    docker_folder: str, before: str, after: str
) -> None:
    app, stack = protected()
    parts = {name: Construct(stack, name) for name in ("First", "Second")}
    for part in parts.values():
        serve(part, "Web", run(part, "Task", ecs.ContainerImage.from_asset(docker_folder)))
    parts[after].node.add_dependency(parts[before])
    assembly = app.synth()
    depends_on = the_only(assembly, VERIFICATION)[1]["DependsOn"]
    assert [name for name in depends_on if not name.startswith("CdkSafeImagePermissions")] == []
    assert all_tasks_wait(assembly)
    assert all(waits(service, assembly) for service in resources(assembly, SERVICE).values())


def test_an_image_may_have_the_same_id_as_a_construct_of_ours(docker_folder: str) -> None:
    app, stack = protected()
    ecr_assets.DockerImageAsset(stack, "Verifier", directory=docker_folder)
    the_only(app.synth(), VERIFICATION)


def test_an_image_of_an_archive_is_verified_too(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(b"")
    app, stack = protected()
    run(stack, "Task", ecs.ContainerImage.from_tarball(str(tmp_path / "image.tar")))
    assembly = app.synth()
    assert "LocalImage" not in verified(assembly)
    assert all_tasks_wait(assembly)
    assert messages_of(assembly, "warning") == []


# Other constructs in an app


def test_an_image_that_is_already_safe_is_left_alone(docker_folder: str) -> None:
    def template(app: App) -> Any:
        stack = stack_in(app)
        image = SafeDockerImageAsset(stack, "Image", directory=docker_folder, min_size=Size.bytes(7))
        serve(stack, "Web", run(stack, "Task", image.container_image()))
        assembly = app.synth()
        return assembly.get_stack_by_name("Demo").template, builds(assembly)

    app = new_app()
    SafeImages.protect(app)
    assert template(app) == template(new_app())


def test_an_image_with_a_verification_of_the_users_gets_no_other(docker_folder: str) -> None:
    app, stack = protected()
    asset = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder)
    ImageVerification(stack, "Mine", repository=asset.repository, tag=asset.image_tag)
    run(stack, "Task", ecs.ContainerImage.from_docker_image_asset(asset))
    assembly = app.synth()
    assert the_only(assembly, VERIFICATION)[0].startswith("Mine")
    assert all_tasks_wait(assembly)


def test_a_copy_in_another_repository_is_verified_after_its_original(docker_folder: str) -> None:
    app, stack = protected()
    asset = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder)
    shop = ecr.Repository.from_repository_name(stack, "Shop", "shop")
    properties = {"Src": asset.image_uri, "Dest": shop.repository_uri_for_tag(asset.image_tag)}
    token = "arn:aws:lambda:eu-west-1:111122223333:function:any"
    copy = CustomResource(stack, "Copy", service_token=token, properties=properties)
    image = ImageVerification(stack, "Copied", repository=shop, tag=asset.image_tag)
    image.node.add_dependency(copy)
    assembly = app.synth()
    of_asset, of_copy = sorted(resources(assembly, VERIFICATION))
    (copied,) = resources(assembly, "AWS::CloudFormation::CustomResource").values()
    assert copied["DependsOn"] == [of_asset]
    assert "Copy" in resources(assembly, VERIFICATION)[of_copy]["DependsOn"]


def test_a_container_that_an_aspect_adds_is_in_the_template_and_waits(docker_folder: str, other_folder: str) -> None:
    app, stack = protected()
    sidecar = ecr_assets.DockerImageAsset(stack, "Sidecar", directory=other_folder)
    run(stack, "Task", ecs.ContainerImage.from_asset(docker_folder))

    @jsii.implements(IAspect)
    class AddsASidecar:
        def visit(self, node: Any) -> None:
            if isinstance(node, ecs.TaskDefinition):
                node.add_container("sidecar", image=ecs.ContainerImage.from_docker_image_asset(sidecar))

    Aspects.of(stack).add(AddsASidecar())
    assembly = app.synth()
    assert len(the_only(assembly, TASK)[1]["Properties"]["ContainerDefinitions"]) == 2
    assert len(resources(assembly, VERIFICATION)) == 2
    assert all_tasks_wait(assembly)


@pytest.mark.parametrize("stabilized", [True, False])
def test_an_image_that_an_aspect_makes_is_verified(docker_folder: str, stabilized: bool) -> None:
    app = new_app(**{"@aws-cdk/core:aspectStabilization": stabilized})
    SafeImages.protect(app)
    stack = stack_in(app)

    @jsii.implements(IAspect)
    class AddsATask:
        def visit(self, node: Any) -> None:
            if node is stack:
                with_from_asset(stack, docker_folder)

    Aspects.of(stack).add(AddsATask(), priority=AspectPriority.MUTATING)
    assert all_tasks_wait(app.synth())


def test_an_image_that_is_made_too_late_fails_the_synth(docker_folder: str) -> None:
    app, stack = protected()
    with_from_asset(stack, docker_folder)

    @jsii.implements(IAspect)
    class AddsATask:
        def visit(self, node: Any) -> None:
            if node.node.id == "CdkSafeImageFinalizer1":
                ecr_assets.DockerImageAsset(stack, "Late", directory=docker_folder)

    Aspects.of(app).add(AddsATask(), priority=AspectPriority.READONLY)
    with pytest.raises(RuntimeError, match=r"Demo/Late was made by an aspect, after all other aspects"):
        app.synth()


@pytest.mark.parametrize("stabilized", [True, False])
def test_the_apps_tags_and_permissions_boundary_reach_the_verifier(docker_folder: str, stabilized: bool) -> None:
    app = new_app(**{"@aws-cdk/core:aspectStabilization": stabilized})
    SafeImages.protect(app)
    stack = stack_in(app)
    with_from_asset(stack, docker_folder)
    Tags.of(app).add("team", "shop")
    iam.PermissionsBoundary.of(app).apply(iam.ManagedPolicy.from_managed_policy_name(stack, "Boundary", "Bound"))
    assembly = app.synth()
    assert the_only(assembly, FUNCTION)[1]["Properties"]["Tags"] == [{"Key": "team", "Value": "shop"}]
    assert all("PermissionsBoundary" in role["Properties"] for role in resources(assembly, "AWS::IAM::Role").values())


@jsii.implements(IPropertyInjector)
class AddsABuildArgument:
    @property
    def construct_unique_id(self) -> str:
        return ecr_assets.DockerImageAsset.PROPERTY_INJECTION_ID

    def inject(self, original_props: Any, *, id: str, scope: Any) -> Any:
        return {**original_props, "buildArgs": {"MIRROR": "here"}}


def test_the_users_own_injector_still_works(docker_folder: str) -> None:
    app = new_app()
    PropertyInjectors.of(app).add(AddsABuildArgument())
    SafeImages.protect(app)
    stack = stack_in(app)
    SafeImages.protect(stack, min_size=Size.bytes(1))
    with_from_asset(stack, docker_folder)
    assembly = app.synth()
    (source,) = builds(assembly)
    assert (source["dockerBuildArgs"], source["platform"]) == ({"MIRROR": "here"}, "linux/amd64")
    assert verified(assembly)["MinSize"] == "1"


def test_a_nearer_injector_prevents_the_pinned_build_but_not_the_verification(docker_folder: str) -> None:
    app, stack = protected()
    PropertyInjectors.of(stack).add(AddsABuildArgument())
    with_from_asset(stack, docker_folder)
    assembly = app.synth()
    assert all_tasks_wait(assembly)
    (warning,) = messages_of(assembly, "warning")
    assert "cdk-safe-image:build-not-set" in warning
    assert "Demo/Task/app/AssetImage is verified, but its platform is not pinned" in warning


def test_a_stage_that_another_injector_hides_is_refused_until_it_is_protected_itself(docker_folder: str) -> None:
    def app(name_it: bool) -> tuple[App, Stage]:
        app = new_app()
        SafeImages.protect(app)
        stage = Stage(app, "One")
        if name_it:
            SafeImages.protect(stage)
        stack = Stack(stage, "Demo")
        PropertyInjectors.of(stack).add(AddsABuildArgument())
        with_from_asset(stack, docker_folder)
        return app, stage

    message = r"SafeImages missed the image One/Demo/Task/app/AssetImage.*call SafeImages for that stage"
    with pytest.raises(RuntimeError, match=message):
        app(name_it=False)[0].synth()
    named, stage = app(name_it=True)
    named.synth()
    assert all_tasks_wait(stage.synth(), "One-Demo")


@pytest.mark.parametrize("attests", [True, False])
def test_the_build_options_that_the_user_set_are_kept(docker_folder: str, attests: bool) -> None:
    app, stack = protected()
    outputs = ["type=docker" if attests else "type=docker,attestation-inline=false"]
    ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder, outputs=outputs, extra_hash="mine")
    assembly = app.synth()
    (source,) = builds(assembly)
    assert source["dockerOutputs"] == outputs
    assert ["cdk-safe-image:outputs-may-attest" in text for text in messages_of(assembly, "warning")] == [
        True
    ] * attests


def test_every_image_gets_a_new_tag_once(docker_folder: str) -> None:
    _, stack = protected()
    tag = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder).image_tag
    plain = ecr_assets.DockerImageAsset(stack_in(new_app()), "Image", directory=docker_folder).image_tag
    _, stack = protected()
    again = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder).image_tag
    assert tag == again != plain


def test_podman_gets_no_output(docker_folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> tuple[str, dict[str, Any]]:
        app, stack = protected()
        tag = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder).image_tag
        (source,) = builds(app.synth())
        return tag, source

    tag, _ = made()
    monkeypatch.setenv("CDK_DOCKER", "podman")
    assert (made()[0], "dockerOutputs" in made()[1]) == (tag, False)


# The policy


def test_the_policy_reaches_every_verification(docker_folder: str) -> None:
    app, stack = protected(
        runs_on=["fargate", "ecs-ec2"],
        min_size=Size.kibibytes(1),
        max_size=Size.mebibytes(1),
        verify_layers=True,
        acknowledge={"no-command": "it has one"},
        fail_on="warning",
        require=[Require.NON_ROOT_USER],
        on_failure="untag",
        gate="image",
    )
    serve(stack, "Web", run(stack, "Task", ecs.ContainerImage.from_asset(docker_folder)))
    assembly = app.synth()
    properties = verified(assembly)
    assert properties["RunsOn"] == ["fargate", "ecs-ec2"]
    assert (properties["MinSize"], properties["MaxSize"], properties["VerifyLayers"]) == ("1024", "1048576", "true")
    assert properties["Acknowledge"] == {"no-command": "it has one"}
    assert (properties["FailOn"], properties["Require"]) == ("warning", ["non-root-user"])
    assert properties["OnFailure"] == "untag"
    assert not waits(the_only(assembly, SERVICE)[1], assembly)


def test_protect_accepts_the_keywords_of_an_image() -> None:
    ours = set(inspect.signature(SafeImages.protect).parameters)
    theirs = set(inspect.signature(ImagePolicy.defaults).parameters)
    # Each image has its own platform, and its URI contains the tag in any case.
    assert theirs - ours == {"platform", "pin"}
    assert ours <= theirs


def test_every_image_notifies_the_topic(docker_folder: str) -> None:
    app = new_app()
    topic = sns.Topic(stack_in(app, "Topics"), "Topic")
    SafeImages.protect(app, notify=topic)
    with_from_asset(stack_in(app), docker_folder)
    assert "NotifyTopicArn" in verified(app.synth())


def test_the_defaults_of_the_scope_apply_if_protect_sets_nothing(docker_folder: str) -> None:
    app = new_app()
    verifier = ImageVerifier(stack_in(app, "Shared"), "Verifier")
    ImagePolicy.defaults(
        app, min_size=Size.bytes(1), max_size=Size.bytes(9), runs_on="ecs-ec2", platform=ARM64, verifier=verifier
    )
    SafeImages.protect(app, min_size=Size.bytes(2))
    asset = ecr_assets.DockerImageAsset(stack_in(app), "Image", directory=docker_folder)
    assembly = app.synth()
    properties = verified(assembly)
    assert (properties["MinSize"], properties["MaxSize"]) == ("2", "9")
    assert (properties["RunsOn"], properties["Platform"]) == (["ecs-ec2"], "linux/arm64")
    assert builds(assembly)[0]["platform"] == "linux/arm64"
    assert resources(assembly, FUNCTION) == {}
    assert asset.image_tag == properties["ImageTag"]


def test_the_nearest_scope_counts(docker_folder: str, other_folder: str) -> None:
    app, stack = protected(min_size=Size.bytes(1))
    SafeImages.protect(stack, min_size=Size.bytes(2))
    with_from_asset(stack, docker_folder)
    with_from_asset(stack_in(app, "Other"), other_folder)
    assembly = app.synth()
    assert verified(assembly)["MinSize"] == "2"
    assert verified(assembly, "Other")["MinSize"] == "1"


def test_a_verifier_can_be_shared(docker_folder: str) -> None:
    app = new_app()
    verifier = ImageVerifier(stack_in(app, "Shared"), "Verifier")
    SafeImages.protect(app, verifier=verifier)
    with_from_asset(stack_in(app), docker_folder)
    assembly = app.synth()
    assert resources(assembly, FUNCTION) == {}
    assert all_tasks_wait(assembly)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"runs_on": "nowhere"}, "the app: runs_on names 'nowhere'"),
        ({"min_size": Size.bytes(2), "max_size": Size.bytes(1)}, "the app: min_size .* is above max_size"),
        ({"acknowledge": {"no-command": ""}}, "the app: acknowledge gives no reason for 'no-command'"),
        ({"gate": "door"}, "the app: gate is 'door': use 'stack' or 'image'"),
    ],
)
def test_a_policy_that_no_image_can_meet_is_refused_immediately(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SafeImages.protect(new_app(), **keywords)


def test_protecting_twice_is_harmless(docker_folder: str) -> None:
    app = new_app()
    keywords: dict[str, Any] = {"min_size": Size.bytes(7)}
    first = SafeImages.protect(app, **keywords)
    with_from_asset(stack_in(app), docker_folder)
    assert SafeImages.protect(app, min_size=Size.bytes(7)) is first
    assert len(resources(app.synth(), VERIFICATION)) == 1


def test_protecting_twice_with_other_settings_is_refused() -> None:
    app = new_app()
    SafeImages.protect(app)
    with pytest.raises(ValueError, match="the app already has SafeImages with other settings"):
        SafeImages.protect(app, verify_layers=True)


def test_a_call_after_an_image_was_made_is_an_error_with_the_line_to_move_up(docker_folder: str) -> None:
    app = new_app()
    with_from_asset(stack_in(app), docker_folder)
    line = r"\(test_safe_images.py, line \d+\)"
    with pytest.raises(
        ValueError, match=rf"{line} is called after the image Demo/Task/app/AssetImage.*move that line up"
    ):
        SafeImages.protect(app)


def test_a_second_synth_changes_nothing(docker_folder: str) -> None:
    app, stack = protected()
    with_from_asset(stack, docker_folder)
    first = app.synth().get_stack_by_name("Demo").template
    assert app.synth(force=True).get_stack_by_name("Demo").template == first


def test_the_same_app_gives_the_same_template(docker_folder: str, other_folder: str) -> None:
    def template() -> Any:
        app, stack = protected()
        with_a_pattern(stack, docker_folder)
        on_lambda(stack, other_folder)
        return app.synth().get_stack_by_name("Demo").template

    assert json.dumps(template()) == json.dumps(template())


def test_protect_adds_a_verification_for_each_image_and_a_fixed_number_of_resources(
    docker_folder: str, other_folder: str
) -> None:
    def count(protect: bool, folders: list[str]) -> int:
        app = new_app()
        if protect:
            SafeImages.protect(app)
        stack = stack_in(app)
        for number, folder in enumerate(folders):
            run(stack, f"Task{number}", ecs.ContainerImage.from_asset(folder))
        return len(app.synth().get_stack_by_name("Demo").template["Resources"])

    folders = [docker_folder, other_folder]
    added = [count(True, folders[:n]) - count(False, folders[:n]) for n in (1, 2)]
    # The function, its role, its log group, and the role's policy.
    assert added == [5, 6]


def test_the_context_switches_verification_off(docker_folder: str) -> None:
    app = new_app(**{"cdk-safe-image:verify": "off"})
    SafeImages.protect(app)
    stack = stack_in(app)
    with_from_asset(stack, docker_folder)
    assembly = app.synth()
    kinds = {it["Type"] for it in assembly.get_stack_by_name("Demo").template["Resources"].values()}
    assert kinds == {TASK, "AWS::IAM::Role", "AWS::IAM::Policy"}
    (warning,) = messages_of(assembly, "warning")
    assert "cdk-safe-image:verification-off" in warning
    # The same as with verification, so that a deploy with the switch does not build again.
    assert builds(assembly)[0]["dockerOutputs"] == [OUTPUTS]


def test_the_context_of_a_scope_in_a_stack_switches_off_its_images_and_no_others(
    docker_folder: str, other_folder: str
) -> None:
    app = new_app()
    SafeImages.protect(app)
    stack = stack_in(app)
    scope = Construct(stack, "Off")
    scope.node.set_context("cdk-safe-image:verify", "off")
    on = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder)
    ecr_assets.DockerImageAsset(scope, "Image", directory=other_folder)
    assembly = app.synth()
    (verification,) = resources(assembly, VERIFICATION).values()
    assert verification["Properties"]["ImageTag"] == on.image_tag
    (warning,) = messages_of(assembly, "warning")
    assert "cdk-safe-image:verification-off" in warning


# Reports


def reported(unverified: Any = "error") -> tuple[App, Stack]:
    app = new_app()
    SafeImages.report(app, unverified=unverified)
    return app, stack_in(app)


def test_a_report_changes_nothing(docker_folder: str) -> None:
    def template(app: App) -> Any:
        with_a_pattern(stack_in(app), docker_folder)
        assembly = app.synth()
        return assembly.get_stack_by_name("Demo").template, builds(assembly)

    app = new_app()
    SafeImages.report(app)
    assert template(app) == template(new_app())


@pytest.mark.parametrize("level", ["error", "warning"])
def test_an_unverified_image_is_reported(docker_folder: str, level: str) -> None:
    app, stack = reported(level)
    with_from_asset(stack, docker_folder)
    SafeDockerImageAsset(stack, "Safe", directory=docker_folder)
    (message,) = messages_of(app.synth(), level)
    assert (
        "The image Demo/Task/app/AssetImage is not verified: use SafeDockerImageAsset or SafeImages.protect" in message
    )


def test_every_construct_of_an_unverified_image_is_reported_since_each_must_be_replaced(docker_folder: str) -> None:
    app, stack = reported()
    for name in ("Web", "Worker"):
        run(stack, name, ecs.ContainerImage.from_asset(docker_folder))
    web, worker = sorted(messages_of(app.synth(), "error"))
    assert "The image Demo/Web/app/AssetImage is not verified" in web
    assert "The image Demo/Worker/app/AssetImage is not verified" in worker


def test_an_image_that_existed_before_is_reported_too(docker_folder: str) -> None:
    app = new_app()
    with_from_asset(stack_in(app), docker_folder)
    SafeImages.report(app)
    assert len(messages_of(app.synth(), "error")) == 1


def test_an_image_in_a_stage_is_reported(docker_folder: str) -> None:
    app = new_app()
    SafeImages.report(app)
    stage = Stage(app, "One")
    with_from_asset(Stack(stage, "Demo"), docker_folder)
    app.synth()
    assert len(messages_of(stage.synth(), "error", "One-Demo")) == 1


def test_an_unverified_ecr_image_is_reported() -> None:
    app, stack = reported()
    repository = ecr.Repository(stack, "Shop")
    run(stack, "Task", ecs.ContainerImage.from_ecr_repository(repository, "v1"))
    image = ImageVerification(stack, "Verified", repository=repository, tag="v2")
    run(stack, "Safe", image.container_image())
    run(stack, "ByDigest", ecs.ContainerImage.from_ecr_repository(repository, image.image_digest))
    run(stack, "Public", ecs.ContainerImage.from_registry("nginx"))
    task_with_a_variable(stack, repository.repository_uri_for_tag("v3"))
    run(stack, "ByHand", ecs.ContainerImage.from_ecr_repository(repository, "v2"))
    (message,) = messages_of(app.synth(), "error")
    assert "Demo/Task runs the ECR image " in message
    assert ":v1, which is not verified: use ImageVerification." in message


def test_an_unverified_ecr_image_beside_a_verified_one_is_reported(docker_folder: str) -> None:
    app, stack = reported()
    task = run(stack, "Task", SafeDockerImageAsset(stack, "Image", directory=docker_folder).container_image())
    shop = ecr.Repository.from_repository_name(stack, "Shop", "shop")
    task.add_container("sidecar", image=ecs.ContainerImage.from_ecr_repository(shop, "v1"))
    (message,) = messages_of(app.synth(), "error")
    assert "Demo/Task runs the ECR image shop:v1, which is not verified: use ImageVerification." in message


def test_all_unverified_ecr_images_of_a_task_definition_are_named_in_one_message() -> None:
    app, stack = reported()
    shop = ecr.Repository.from_repository_name(stack, "Shop", "team/shop")
    task = run(stack, "Task", ecs.ContainerImage.from_ecr_repository(shop, "v1"))
    own = ecr.CfnRepository(stack, "Own")
    task.add_container("sidecar", image=ecs.ContainerImage.from_registry(f"{own.attr_repository_uri}:v2"))
    task.add_container("proxy", image=ecs.ContainerImage.from_ecr_repository(shop, "v1"))
    (message,) = messages_of(app.synth(), "error")
    assert "Demo/Task runs the ECR images team/shop:v1 and ${Own}:v2, which are not verified" in message


def test_an_unverified_image_of_a_repository_of_the_app_is_reported() -> None:
    app, stack = reported()
    uri = ecr.CfnRepository(stack, "Shop").attr_repository_uri
    run(stack, "Task", ecs.ContainerImage.from_registry(f"{uri}:v1"))
    assert len(messages_of(app.synth(), "error")) == 1


def test_an_image_that_cdk_does_not_build_gets_a_warning_if_all_images_are_protected() -> None:
    app, stack = protected()
    shop = ecr.Repository.from_repository_name(stack, "Shop", "shop")
    run(stack, "Task", ecs.ContainerImage.from_ecr_repository(shop, "v1"))
    image = ImageVerification(stack, "Image", repository=shop, tag="v2")
    run(stack, "Safe", image.container_image())
    (warning,) = messages_of(app.synth(), "warning")
    assert "Demo/Task runs the ECR image shop:v1, which is not verified: use ImageVerification." in warning


def test_an_image_that_another_stack_verifies_is_not_reported(docker_folder: str) -> None:
    app, stack = reported()
    other = stack_in(app, "Images")
    run(stack, "Built", SafeDockerImageAsset(other, "Image", directory=docker_folder).container_image())
    identities: tuple[dict[str, Any], ...] = ({"tag": "v1"}, {"digest": f"sha256:{'0' * 64}"})
    for number, named in enumerate(identities):
        shop = ecr.Repository.from_repository_name(other, f"Shop{number}", "shop")
        image = ImageVerification(other, f"Pushed{number}", repository=shop, **named)
        run(stack, f"Task{number}", image.container_image())
    assert messages_of(app.synth(), "error") == []


def test_a_scope_can_be_protected_in_an_app_that_only_reports(docker_folder: str, other_folder: str) -> None:
    app, stack = reported()
    SafeImages.protect(stack)
    with_from_asset(stack, docker_folder)
    with_from_asset(stack_in(app, "Other"), other_folder)
    assembly = app.synth()
    assert all_tasks_wait(assembly)
    assert messages_of(assembly, "error") == []
    assert len(messages_of(assembly, "error", "Other")) == 1


def test_safe_images_without_protect_or_report_is_refused() -> None:
    with pytest.raises(ValueError, match=r"SafeImages of the app .* use SafeImages.protect\(…\) or SafeImages.report"):
        SafeImages(new_app())


def test_an_app_with_its_own_synthesizer_gets_no_line_of_jsii_on_the_terminal(docker_folder: str) -> None:
    program = f"""
from aws_cdk import App, DefaultStackSynthesizer, Stack, aws_ecs as ecs, aws_lambda as lambda_
from cdk_safe_image import SafeDockerImageAsset, SafeImages
app = App(default_stack_synthesizer=DefaultStackSynthesizer(qualifier="acme1234"))
SafeImages.protect(app)
stack = Stack(app, "Demo")
ecs.FargateTaskDefinition(stack, "Task").add_container("c", image=ecs.ContainerImage.from_asset({docker_folder!r}))
code = SafeDockerImageAsset(stack, "Image", directory={docker_folder!r}, runs_on="lambda").docker_image_code()
lambda_.DockerImageFunction(stack, "Function", code=code)
app.synth()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "jsii" not in done.stderr
    assert "deprecated" not in done.stderr


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="the app: unverified is 'note': use 'error' or 'warning'"):
        SafeImages.report(new_app(), unverified="note")  # type: ignore[arg-type]


def test_an_app_without_images_is_unchanged() -> None:
    app, stack = protected()
    not_empty(stack)
    assert len(app.synth().get_stack_by_name("Demo").template["Resources"]) == 1


def test_every_example_of_the_documentation_runs(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "Dockerfile").write_text("FROM scratch\n")
    text = (Path(__file__).parents[3] / "docs" / "safe-images.md").read_text("utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 3
    # In its own process, because paths are relative to the folder in which Node.js was started.
    command = [sys.executable, "-c", "\n".join(examples)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
