"""An image of one stack in another stack that cannot wait for it: it is pushed and verified in both."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from aws_cdk import App, CfnOutput, DefaultStackSynthesizer, Environment, Fn, NestedStack, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ssm as ssm
from aws_cdk.cx_api import CloudAssembly
from constructs import Construct

from cdk_safe_image import ImagePolicy, SafeDockerImageAsset, SafeImages
from tests.unit.cdk_safe_image.app import (
    VERIFICATION,
    messages_of,
    new_app,
    reached,
    resources,
    serve,
    stack_in,
    the_only,
)
from tests.unit.cdk_safe_image.test_gate import nested, of_type

SERVICE = "AWS::ECS::Service"
TASK = "AWS::ECS::TaskDefinition"


def _app_of(stack: Stack) -> App:
    root = stack.node.root
    assert isinstance(root, App)
    return root


def parameter(scope: Construct, name: str = "Value", value: str = "-") -> ssm.CfnParameter:
    return ssm.CfnParameter(scope, name, type="String", value=value)


def run_asset(stack: Stack, asset: ecr_assets.DockerImageAsset) -> None:
    task = ecs.FargateTaskDefinition(stack, "Task")
    task.add_container("app", image=ecs.ContainerImage.from_docker_image_asset(asset))
    serve(stack, "Web", task)


def protected() -> App:
    app = new_app()
    SafeImages.protect(app)
    return app


def two_stacks() -> tuple[App, Stack, Stack]:
    """A protected app, its stack Images, and its stack Demo, which is to run an image of the other."""
    app = protected()
    return app, stack_in(app, "Images"), stack_in(app)


def synthesized(folder: str, use: Callable[[Stack, Stack], None]) -> tuple[ecr_assets.DockerImageAsset, CloudAssembly]:
    """The image of the stack Images that the stack Demo runs, and their app.

    :param folder: the build context of the image.
    :param use: makes the references between the two stacks.
    """
    app, images, consumer = two_stacks()
    asset = ecr_assets.DockerImageAsset(images, "Image", directory=folder)
    run_asset(consumer, asset)
    use(images, consumer)
    return asset, app.synth()


def dependencies(assembly: CloudAssembly, stack: str) -> set[str]:
    """The stacks on which a stack depends."""
    artifacts = json.loads(Path(assembly.directory, "manifest.json").read_text())["artifacts"]
    return {name for name in artifacts[stack]["dependencies"] if not name.endswith(".assets")}


def pushed_with(assembly: CloudAssembly, stack: str) -> set[str]:
    """The tags that the CLI pushes before it deploys a stack."""
    manifest = json.loads(Path(assembly.directory, f"{stack}.assets.json").read_text())
    return set(manifest["dockerImages"])


def reference(images: Stack, consumer: Stack) -> None:
    parameter(images, value=parameter(consumer).ref)


def explicit_dependency(images: Stack, consumer: Stack) -> None:
    parameter(images)
    getattr(images, "add_stack_dependency", images.add_dependency)(consumer)


def dependency_of_a_construct(images: Stack, consumer: Stack) -> None:
    parameter(images).node.add_dependency(parameter(consumer))


def output(images: Stack, consumer: Stack) -> None:
    parameter(images)
    CfnOutput(images, "Output", value=parameter(consumer).ref)


def nested_stack(images: Stack, consumer: Stack) -> None:
    parameter(NestedStack(images, "Below"), value=parameter(NestedStack(consumer, "Below")).ref)


def export_by_name(images: Stack, consumer: Stack) -> None:
    CfnOutput(consumer, "Output", value=parameter(consumer).ref, export_name="VpcId")
    parameter(images, value=Fn.import_value("VpcId"))


def third_stack(images: Stack, consumer: Stack) -> None:
    between = stack_in(_app_of(images), "Between")
    parameter(images, value=parameter(between, value=parameter(consumer).ref).ref)


def same_logical_id(images: Stack, consumer: Stack) -> None:
    """The reference looks like one to the stack's own parameter."""
    theirs = parameter(consumer)
    parameter(images)
    parameter(images, "Other", value=theirs.ref)


def shared_vpc(images: Stack, consumer: Stack) -> None:
    ec2.SecurityGroup(images, "Group", vpc=ec2.Vpc(consumer, "Vpc", max_azs=2))


CYCLES = [
    reference,
    explicit_dependency,
    dependency_of_a_construct,
    output,
    nested_stack,
    export_by_name,
    third_stack,
    same_logical_id,
    shared_vpc,
]


@pytest.mark.parametrize("use", CYCLES, ids=lambda use: use.__name__)
def test_an_image_is_pushed_and_verified_where_it_runs_if_that_stack_cannot_wait(
    docker_folder: str, use: Callable[[Stack, Stack], None]
) -> None:
    asset, assembly = synthesized(docker_folder, use)
    assert "Images" not in dependencies(assembly, "Demo")
    assert asset.image_tag in pushed_with(assembly, "Demo") & pushed_with(assembly, "Images")
    name, verification = the_only(assembly, VERIFICATION)
    assert verification["Properties"]["ImageTag"] == asset.image_tag
    assert name in the_only(assembly, SERVICE)[1]["DependsOn"]
    assert name in the_only(assembly, TASK)[1]["DependsOn"]
    assert len(resources(assembly, VERIFICATION, "Images")) == 1
    assert messages_of(assembly, "error") == []


def own_values(images: Stack, consumer: Stack) -> None:
    for stack in (images, consumer):
        parameter(stack, "Copy", value=parameter(stack).ref)


def the_other_direction(images: Stack, consumer: Stack) -> None:
    parameter(consumer, value=parameter(images).ref)


def siblings(images: Stack, consumer: Stack) -> None:
    """Three stacks with the same logical IDs, and a reference between the two others."""
    third = stack_in(_app_of(images), "Third")
    parameter(third, "Other", value=parameter(images).ref)
    parameter(consumer)
    parameter(third)


@pytest.mark.parametrize("use", [own_values, the_other_direction, siblings], ids=lambda use: use.__name__)
def test_everywhere_else_the_stack_waits_for_the_stack_of_the_image(
    docker_folder: str, use: Callable[[Stack, Stack], None]
) -> None:
    asset, assembly = synthesized(docker_folder, use)
    assert "Images" in dependencies(assembly, "Demo")
    assert resources(assembly, VERIFICATION) == {}
    assert asset.image_tag not in pushed_with(assembly, "Demo")


def test_two_stacks_may_run_each_others_images(docker_folder: str) -> None:
    app = protected()
    stacks = [stack_in(app, "One"), stack_in(app, "Two")]
    assets = [
        ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder, extra_hash=stack.node.id)
        for stack in stacks
    ]
    for stack, asset in zip(stacks, reversed(assets), strict=True):
        run_asset(stack, asset)
    assembly = app.synth()
    assert dependencies(assembly, "Two") == {"One"}
    # The other one is verified, beside its own image.
    assert dependencies(assembly, "One") == set()
    assert {it["Properties"]["ImageTag"] for it in resources(assembly, VERIFICATION, "One").values()} == {
        asset.image_tag for asset in assets
    }


def test_a_copy_keeps_the_build_and_the_policy_of_the_image(docker_folder: str) -> None:
    app, images, consumer = two_stacks()
    ImagePolicy.defaults(images, require=["non-root-user"])
    asset = ecr_assets.DockerImageAsset(
        images,
        "Image",
        directory=docker_folder,
        file="Other.dockerfile",
        build_args={"A": "1"},
        network_mode=ecr_assets.NetworkMode.HOST,
        platform=ecr_assets.Platform.LINUX_ARM64,
        cache_from=[ecr_assets.DockerCacheOption(type="registry", params={"ref": "cache"})],
    )
    arm64 = ecs.RuntimePlatform(cpu_architecture=ecs.CpuArchitecture.ARM64)
    task = ecs.FargateTaskDefinition(consumer, "Task", runtime_platform=arm64)
    task.add_container("app", image=ecs.ContainerImage.from_docker_image_asset(asset))
    reference(images, consumer)
    assembly = app.synth()
    builds = []
    for stack in ("Images", "Demo"):
        (image,) = json.loads(Path(assembly.directory, f"{stack}.assets.json").read_text())["dockerImages"].values()
        builds.append(image["source"])
    assert builds[0] == builds[1]
    _, verification = the_only(assembly, VERIFICATION)
    assert verification["Properties"]["Platform"] == "linux/arm64"
    assert verification["Properties"]["Require"] == ["non-root-user"]


def the_only_error(app: App, stack: str = "Demo") -> str:
    (error,) = messages_of(app.synth(), "error", stack)
    return error


def test_a_stack_of_another_environment_is_an_error_that_names_both(docker_folder: str) -> None:
    app = protected()
    images, consumer = (
        Stack(app, name, env=Environment(account=account, region="eu-west-1"))
        for name, account in (("Images", "111122223333"), ("Demo", "444455556666"))
    )
    asset = ecr_assets.DockerImageAsset(images, "Image", directory=docker_folder)
    run_asset(consumer, asset)
    explicit_dependency(images, consumer)
    error = the_only_error(app)
    assert "Demo/Task uses the image Images/Image. Its stack Demo cannot wait for Images, which depends on it" in error
    assert "aws://111122223333/eu-west-1 and aws://444455556666/eu-west-1 are different environments" in error
    assert error.endswith("Make the image in Demo.")


def test_stacks_with_different_repositories_are_an_error(docker_folder: str) -> None:
    app = protected()
    images = stack_in(app, "Images")
    consumer = Stack(app, "Demo", synthesizer=DefaultStackSynthesizer(qualifier="other"))
    asset = ecr_assets.DockerImageAsset(images, "Image", directory=docker_folder)
    run_asset(consumer, asset)
    reference(images, consumer)
    assert "their synthesizers push to different repositories" in the_only_error(app)


def test_an_archive_is_an_error(tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    archive.write_bytes(b"-")
    app, images, consumer = two_stacks()
    asset = ecr_assets.TarballImageAsset(images, "Image", tarball_file=str(archive))
    task = ecs.FargateTaskDefinition(consumer, "Task")
    task.add_container("app", image=ecs.ContainerImage.from_registry(asset.image_uri))
    reference(images, consumer)
    assert "only SafeImages can make the image in two stacks" in the_only_error(app)


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    app, images, consumer = two_stacks()
    run_asset(consumer, ecr_assets.DockerImageAsset(images, "Image", directory=str(folder)))
    reference(images, consumer)
    shutil.rmtree(folder)
    assert f"its folder {folder} does not exist any more" in the_only_error(app)


def test_a_safe_docker_image_asset_keeps_its_dependency(docker_folder: str) -> None:
    app, images, consumer = two_stacks()
    run_asset(consumer, SafeDockerImageAsset(images, "Image", directory=docker_folder))
    explicit_dependency(images, consumer)
    assert "uses the image Images/Image of another stack, and cannot wait" in the_only_error(app)


def test_nested_stacks_may_run_each_others_images(docker_folder: str) -> None:
    """The images are verified in the stack around both, because each nested stack would wait for the other."""
    app = protected()
    stack = stack_in(app)
    stacks = [NestedStack(stack, "One"), NestedStack(stack, "Two")]
    assets = [ecr_assets.DockerImageAsset(it, "Image", directory=docker_folder, extra_hash=it.node.id) for it in stacks]
    for it, asset in zip(stacks, reversed(assets), strict=True):
        run_asset(it, asset)
    assembly = app.synth()
    verifications = set(resources(assembly, VERIFICATION))
    assert len(verifications) == 2
    for resource in resources(assembly, "AWS::CloudFormation::Stack").values():
        assert verifications <= set(resource["DependsOn"])


def test_a_nested_stack_may_depend_on_the_resource_that_runs_its_image(docker_folder: str) -> None:
    app = protected()
    stack = stack_in(app)
    below = NestedStack(stack, "Below")
    run_asset(stack, ecr_assets.DockerImageAsset(below, "Image", directory=docker_folder))
    parameter(below, value=stack.node.find_child("Web").ref)  # type: ignore[attr-defined]
    assembly = app.synth()
    ((nested_stack, resource),) = resources(assembly, "AWS::CloudFormation::Stack").items()
    assert {"Ref": "Web"} in resource["Properties"]["Parameters"].values()
    web = reached(assembly.get_stack_by_name("Demo").template, "Web")
    assert set(resources(assembly, VERIFICATION)) <= web
    assert nested_stack not in web


def test_an_image_that_only_its_nested_stack_runs_is_verified_there(docker_folder: str) -> None:
    app = protected()
    stack = stack_in(app)
    below = NestedStack(stack, "Below")
    run_asset(below, ecr_assets.DockerImageAsset(below, "Image", directory=docker_folder))
    assembly = app.synth()
    assert resources(assembly, VERIFICATION) == {}
    assert len(of_type(nested(assembly, "Below"), VERIFICATION)) == 1
