"""The image's tag on every resource of a stack, also on those that its verification needs: nothing waits for itself.

CDK's own rules for templates make the synth fail if resources wait for each other in a circle.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsii
import pytest
from aws_cdk import App, Aspects, CfnResource, IAspect, NestedStack, Stack, Tags
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import IConstruct

from cdk_safe_image import ImageVerification, ImageVerifier, SafeDockerImageAsset, SafeImages
from tests.unit.cdk_safe_image.app import (
    TASK,
    VERIFICATION,
    messages_of,
    new_app,
    resources,
    run_on_fargate,
    stack_in,
    the_only,
)


def app_with_image(docker_folder: str, *, protects: bool) -> tuple[App, Stack, ecr_assets.DockerImageAsset]:
    """An app with an image, protected or swapped."""
    app = new_app()
    if protects:
        SafeImages.protect(app)
    stack = stack_in(app)
    asset_class = ecr_assets.DockerImageAsset if protects else SafeDockerImageAsset
    return app, stack, asset_class(stack, "Image", directory=docker_folder)


def visit_all(stack: Stack, visit: Callable[[Any], object]) -> None:
    @jsii.implements(IAspect)
    class Visitor:
        def visit(self, node: IConstruct) -> None:
            visit(node)

    Aspects.of(stack).add(Visitor())


def add_metadata(stack: Stack, text: str) -> None:
    visit_all(stack, lambda it: it.add_metadata("image", text) if isinstance(it, CfnResource) else None)


def add_variables(stack: Stack, text: str) -> None:
    visit_all(stack, lambda it: it.add_environment("IMAGE", text) if isinstance(it, lambda_.Function) else None)


SPREAD: dict[str, Callable[[Stack, str], None]] = {
    "as a tag": lambda stack, text: Tags.of(stack).add("image", text),
    "as metadata": add_metadata,
    "as a variable of all functions": add_variables,
}


@pytest.mark.parametrize("spread", SPREAD.values(), ids=SPREAD)
@pytest.mark.parametrize("attribute", ["image_tag", "image_uri", "asset_hash"])
@pytest.mark.parametrize("protects", [False, True], ids=["swapped", "protected"])
def test_an_image_may_be_named_on_all_resources_of_its_stack(
    docker_folder: str, spread: Callable[[Stack, str], None], attribute: str, protects: bool
) -> None:
    app, stack, image = app_with_image(docker_folder, protects=protects)
    task = ecs.FargateTaskDefinition(stack, "Task")
    task.add_container("app", image=ecs.ContainerImage.from_docker_image_asset(image))
    lambda_.Function(
        stack,
        "Other",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(*_): ..."),
    )
    spread(stack, getattr(image, attribute))
    assembly = app.synth()
    name, _ = the_only(assembly, VERIFICATION)
    _, made = the_only(assembly, TASK)
    assert name in json.dumps(made)
    functions = resources(assembly, "AWS::Lambda::Function").values()
    assert spread is not SPREAD["as a variable of all functions"] or all(
        image.asset_hash in json.dumps(it["Properties"]["Environment"]) for it in functions
    )


@pytest.mark.parametrize("protects", [False, True], ids=["swapped", "protected"])
@pytest.mark.parametrize("attribute", ["image_tag", "asset_hash"])
def test_a_label_makes_no_stack_wait_for_the_stack_of_an_image(
    docker_folder: str, attribute: str, protects: bool
) -> None:
    app = new_app()
    if protects:
        SafeImages.protect(app)
    network, stack, other = stack_in(app, "Network"), stack_in(app), stack_in(app, "Other")
    topic = sns.Topic(network, "Topic")
    asset_class = ecr_assets.DockerImageAsset if protects else SafeDockerImageAsset
    for home in (stack, other):
        task = ecs.FargateTaskDefinition(home, "Task")
        image = asset_class(home, "Image", directory=docker_folder, build_args={"HOME": home.stack_name})
        container = ecs.ContainerImage.from_docker_image_asset(image)
        task.add_container("app", image=container, environment={"TOPIC": topic.topic_arn})
        Tags.of(app).add(home.stack_name, getattr(image, attribute))
        add_metadata(network, image.image_tag)
    assembly = app.synth()
    for name, dependencies in (("Network", []), ("Demo", ["Network"]), ("Other", ["Network"])):
        artifact = assembly.get_stack_by_name(name)
        assert [it.id for it in artifact.dependencies if not it.id.endswith(".assets")] == dependencies
        assert not messages_of(assembly, "error", name)
    assert not resources(assembly, VERIFICATION, "Network")


def test_a_nested_stack_with_an_image_may_have_its_tag(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    nested = NestedStack(stack, "Nested")
    image = SafeDockerImageAsset(nested, "Image", directory=docker_folder)
    run_on_fargate(nested, "Web", image)
    Tags.of(stack).add("image", image.image_tag)
    _, made = the_only(app.synth(), "AWS::CloudFormation::Stack")
    assert made["Properties"]["Tags"] == [{"Key": "image", "Value": image.asset_hash}]


def test_the_digest_of_an_image_may_be_the_tag_of_a_service(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    service = run_on_fargate(stack, "Web", image)
    Tags.of(service).add("digest", image.image_digest)
    assembly = app.synth()
    _, made = the_only(assembly, "AWS::ECS::Service")
    assert "ImageDigest" in json.dumps(made["Properties"]["Tags"])
    assert not messages_of(assembly, "error")


def test_no_service_waits_for_an_image_that_the_user_removed(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    SafeDockerImageAsset(stack, "Removed", directory=docker_folder, file="Other.dockerfile")
    run_on_fargate(stack, "Web", SafeDockerImageAsset(stack, "Image", directory=docker_folder))
    stack.node.try_remove_child("Removed")
    template = app.synth().get_stack_by_name("Demo").template
    dependencies = {name for it in template["Resources"].values() for name in it.get("DependsOn", ())}
    assert dependencies
    assert dependencies <= template["Resources"].keys()


def test_a_verifier_of_the_user_does_not_wait_for_an_image_that_it_will_verify(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    SafeImages.protect(app, verifier=ImageVerifier(stack, "Verifier"))
    image = ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder)
    task = ecs.FargateTaskDefinition(stack, "Task")
    task.add_container("app", image=ecs.ContainerImage.from_docker_image_asset(image))
    add_variables(stack, image.image_tag)
    assembly = app.synth()
    name, _ = the_only(assembly, VERIFICATION)
    _, function = the_only(assembly, "AWS::Lambda::Function")
    assert image.asset_hash in json.dumps(function)
    assert name not in json.dumps(function)


def test_what_the_user_passes_to_a_verification_does_not_wait_for_it(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    image = ImageVerification(
        stack,
        "Verified",
        repository=ecr.Repository(stack, "Repository"),
        tag="1.4",
        verifier=ImageVerifier(stack, "Verifier", role=role),
        notify=sns.Topic(stack, "Topic"),
    )
    run_on_fargate(stack, "Web", image)
    Tags.of(app).add("image", image.image_tag)
    assembly = app.synth()
    for kind in ("AWS::ECR::Repository", "AWS::SNS::Topic"):
        _, needed = the_only(assembly, kind)
        assert needed["Properties"]["Tags"] == [{"Key": "image", "Value": "1.4"}]


@pytest.mark.parametrize("protects", [False, True], ids=["swapped", "protected"])
def test_an_instance_that_runs_the_image_by_its_metadata_waits(docker_folder: str, protects: bool) -> None:
    app, stack, image = app_with_image(docker_folder, protects=protects)
    instance = CfnResource(
        stack, "Instance", type="AWS::EC2::Instance", properties={"ImageId": "ami-0123456789abcdef0"}
    )
    command = {"command": f"docker run {image.image_uri}"}
    instance.add_metadata("AWS::CloudFormation::Init", {"config": {"commands": {"run": command}}})
    assembly = app.synth()
    name, _ = the_only(assembly, VERIFICATION)
    _, made = the_only(assembly, "AWS::EC2::Instance")
    assert name in json.dumps(made)


def test_a_digest_is_unknown_to_what_the_verification_needs(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    run_on_fargate(stack, "Web", image)
    Tags.of(stack).add("image", image.image_digest)
    errors = messages_of(app.synth(), "error")
    assert errors
    assert all("uses image_digest of Demo/Image where it cannot wait" in it and "Use image_tag." in it for it in errors)
