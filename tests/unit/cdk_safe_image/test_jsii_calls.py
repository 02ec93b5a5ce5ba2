"""The calls between Python and Node.js. Each takes CPU time on both sides.

They are counted where jsii sends each request to Node.js: constructions, methods, properties, and the results of
callbacks. The calls of one image are the difference between apps with more and with fewer images, so that the verifier,
which each stack has once, does not count.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs

from benchmarks._jsii_calls import counted_calls
from benchmarks._one_synth import KINDS, add_services
from cdk_safe_image import SafeImages
from tests.unit.cdk_safe_image.app import new_app, stack_in

FEWER, MORE = 3, 7


def make_contexts(folder: Path, images: int) -> list[Path]:
    contexts = [folder / f"{number}" for number in range(images)]
    for context in contexts:
        context.mkdir(exist_ok=True)
        (context / "Dockerfile").write_text(f"FROM scratch\nLABEL number={context.name}\n")
    return contexts


def calls(folder: Path, kind: str, images: int, stacks: int = 1) -> int:
    app = new_app()
    with counted_calls() as counted:
        add_services(app, kind, make_contexts(folder, images), stacks)
        app.synth()
    return counted.count


def calls_on_instances(folder: Path, images: int) -> int:
    """Each image runs on the instances of one cluster: its platform is theirs."""
    app = new_app()
    SafeImages.protect(app)
    stack = stack_in(app)
    instances = ecs.AddCapacityOptions(instance_type=ec2.InstanceType("m7g.large"))
    shared = ecs.Cluster(stack, "Cluster", vpc=ec2.Vpc(stack, "Vpc", max_azs=1), capacity=instances)
    with counted_calls() as counted:
        for context in make_contexts(folder, images):
            task = ecs.Ec2TaskDefinition(stack, f"Task{context.name}")
            asset = ecr_assets.DockerImageAsset(stack, f"Image{context.name}", directory=str(context))
            image = ecs.ContainerImage.from_docker_image_asset(asset)
            task.add_container("app", image=image, memory_limit_mib=64)
            ecs.Ec2Service(stack, f"Service{context.name}", cluster=shared, task_definition=task)
        app.synth()
    return counted.count


@pytest.fixture
def calls_for_each_image(tmp_path: Path) -> dict[str, int]:
    differences = {kind: calls(tmp_path, kind, MORE) - calls(tmp_path, kind, FEWER) for kind in KINDS}
    return {kind: difference // (MORE - FEWER) for kind, difference in differences.items()}


def test_an_image_takes_at_most_thirty_three_calls_to_node(calls_for_each_image: dict[str, int]) -> None:
    assert 0 < calls_for_each_image["plain"] < calls_for_each_image["swapped"] <= 33
    assert calls_for_each_image["protected"] <= 33


def test_an_image_on_instances_takes_as_many_calls_however_many_there_are(tmp_path: Path) -> None:
    # The first app of a process reads what all share.
    _, few, some, many = (calls_on_instances(tmp_path, images) for images in (1, FEWER, MORE, 2 * MORE - FEWER))
    assert many - some == some - few <= 40 * (MORE - FEWER)


def test_a_stack_takes_at_most_sixty_calls_more_than_its_image(tmp_path: Path) -> None:
    in_one_stack = calls(tmp_path, "protected", MORE)
    in_own_stacks = calls(tmp_path, "protected", MORE, stacks=MORE)
    assert (in_own_stacks - in_one_stack) / (MORE - 1) <= 60
