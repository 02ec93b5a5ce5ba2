"""An app to try constructs in, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App, Environment, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ssm as ssm
from aws_cdk.cx_api import CloudAssembly
from constructs import Construct

from cdk_safe_image import ImageVerification, SafeDockerImageAsset

VERIFICATION = "Custom::ImageVerification"
TASK = "AWS::ECS::TaskDefinition"
# CDK's own rules for templates make any synth fail that CloudFormation would refuse.
RULES = {"@aws-cdk/core:validateAgainstDefaultRules": True}


def new_app(**context: Any) -> App:
    """An app that does not depend on this machine."""
    return App(analytics_reporting=False, context=RULES | context)


def stack_in(app: Construct, name: str = "Demo", region: str | None = None) -> Stack:
    """An empty stack, of an environment only where a region is named."""
    return Stack(app, name, env=Environment(account="111122223333", region=region) if region else None)


def not_empty(stack: Stack) -> Stack:
    """With a resource, without which a template is none."""
    ssm.CfnParameter(stack, "NotEmpty", type="String", value="-")
    return stack


def run_on_fargate(stack: Construct, name: str, image: SafeDockerImageAsset | ImageVerification, **more: Any) -> Any:
    """A task definition, and a service of it."""
    task = ecs.FargateTaskDefinition(stack, f"{name}Task", **more)
    task.add_container("app", image=image.container_image())
    return serve(stack, name, task)


def serve(stack: Construct, name: str, task: ecs.TaskDefinition) -> ecs.CfnService:
    network = ecs.CfnService.AwsVpcConfigurationProperty(subnets=["subnet-0123456789abcdef0"])
    return ecs.CfnService(
        stack,
        name,
        task_definition=task.task_definition_arn,
        network_configuration=ecs.CfnService.NetworkConfigurationProperty(awsvpc_configuration=network),
    )


def resources(assembly: CloudAssembly, kind: str, stack: str = "Demo") -> dict[str, Any]:
    """A stack's resources of a type, by logical ID."""
    template = assembly.get_stack_by_name(stack).template
    return {name: it for name, it in template.get("Resources", {}).items() if it["Type"] == kind}


def the_only(assembly: CloudAssembly, kind: str, stack: str = "Demo") -> tuple[str, Any]:
    """The one resource of a type, and its logical ID."""
    (found,) = resources(assembly, kind, stack).items()
    return found


def reached(template: Mapping[str, Any], start: str) -> set[str]:
    """The resources that are complete before a resource is made: its dependencies, and theirs."""
    known = template["Resources"]
    found: set[str] = set()
    pending = [start]
    while pending:
        resource = known[pending.pop()]
        names = {name for name in known if f'"{name}"' in json.dumps(resource)}
        pending += names - found
        found |= names
    return found


def messages_of(assembly: CloudAssembly, level: str, stack: str = "Demo") -> list[str]:
    """The warnings and errors of our constructs for a stack.

    Read from the assembly's files: aws-cdk-lib and aws-cdk-cloud-assembly-schema install the same Python module, and
    which one wins depends on the installer, so that jsii may not know the type of a message.
    """
    folder = Path(assembly.directory)
    artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
    artifact = artifacts[assembly.get_stack_by_name(stack).id]
    more = artifact.get("additionalMetadataFile")
    metadata = {**artifact.get("metadata", {}), **(json.loads((folder / more).read_text()) if more else {})}
    texts = [
        f"{path.lstrip('/')}: {entry['data']}"
        for path, entries in metadata.items()
        for entry in entries
        if entry["type"] == f"aws:cdk:{level}"
    ]
    return [text for text in texts if level == "error" or "cdk-safe-image:" in text]


def strings(value: Any) -> Iterator[str]:
    """Every string in a template."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
