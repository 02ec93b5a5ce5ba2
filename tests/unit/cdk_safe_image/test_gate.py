"""The resources that wait for a verification, and the attribute of the image that each gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsii
import pytest
from aws_cdk import AspectPriority, Aspects, CfnOutput, IAspect, NestedStack, Stack, Stage, Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_ssm as ssm
from aws_cdk.cx_api import CloudAssembly
from constructs import Construct, IConstruct

from cdk_safe_image import ImageVerification, ImageVerifier, SafeDockerImageAsset
from tests.unit.cdk_safe_image.app import (
    VERIFICATION,
    messages_of,
    new_app,
    not_empty,
    reached,
    resources,
    run_on_fargate,
    stack_in,
    strings,
    the_only,
)

SERVICE = "AWS::ECS::Service"
TASK = "AWS::ECS::TaskDefinition"


def repository(scope: Construct, name: str = "Repository") -> ecr.IRepository:
    return ecr.Repository.from_repository_name(scope, name, "shop")


def image_of(task: Any) -> Any:
    return task["Properties"]["ContainerDefinitions"][0]["Image"]


def nested(assembly: CloudAssembly, name: str) -> dict[str, Any]:
    (path,) = Path(assembly.directory).glob(f"*{name}*.nested.template.json")
    found: dict[str, Any] = json.loads(path.read_text())["Resources"]
    return found


def of_type(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return {name: it for name, it in found.items() if it["Type"] == kind}


def test_a_task_definition_runs_the_verified_digest(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    run_on_fargate(stack, "Web", SafeDockerImageAsset(stack, "Image", directory=docker_folder))
    assembly = app.synth()
    name, verification = the_only(assembly, VERIFICATION)
    assert verification["Properties"]["Pin"] == "digest"
    assert image_of(the_only(assembly, TASK)[1]) == {"Fn::GetAtt": [name, "ImageUri"]}


def test_a_lambda_function_waits_for_the_verification_of_its_tag(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder, runs_on="lambda")
    code = image.docker_image_code(cmd=["a"], entrypoint=["b"], working_directory="/c")
    lambda_.DockerImageFunction(stack, "Function", code=code)
    assembly = app.synth()
    name, _ = the_only(assembly, VERIFICATION)
    functions = resources(assembly, "AWS::Lambda::Function").values()
    (resource,) = [it for it in functions if it["Properties"].get("PackageType") == "Image"]
    assert name in resource["DependsOn"]
    function = resource["Properties"]
    assert function["Code"]["ImageUri"]["Fn::Join"][1][-1].endswith(f":{image.asset_hash}")
    assert function["ImageConfig"] == {"Command": ["a"], "EntryPoint": ["b"], "WorkingDirectory": "/c"}
    assert messages_of(assembly, "warning") == []


@pytest.mark.parametrize("made_by", ["ecs", "lambda"])
def test_image_digest_works_as_tag_or_digest(docker_folder: str, made_by: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder, runs_on=["fargate", "lambda"])
    if made_by == "ecs":
        container = ecs.ContainerImage.from_ecr_repository(image.repository, image.image_digest)
        ecs.FargateTaskDefinition(stack, "Task").add_container("app", image=container)
    else:
        code = lambda_.DockerImageCode.from_ecr(image.repository, tag_or_digest=image.image_digest)
        lambda_.DockerImageFunction(stack, "Function", code=code)
    assembly = app.synth()
    name, _ = the_only(assembly, VERIFICATION)
    if made_by == "ecs":
        uri = image_of(the_only(assembly, TASK)[1])
    else:
        codes = [it["Properties"]["Code"] for it in resources(assembly, "AWS::Lambda::Function").values()]
        (uri,) = [code["ImageUri"] for code in codes if "ImageUri" in code]
    *_, at, digits = uri["Fn::Join"][1]
    assert at == "@sha256:"
    assert digits == {"Fn::Select": [1, {"Fn::Split": [":", {"Fn::GetAtt": [name, "ImageDigest"]}]}]}


def test_every_service_of_the_stack_waits_for_every_verification(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    for name in ("One", "Two"):
        run_on_fargate(stack, name, SafeDockerImageAsset(stack, f"{name}Image", directory=docker_folder))
    plain = ecs.FargateTaskDefinition(stack, "PlainTask")
    plain.add_container("app", image=ecs.ContainerImage.from_registry("nginx"))
    ecs.FargateService(stack, "Plain", cluster=ecs.Cluster(stack, "C"), task_definition=plain, min_healthy_percent=0)
    assembly = app.synth()
    verifications = set(resources(assembly, VERIFICATION))
    assert len(verifications) == 2
    services = resources(assembly, SERVICE)
    assert len(services) == 3
    for service in services:
        assert verifications <= reached(assembly.get_stack_by_name("Demo").template, service)


def test_with_the_gate_of_the_image_only_its_consumers_wait(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    run_on_fargate(stack, "One", SafeDockerImageAsset(stack, "OneImage", directory=docker_folder, gate="image"))
    run_on_fargate(stack, "Two", SafeDockerImageAsset(stack, "TwoImage", directory=docker_folder))
    assembly = app.synth()
    (one,) = [name for name in resources(assembly, VERIFICATION) if name.startswith("OneImage")]
    (two,) = [name for name in resources(assembly, VERIFICATION) if name.startswith("TwoImage")]
    for service in resources(assembly, SERVICE).values():
        assert two in service["DependsOn"]
        assert one not in service["DependsOn"]


@pytest.mark.parametrize("stabilized", [True, False])
def test_services_that_an_aspect_adds_wait_too(docker_folder: str, stabilized: bool) -> None:
    app = new_app(**{"@aws-cdk/core:aspectStabilization": stabilized})
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)

    @jsii.implements(IAspect)
    class AddsAService:
        def visit(self, node: Any) -> None:
            if node is stack:
                run_on_fargate(stack, "Late", image)

    Aspects.of(stack).add(AddsAService(), priority=AspectPriority.MUTATING)
    assembly = app.synth()
    name, _ = the_only(assembly, VERIFICATION)
    assert name in the_only(assembly, SERVICE)[1]["DependsOn"]


def test_another_stack_gets_the_tag_and_a_dependency_and_no_export(docker_folder: str) -> None:
    app = new_app()
    producer, consumer = stack_in(app, "Producer", "eu-west-1"), stack_in(app, "Consumer", "eu-west-1")
    image = SafeDockerImageAsset(producer, "Image", directory=docker_folder, runs_on=["fargate", "lambda"])
    run_on_fargate(consumer, "Web", image)
    lambda_.DockerImageFunction(consumer, "Function", code=image.docker_image_code())
    CfnOutput(consumer, "Tag", value=image.image_tag)
    assembly = app.synth()
    repository = "cdk-hnb659fds-container-assets-111122223333-eu-west-1"
    prefix = "111122223333.dkr.ecr.eu-west-1."
    uri = image_of(the_only(assembly, TASK, "Consumer")[1])
    text = (
        uri
        if isinstance(uri, str)
        else "".join(part if isinstance(part, str) else "amazonaws.com" for part in uri["Fn::Join"][1])
    )
    assert text == f"{prefix}amazonaws.com/{repository}:{image.asset_hash}"
    _, function = the_only(assembly, "AWS::Lambda::Function", "Consumer")
    assert function["Properties"]["Code"]["ImageUri"] == uri
    template = assembly.get_stack_by_name("Consumer").template
    assert template["Outputs"]["Tag"]["Value"] == image.asset_hash
    assert "Outputs" not in assembly.get_stack_by_name("Producer").template
    assert "Fn::ImportValue" not in set(strings(template))
    manifest = json.loads(Path(assembly.directory, "manifest.json").read_text())
    assert "Producer" in manifest["artifacts"]["Consumer"]["dependencies"]
    assert messages_of(assembly, "error", "Consumer") == []


def test_a_nested_stack_waits_through_a_parameter(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    run_on_fargate(NestedStack(stack, "Below"), "Web", image)
    assembly = app.synth()
    name, _ = the_only(assembly, VERIFICATION)
    (below,) = resources(assembly, "AWS::CloudFormation::Stack").values()
    assert name in below["DependsOn"]
    (parameter,) = [
        key for key, it in below["Properties"]["Parameters"].items() if it == {"Fn::GetAtt": [name, "ImageUri"]}
    ]
    (task,) = of_type(nested(assembly, "Below"), TASK).values()
    assert image_of(task) == {"Ref": parameter}


def test_an_image_in_a_nested_stack_is_verified_by_the_top_levels_verifier(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    below = NestedStack(stack, "Below")
    image = SafeDockerImageAsset(below, "Image", directory=docker_folder)
    run_on_fargate(below, "Web", image)
    run_on_fargate(stack, "Above", image)
    assembly = app.synth()
    inside = nested(assembly, "Below")
    ((name, _),) = of_type(inside, VERIFICATION).items()
    assert of_type(inside, "AWS::Lambda::Function") == {}
    assert len(resources(assembly, "AWS::Lambda::Function")) == 1
    (service,) = of_type(inside, SERVICE).values()
    assert name in service["DependsOn"]
    uri = image_of(the_only(assembly, TASK)[1])
    assert uri["Fn::GetAtt"][1].startswith("Outputs.")


def test_a_nested_stack_that_contains_the_repository_does_not_wait(docker_folder: str) -> None:
    """Otherwise it would wait for itself, and CDK's own rules would fail this synth."""
    app = new_app()
    stack = stack_in(app)
    below = NestedStack(stack, "Below")
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    run_on_fargate(below, "Web", image)
    ImageVerification(stack, "Other", repository=ecr.Repository(below, "Repository"), tag="v1")
    assembly = app.synth()
    (first,) = [name for name in resources(assembly, VERIFICATION) if name.startswith("Image")]
    (resource,) = resources(assembly, "AWS::CloudFormation::Stack").values()
    assert resource["DependsOn"] == [first]


@pytest.mark.parametrize("made_below", ["network", "topic"])
def test_a_nested_stack_with_a_prerequisite_of_the_verifier_does_not_wait(docker_folder: str, made_below: str) -> None:
    app = new_app()
    stack = stack_in(app)
    below = NestedStack(stack, "Below")
    vpc = ec2.Vpc(below, "Vpc", max_azs=2) if made_below == "network" else None
    topic = sns.Topic(below, "Topic") if made_below == "topic" else None
    verifier = ImageVerifier(stack, "Verifier", vpc=vpc)
    run_on_fargate(below, "Other", ImageVerification(below, "OtherImage", repository=repository(below), tag="1"))
    run_on_fargate(
        stack, "Web", SafeDockerImageAsset(stack, "Image", directory=docker_folder, verifier=verifier, notify=topic)
    )
    assembly = app.synth()
    (nested_stack,) = resources(assembly, "AWS::CloudFormation::Stack").values()
    name, _ = the_only(assembly, VERIFICATION)
    assert name not in nested_stack.get("DependsOn", [])
    assert name in the_only(assembly, SERVICE)[1]["DependsOn"]
    (other,) = of_type(nested(assembly, "Below"), SERVICE).values()
    assert list(of_type(nested(assembly, "Below"), VERIFICATION)) == [other["DependsOn"][-1]]


def _service(scope: Construct) -> ecs.CfnService:
    found = scope.node.find_child("Web")
    assert isinstance(found, ecs.CfnService)
    return found


@pytest.mark.parametrize("through", ["the service", "what depends on it", "what names it"])
def test_services_wait_as_far_as_the_users_dependencies_allow(through: str) -> None:
    app = new_app()
    stack = stack_in(app)
    parts = {name: Construct(stack, name) for name in ("First", "Second", "Third")}
    for part in parts.values():
        run_on_fargate(part, "Web", ImageVerification(part, "Image", repository=repository(part), tag="1"))
    first, second, _ = parts.values()
    goes_before: IConstruct = first
    if through != "the service":
        name = Token.as_string(_service(first).get_att("Name")) if through == "what names it" else "-"
        goes_before = ssm.CfnParameter(stack, "Between", type="String", value=name)
    if through == "what depends on it":
        goes_before.node.add_dependency(first)
    second.node.add_dependency(goes_before)
    assembly = app.synth()

    waits_for = {
        name[:5]: {waited[:5] for waited in service["DependsOn"] if "Image" in waited}
        for name, service in resources(assembly, SERVICE).items()
    }
    # The second image is only verified after the first service is created.
    assert waits_for == {"First": {"First", "Third"}, "Secon": {"First", "Secon", "Third"}, "Third": {"First", "Third"}}


def test_dependencies_without_services_do_not_change_the_gate() -> None:
    app = new_app()
    stack = stack_in(app)
    image = ImageVerification(stack, "Image", repository=repository(stack), tag="1")
    run_on_fargate(stack, "Web", ImageVerification(stack, "Other", repository=repository(stack, "Others"), tag="1"))
    image.node.add_dependency(ssm.CfnParameter(stack, "Copied", type="String", value="-"))
    assembly = app.synth()
    depends_on = the_only(assembly, SERVICE)[1]["DependsOn"]
    assert set(resources(assembly, VERIFICATION)) <= set(depends_on)


def test_image_digest_in_another_stack_is_an_error_with_the_alternative(docker_folder: str) -> None:
    app = new_app()
    image = SafeDockerImageAsset(stack_in(app, "Producer"), "Image", directory=docker_folder)
    CfnOutput(not_empty(stack_in(app)), "Digest", value=image.image_digest)
    (error,) = messages_of(app.synth(), "error")
    assert "Demo/Digest uses image_digest of Producer/Image, which is in another stack" in error
    assert "Use image_uri, container_image() or docker_image_code()." in error


def test_a_consumer_in_a_stack_that_the_images_stack_depends_on_is_an_error(docker_folder: str) -> None:
    app = new_app()
    stack, producer = stack_in(app), stack_in(app, "Producer")
    image = SafeDockerImageAsset(producer, "Image", directory=docker_folder)
    getattr(producer, "add_stack_dependency", producer.add_dependency)(stack)
    run_on_fargate(stack, "Web", image)
    (error,) = messages_of(app.synth(), "error")
    assert "Demo/WebTask uses the image Producer/Image of another stack, and cannot wait" in error
    assert error.endswith("Make the image in the stack that uses it.")


def test_a_consumer_in_another_stage_is_an_error(docker_folder: str) -> None:
    app = new_app()
    image = SafeDockerImageAsset(Stack(Stage(app, "One"), "S"), "Image", directory=docker_folder)
    two = Stage(app, "Two")
    run_on_fargate(Stack(two, "S"), "Web", image)
    (error,) = messages_of(two.synth(), "error", "Two-S")
    assert "Two/S/WebTask uses the image One/S/Image of another stack" in error


@pytest.mark.parametrize("value", ["off", False])
def test_the_context_switches_verification_off_with_a_warning(docker_folder: str, value: str | bool) -> None:
    app = new_app(**{"cdk-safe-image:verify": value})
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder, runs_on=["fargate", "lambda"])
    run_on_fargate(stack, "Web", image)
    digest = ecs.ContainerImage.from_ecr_repository(image.repository, image.image_digest)
    ecs.FargateTaskDefinition(stack, "ByDigest").add_container("app", image=digest)
    lambda_.DockerImageFunction(stack, "Function", code=image.docker_image_code())
    assembly = app.synth()
    kinds = {it["Type"] for it in assembly.get_stack_by_name("Demo").template["Resources"].values()}
    assert VERIFICATION not in kinds
    assert "AWS::Logs::LogGroup" not in kinds
    for task in resources(assembly, TASK).values():
        assert image_of(task)["Fn::Join"][1][-1].endswith(f":{image.asset_hash}")
    (warning,) = messages_of(assembly, "warning")
    assert "cdk-safe-image:verification-off" in warning


def test_the_context_of_a_scope_in_a_stack_switches_off_its_images_and_no_others(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    scope = Construct(stack, "Off")
    scope.node.set_context("cdk-safe-image:verify", "off")
    on = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    off = SafeDockerImageAsset(scope, "Image", directory=docker_folder, extra_hash="off")
    for name, image in (("On", on), ("Off", off)):
        run_on_fargate(stack, f"{name}Service", image)
    assembly = app.synth()
    (verification,) = resources(assembly, VERIFICATION).values()
    assert verification["Properties"]["ImageTag"] == on.asset_hash
    _, task = next(it for it in resources(assembly, TASK).items() if it[0].startswith("OffServiceTask"))
    assert image_of(task)["Fn::Join"][1][-1].endswith(f":{off.asset_hash}")
    (warning,) = messages_of(assembly, "warning")
    assert "cdk-safe-image:verification-off" in warning


def test_verification_that_is_switched_off_restricts_nothing(docker_folder: str) -> None:
    app = new_app(**{"cdk-safe-image:verify": "off"})
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    arm64 = ecs.RuntimePlatform(cpu_architecture=ecs.CpuArchitecture.ARM64)
    run_on_fargate(stack, "Web", image, runtime_platform=arm64)
    assert messages_of(app.synth(), "error") == []


@pytest.mark.parametrize("value", ["on", True])
def test_the_context_can_be_on(docker_folder: str, value: str | bool) -> None:
    app = new_app(**{"cdk-safe-image:verify": value})
    SafeDockerImageAsset(stack_in(app), "Image", directory=docker_folder)
    assert len(resources(app.synth(), VERIFICATION)) == 1


def test_a_context_that_is_neither_on_nor_off_is_refused(docker_folder: str) -> None:
    app = new_app(**{"cdk-safe-image:verify": "no"})
    with pytest.raises(ValueError, match=r"Demo: context cdk-safe-image:verify is 'no': use 'on' or 'off'"):
        SafeDockerImageAsset(stack_in(app), "Image", directory=docker_folder)
