"""A stack on its way: deployed by the real CDK CLI from an app that runs on the installed wheel."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from local_aws import LocalAws

_APPS = Path(__file__).parent / "apps"
_SECONDS = 300
LAST = "cdk.out"
"""The cloud assembly that the last step has synthesized; a step that changes nothing in it need not do so again."""


@dataclass(frozen=True)
class Step:
    """One command of the CDK CLI, and what it left behind.

    :param code: its exit code.
    :param output: what the terminal showed.
    :param status: the stack's status after it; empty where there is no stack.
    :param outputs: the stack's outputs after it.
    :param images: the image that every service of the stack runs after it, by the service's name.
    :param events: the stack's events during it, oldest first.
    :param requests: what its verifications were asked and answered during it, oldest first.
    """

    code: int = 0
    output: str = ""
    status: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    events: tuple[dict[str, Any], ...] = ()
    requests: tuple[dict[str, Any], ...] = ()

    def touched(self, *resource_types: str) -> set[str]:
        """The logical IDs of these types of resource that had an event."""
        return {event["LogicalResourceId"] for event in self.events if event["ResourceType"] in resource_types}

    @property
    def asked(self) -> list[str]:
        """The types of the requests to the verifier."""
        return [request["request_type"] for request in self.requests]

    @property
    def reason(self) -> str:
        """The reason of the only refusal."""
        (answer,) = [json.loads(r["answers"][0]) for r in self.requests if r["status"] == "FAILED"]
        return str(answer["Reason"])


@dataclass(frozen=True)
class Journey:
    """One app and its stack.

    :param aws: where it is deployed.
    :param python: the interpreter that has the wheel.
    :param folder: an empty folder to work in.
    :param app: the app's name in `apps/`.
    :param stack: the name of the stack that is looked at.
    """

    aws: LocalAws
    python: Path
    folder: Path
    app: str
    stack: str

    def cdk(self, *arguments: str, env: Mapping[str, str] | None = None, app: str = "", **context: Any) -> Step:
        """Run the CDK CLI and wait until nothing of the stack is in progress.

        :param env: what to add to the environment.
        :param app: a cloud assembly instead of the app.
        :param context: the app's context; what is not a text becomes JSON.
        """
        said = {"stack": self.stack, **{name: _text(value) for name, value in context.items()}}
        # -I: neither PYTHONPATH nor the folder of the app may bring in anything of the checkout.
        command = [*arguments, f"--app={app or f'{self.python} -I {_APPS / self.app}.py'}"]
        command += [f"--context={name}={value}" for name, value in said.items()]
        before = self.look()
        done = self.aws.cdk(*command, cwd=self.folder, env=env, timeout=_SECONDS)
        after = self.look()
        known = {event["EventId"] for event in before.events}
        return replace(
            after,
            code=done.returncode,
            output=done.stdout,
            events=tuple(event for event in after.events if event["EventId"] not in known),
            requests=after.requests[len(before.requests) :],
        )

    def look(self) -> Step:
        """The stack as it is once nothing of it is in progress, with all that happened to it."""
        stack = self._settled()
        return Step(
            status=stack.get("StackStatus", ""),
            outputs={output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])},
            images=self._images() if stack else {},
            events=tuple(self._events()),
            requests=tuple(self._requests()),
        )

    def beside(self, stack: str) -> Journey:
        """The journey of another stack of the same app."""
        return replace(self, stack=stack)

    def deploy(self, *arguments: str, **more: Any) -> Step:
        """`cdk deploy` all of the app without questions; it must succeed."""
        step = self.cdk("deploy", "--all", "--require-approval=never", *arguments, **more)
        assert step.code == 0, step.output
        return step

    def refused(self, *arguments: str, **more: Any) -> Step:
        """`cdk deploy` all of the app without questions; it must fail."""
        step = self.cdk("deploy", "--all", "--require-approval=never", *arguments, **more)
        assert step.code == 1, step.output
        return step

    def destroy(self, **more: Any) -> Step:
        """`cdk destroy` all of the app without questions; it must succeed."""
        step = self.cdk("destroy", "--all", "--force", **more)
        assert step.code == 0, step.output
        return step

    def synth(self, output: str, **more: Any) -> Path:
        """`cdk synth` into a folder of that name; the folder."""
        step = self.cdk("synth", "--quiet", f"--output={output}", **more)
        assert step.code == 0, step.output
        return self.folder / output

    def _described(self) -> dict[str, Any]:
        cloudformation = self.aws.client("cloudformation")
        try:
            stack: dict[str, Any] = cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]
        except cloudformation.exceptions.ClientError:
            return {}
        return stack

    def _settled(self) -> dict[str, Any]:
        deadline = time.monotonic() + _SECONDS
        while (stack := self._described()).get("StackStatus", "").endswith("_IN_PROGRESS"):
            assert time.monotonic() < deadline, stack
            time.sleep(0.1)
        return stack

    def _events(self) -> list[dict[str, Any]]:
        cloudformation = self.aws.client("cloudformation")
        try:
            pages = list(cloudformation.get_paginator("describe_stack_events").paginate(StackName=self.stack))
        except cloudformation.exceptions.ClientError:
            return []
        return [event for page in pages for event in page["StackEvents"]][::-1]

    def _requests(self) -> list[dict[str, Any]]:
        stack = f":stack/{self.stack}/"
        return [request for request in self.aws.custom_resources() if stack in request["stack_id"]]

    def _images(self) -> dict[str, str]:
        ecs = self.aws.client("ecs")
        resources = self.aws.client("cloudformation").list_stack_resources(StackName=self.stack)
        found = {}
        for resource in resources["StackResourceSummaries"]:
            if resource["ResourceType"] != "AWS::ECS::Service" or resource["ResourceStatus"] == "DELETE_COMPLETE":
                continue
            cluster, name = resource["PhysicalResourceId"].split("/")[-2:]
            (service,) = ecs.describe_services(cluster=cluster, services=[name])["services"]
            task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
            assert task["status"] == "ACTIVE", task
            found[resource["LogicalResourceId"].partition("Service")[0]] = task["containerDefinitions"][0]["image"]
        return found


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | Path) else json.dumps(value)
