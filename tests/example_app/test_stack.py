"""The example's template: both services run verified images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Match, Template

from example_app.stack import ExampleStack

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def template() -> Template:
    return Template.from_stack(ExampleStack(cdk.App(), "Example"))


def test_each_task_definition_references_a_verified_image(template: Template) -> None:
    verifications = set(template.find_resources("Custom::ImageVerification"))
    tasks = template.find_resources("AWS::ECS::TaskDefinition").values()
    images = [task["Properties"]["ContainerDefinitions"][0]["Image"] for task in tasks]
    assert {image["Fn::GetAtt"][0] for image in images} == verifications
    assert len(verifications) == 2


def test_each_image_has_a_minimum_and_a_maximum_size(template: Template) -> None:
    bounds = {"MinSize": Match.any_value(), "MaxSize": Match.any_value()}
    template.resource_properties_count_is("Custom::ImageVerification", bounds, 2)


def test_each_service_has_the_circuit_breaker(template: Template) -> None:
    breaker = {"DeploymentConfiguration": {"DeploymentCircuitBreaker": {"Enable": True, "Rollback": True}}}
    template.resource_properties_count_is("AWS::ECS::Service", Match.object_like(breaker), 2)


@pytest.mark.parametrize(("name", "image"), [("python", "AutotagImage"), ("node", "AltTextImage")])
def test_context_can_set_another_base_image(name: str, image: str, tmp_path: Path) -> None:
    app = cdk.App(context={f"base-image:{name}": "mirror.example/base:1"}, outdir=str(tmp_path))
    ExampleStack(app, "Example")
    app.synth()
    assets: dict[str, Any] = json.loads((tmp_path / "Example.assets.json").read_text())["dockerImages"]
    arguments = {asset["displayName"]: asset["source"].get("dockerBuildArgs") for asset in assets.values()}
    assert arguments[image] == {"BASE_IMAGE": "mirror.example/base:1"}
    assert [value for key, value in arguments.items() if key != image] == [None]


def test_cdk_json_runs_the_example() -> None:
    assert json.loads((ROOT / "cdk.json").read_text())["app"] == "python3 -m example_app"
