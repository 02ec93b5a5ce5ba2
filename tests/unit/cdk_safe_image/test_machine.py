"""The machine that synthesizes leaves no trace in a template: neither its CDK CLI, nor its builder, nor its shell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aws_cdk import NestedStack
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs

from cdk_safe_image import SafeDockerImageAsset, SafeImages
from tests.unit.cdk_safe_image.app import VERIFICATION, new_app, resources, run_on_fargate, stack_in


def templates(folder: str) -> dict[str, bytes]:
    """The templates of an app with images of each kind, by their file's name."""
    app = new_app()
    stack = stack_in(app)
    run_on_fargate(stack, "Web", SafeDockerImageAsset(stack, "Image", directory=folder))
    SafeDockerImageAsset(stack, "Own", directory=folder, outputs=[], file="Other.dockerfile")
    SafeDockerImageAsset(stack, "Zipped", directory=folder, runs_on=["lambda"], compression="gzip")
    protected = stack_in(app, "Protected")
    SafeImages.protect(protected)
    task = ecs.FargateTaskDefinition(protected, "Task")
    task.add_container("app", image=ecs.ContainerImage.from_asset(folder))
    assembly = app.synth()
    return {path.name: path.read_bytes() for path in sorted(Path(assembly.directory).glob("*.template.json"))}


@pytest.mark.parametrize(
    ("variable", "values"),
    [
        ("CDK_CLI_VERSION", ("2.178.2 (build 1)", "2.1148.1 (build 2)")),
        ("CDK_DOCKER", ("docker", "podman")),
        ("DOCKER_BUILDKIT", ("0", "1")),
    ],
)
def test_two_machines_make_the_same_templates(
    docker_folder: str, monkeypatch: pytest.MonkeyPatch, variable: str, values: tuple[str, str]
) -> None:
    made = []
    for value in values:
        monkeypatch.setenv(variable, value)
        made.append(templates(docker_folder))
    assert len(made[0]) == 2
    assert made[0] == made[1]


def test_the_template_says_who_set_the_outputs_of_a_build(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    SafeDockerImageAsset(stack, "Own", directory=docker_folder, outputs=[], file="Other.dockerfile")
    found = resources(app.synth(), VERIFICATION).values()
    outputs = {it["Properties"]["ConstructPath"]: it["Properties"].get("BuildOutputs") for it in found}
    assert outputs == {"Demo/Image": "default", "Demo/Own": "custom"}


def test_the_template_says_whether_the_tag_depends_on_the_users_outputs(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    own: dict[str, Any] = {"outputs": ["type=docker"], "invalidation": {"outputs": False}}
    SafeImages.protect(stack)
    SafeDockerImageAsset(stack, "Safe", directory=docker_folder, **own)
    ecr_assets.DockerImageAsset(stack, "Plain", directory=docker_folder, file="Other.dockerfile", **own)
    found = resources(app.synth(), VERIFICATION).values()
    assert {it["Properties"].get("BuildOutputs") for it in found} == {"custom-unhashed"}
    assert len(found) == 2


def test_a_verification_in_a_nested_stack_knows_the_top_level_stack(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    nested = NestedStack(NestedStack(stack, "Outer"), "Inner")
    SafeDockerImageAsset(nested, "Image", directory=docker_folder)
    SafeDockerImageAsset(stack, "Image", directory=docker_folder, file="Other.dockerfile")
    folder = Path(app.synth().directory)
    names = [path.read_text().count('"StackName": "Demo"') for path in sorted(folder.glob("*.template.json"))]
    assert sum(names) == 1, "only where the event's own stack has another name"
