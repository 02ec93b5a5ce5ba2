"""The readers of images in use follow the table of consumers: each type of ECS and Lambda, and no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from image_verifier.rules.consumer_types import template_names
from image_verifier.rules.consumers import ARCHITECTURES, CONSUMERS, LAUNCH_TYPES
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.running.lambda_uses import _platform
from image_verifier.running.launch import platform_of, runtime_of

AUDIT_PAGE: Final = Path(__file__).parents[4] / "docs" / "commands" / "audit.md"
# How the readers see each type that they read: what ECS or Lambda report of it.
SEEN_AS: Final = {
    "AWS::ECS::TaskDefinition": "services, and tasks of no service",
    "AWS::ECS::DaemonTaskDefinition": "tasks whose launch type is MANAGED_INSTANCES",
    "AWS::ECS::ExpressGatewayService": "services whose launch type is FARGATE",
    "AWS::Lambda::Function": "functions",
    "AWS::Serverless::Function": "functions",
}


def test_every_type_that_ecs_or_lambda_run_is_read() -> None:
    theirs = {name for name in CONSUMERS if name.split("::")[1] in ("ECS", "Lambda", "Serverless")}
    assert theirs == set(SEEN_AS)


def _task_definitions() -> Iterator[tuple[Mapping[str, Any], str]]:
    for hosts in LAUNCH_TYPES:
        for architecture in ("", *ARCHITECTURES):
            platform = {"runtimePlatform": {"cpuArchitecture": architecture}} if architecture else {}
            yield {"requiresCompatibilities": [hosts], **platform}, hosts
    windows = {"cpuArchitecture": "X86_64", "operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}
    yield {"requiresCompatibilities": ["FARGATE"], "runtimePlatform": windows}, "FARGATE"


@pytest.mark.parametrize(("definition", "hosts"), list(_task_definitions()))
def test_a_task_definition_in_use_has_the_runtime_and_platform_of_its_row(
    definition: Mapping[str, Any], hosts: str
) -> None:
    row = CONSUMERS["AWS::ECS::TaskDefinition"].use(template_names(definition))
    runtime = runtime_of({"launchType": hosts}, definition)
    assert ((runtime,), platform_of(definition, runtime, {})) == (row.runs_on, row.platform or "")


@pytest.mark.parametrize("architectures", [[], ["x86_64"], ["arm64"]])
def test_a_function_in_use_has_the_runtime_and_platform_of_its_row(architectures: list[str]) -> None:
    properties = {"Architectures": architectures} if architectures else {}
    row = CONSUMERS["AWS::Lambda::Function"].use(properties)
    assert (row.runs_on, row.platform) == (("lambda",), _platform(properties))


@pytest.mark.parametrize(
    ("name", "launch_type"),
    [("AWS::ECS::ExpressGatewayService", "FARGATE"), ("AWS::ECS::DaemonTaskDefinition", "MANAGED_INSTANCES")],
)
def test_a_service_or_task_that_ecs_makes_has_the_runtime_of_its_row(name: str, launch_type: str) -> None:
    assert CONSUMERS[name].use({}).runs_on == (runtime_of({"launchType": launch_type}),)


def test_the_page_of_the_audit_names_every_runtime_whose_images_in_use_are_not_read() -> None:
    read = {name for row in SEEN_AS for name in CONSUMERS[row].use({}).runs_on} | set(LAUNCH_TYPES.values())
    titles = [runtime.title for name, runtime in RUNTIMES.items() if name not in read]
    (paragraph,) = (part for part in AUDIT_PAGE.read_text().split("\n\n") if part.startswith("Not read are"))
    assert [title for title in titles if title not in paragraph] == []
