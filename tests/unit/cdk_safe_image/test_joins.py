"""The joins of the gate: every service reaches each of its verifications, with as few dependencies as possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsii
import pytest
from aws_cdk import Aspects, CfnParameter, CfnResource, Fn, IAspect, NestedStack, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk.cx_api import CloudAssembly

from cdk_safe_image import ImageVerification, SafeDockerImageAsset, SafeImages
from tests.unit.cdk_safe_image.app import (
    VERIFICATION,
    new_app,
    reached,
    resources,
    run_on_fargate,
    serve,
    stack_in,
)
from tests.unit.cdk_safe_image.test_gate import SERVICE, nested, of_type

JOIN = "AWS::CloudFormation::WaitConditionHandle"


def verify(stack: Stack, name: str, tag: str = "1", **more: Any) -> ImageVerification:
    return ImageVerification(
        stack, name, repository=ecr.Repository.from_repository_name(stack, f"{name}Repository", "shop"), tag=tag, **more
    )


def serve_all(stack: Stack, services: int, images: int, **more: Any) -> list[ImageVerification]:
    verifications = [verify(stack, f"Image{number}", **more) for number in range(images)]
    for number in range(services):
        run_on_fargate(stack, f"Web{number}", verifications[number % images])
    return verifications


def directly(assembly: CloudAssembly, kind: str = SERVICE) -> dict[str, set[str]]:
    """The verifications and joins that each service depends on."""
    ours = {*resources(assembly, VERIFICATION), *resources(assembly, JOIN)}
    return {name: ours.intersection(it.get("DependsOn", ())) for name, it in resources(assembly, kind).items()}


@pytest.mark.parametrize(("services", "images", "joins"), [(1, 1, 0), (1, 5, 0), (5, 1, 0), (2, 2, 0), (3, 2, 1)])
def test_a_join_is_made_only_where_it_saves_dependencies(services: int, images: int, joins: int) -> None:
    app = new_app()
    serve_all(stack_in(app), services, images)
    assembly = app.synth()
    assert len(resources(assembly, JOIN)) == joins
    edges = sum(map(len, [*directly(assembly).values(), *directly(assembly, JOIN).values()]))
    assert edges <= services * images


def test_every_service_reaches_each_verification_through_the_join() -> None:
    app = new_app()
    serve_all(stack_in(app), 4, 3)
    assembly = app.synth()
    ((join, resource),) = resources(assembly, JOIN).items()
    verifications = set(resources(assembly, VERIFICATION))
    assert set(resource["DependsOn"]) == verifications
    # CloudFormation refuses each update of a join, and changed metadata is one.
    assert resource.keys() == {"Type", "DependsOn"}
    for service, direct in directly(assembly).items():
        assert direct == {join}
        assert verifications <= reached(assembly.get_stack_by_name("Demo").template, service)


def test_dependencies_and_resources_grow_with_services_plus_images(docker_folder: str) -> None:
    app = new_app()
    SafeImages.protect(app)
    stack = stack_in(app)
    for number in range(12):
        task = ecs.FargateTaskDefinition(stack, f"Task{number}")
        image = ecs.ContainerImage.from_asset(docker_folder, build_args={"NUMBER": str(number)})
        task.add_container("app", image=image)
        serve(stack, f"Web{number}", task)
    assembly = app.synth()
    template = assembly.get_stack_by_name("Demo").template
    assert sum(map(len, directly(assembly).values())) == 12
    assert len(resources(assembly, VERIFICATION)) == 12
    # Beside the verifications: the verifier with its role and log group, the permissions, the join.
    ours = [it["Type"] for name, it in template["Resources"].items() if name.startswith("CdkSafeImage")]
    assert len(ours) == 12 + 5


def changed(change: Callable[[Stack], object]) -> tuple[set[str], set[str]]:
    """The joins of an app without and with a change."""
    joins = []
    for apply in (lambda _stack: None, change):
        app = new_app()
        stack = stack_in(app)
        serve_all(stack, 3, 3)
        apply(stack)
        joins.append(set(resources(app.synth(), JOIN)))
    return joins[0], joins[1]


def test_the_same_images_keep_the_join() -> None:
    before, after = changed(lambda stack: run_on_fargate(stack, "Another", verify(stack, "Own", gate="image")))
    assert before == after


def test_another_image_makes_another_join() -> None:
    before, after = changed(lambda stack: verify(stack, "Another"))
    assert len(before) == len(after) == 1
    assert before.isdisjoint(after)


def parameter(stack: Stack) -> str:
    return CfnParameter(stack, "Tag").value_as_string


@pytest.mark.parametrize(
    "tag", [parameter, lambda _stack: "{{resolve:ssm:/shop/tag}}", lambda _stack: Fn.import_value("ShopTag")]
)
def test_a_verification_that_is_updated_in_place_keeps_its_own_dependencies(tag: Any) -> None:
    app = new_app()
    stack = stack_in(app)
    serve_all(stack, 3, 3)
    verify(stack, "InPlace", tag(stack))
    assembly = app.synth()
    ((join, resource),) = resources(assembly, JOIN).items()
    (in_place,) = [name for name in resources(assembly, VERIFICATION) if name.startswith("InPlace")]
    assert in_place not in resource["DependsOn"]
    assert all(direct == {join, in_place} for direct in directly(assembly).values())


def test_a_verification_with_a_fixed_logical_id_keeps_its_own_dependencies() -> None:
    app = new_app()
    stack = stack_in(app)
    serve_all(stack, 3, 3)[0].resource.override_logical_id("Mine")
    assembly = app.synth()
    ((join, _),) = resources(assembly, JOIN).items()
    assert all(direct == {join, "Mine"} for direct in directly(assembly).values())


def test_an_aspect_that_prefixes_logical_ids_keeps_the_joins() -> None:
    @jsii.implements(IAspect)
    class Prefixes:
        def visit(self, node: Any) -> None:
            if isinstance(node, CfnResource):
                name = Stack.of(node).get_logical_id(node)
                node.override_logical_id(name if name.startswith("Team") else f"Team{name}")

    app = new_app()
    stack = stack_in(app)
    serve_all(stack, 3, 3)
    Aspects.of(app).add(Prefixes())
    assembly = app.synth()
    ((join, resource),) = resources(assembly, JOIN).items()
    assert set(resource["DependsOn"]) == set(resources(assembly, VERIFICATION))
    assert all(direct == {join} for direct in directly(assembly).values())


def test_services_that_wait_for_different_verifications_have_different_joins() -> None:
    app = new_app()
    stack = stack_in(app)
    images = serve_all(stack, 4, 4)
    # The last image is only verified after the first service is made.
    first = stack.node.find_child("Web0")
    images[3].node.add_dependency(first)
    assembly = app.synth()
    template = assembly.get_stack_by_name("Demo").template
    verifications = resources(assembly, VERIFICATION)
    (last,) = [name for name in verifications if name.startswith("Image3")]
    for service in resources(assembly, SERVICE):
        found = reached(template, service)
        assert verifications.keys() - {last} <= found
        assert service not in found


def test_a_nested_stack_waits_through_the_join_once(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    below = NestedStack(stack, "Below")
    images = serve_all(stack, 3, 3)
    for number, image in enumerate(images):
        run_on_fargate(below, f"Below{number}", image)
    run_on_fargate(below, "Own", SafeDockerImageAsset(below, "OwnImage", directory=docker_folder))
    assembly = app.synth()
    (join,) = resources(assembly, JOIN)
    (resource,) = resources(assembly, "AWS::CloudFormation::Stack").values()
    assert [name for name in resource["DependsOn"] if "Image" in name] == [join]
    inside = nested(assembly, "Below")
    assert len(of_type(inside, SERVICE)) == 4
    assert of_type(inside, JOIN) == {}


def test_a_nested_stack_does_not_wait_if_a_stack_inside_it_contains_the_repository() -> None:
    app = new_app()
    stack = stack_in(app)
    below = NestedStack(stack, "Below")
    run_on_fargate(below, "Web", verify(below, "Image"))
    ImageVerification(stack, "Other", repository=ecr.Repository(NestedStack(below, "Deeper"), "Repository"), tag="v1")
    assembly = app.synth()
    ((name, resource),) = resources(assembly, "AWS::CloudFormation::Stack").items()
    assert not resource.get("DependsOn")
    (other,) = resources(assembly, VERIFICATION)
    assert name in reached(assembly.get_stack_by_name("Demo").template, other)
