"""jsii gives Python another object at each access to a construct that JavaScript made: nothing may rely on identity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Stack, assertions
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_eks as eks
from aws_cdk import aws_lambda as lambda_

from cdk_safe_image import SafeDockerImageAsset, SafeImages
from tests.unit.cdk_safe_image.app import TASK, VERIFICATION, new_app, stack_in


def stack_of_javascript(stack: Stack) -> Any:
    """A nested stack that a construct of CDK makes by itself."""
    layer = lambda_.LayerVersion.from_layer_version_arn(
        stack, "Layer", "arn:aws:lambda:eu-west-1:111122223333:layer:kubectl:1"
    )
    eks.Cluster(stack, "Cluster", version=eks.KubernetesVersion.V1_31, kubectl_layer=layer)

    def found() -> Any:
        return next(child for child in stack.node.children if "ClusterResourceProvider" in child.node.id)

    assert found() is not found()
    return found()


@pytest.mark.parametrize("protect", [True, False])
def test_an_image_in_a_nested_stack_of_javascript_is_verified_there(docker_folder: str, protect: bool) -> None:
    app = new_app()
    stack = stack_in(app)
    below = stack_of_javascript(stack)
    if protect:
        SafeImages.protect(app)
        image: Any = ecr_assets.DockerImageAsset(below, "Image", directory=docker_folder)
    else:
        image = SafeDockerImageAsset(below, "Image", directory=docker_folder)
    task = ecs.FargateTaskDefinition(below, "Task")
    task.add_container("app", image=ecs.ContainerImage.from_docker_image_asset(image))
    assembly = app.synth()
    (path,) = Path(assembly.directory).glob("*ClusterResourceProvider*.nested.template.json")
    inside = json.loads(path.read_text())["Resources"]
    (name,) = [name for name, it in inside.items() if it["Type"] == VERIFICATION]
    (waiting,) = [it for it in inside.values() if it["Type"] == TASK]
    assert name in waiting.get("DependsOn", []) or f'["{name}", "ImageUri"]' in json.dumps(waiting)


def test_a_stack_without_an_app_is_protected_too(docker_folder: str) -> None:
    stack = Stack()
    SafeImages.protect(stack)
    ecs.FargateTaskDefinition(stack, "Task").add_container("app", image=ecs.ContainerImage.from_asset(docker_folder))
    template = assertions.Template.from_stack(stack)
    (name,) = template.find_resources(VERIFICATION)
    (task,) = template.find_resources(TASK).values()
    assert task["DependsOn"] == [name]
