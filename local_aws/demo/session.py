"""The parts that every step of the demo uses: the local AWS, the Docker engine, the CDK CLI, and the table's rows."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_aws.account import ACCOUNT, REGION
from local_aws.demo.pasting import paste
from local_aws.demo.results import Expectation
from local_aws.process import LocalAws, LocalAwsError
from local_engines.checkout import LOCAL, ROOT
from local_engines.containerd import Containerd
from local_engines.dockerd import DockerEngine

STACK = "Example"
ECR = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
LOGS = LOCAL / "demo"
WIDTH = 118
# The lines of the CDK CLI that show progress; its whole output is in the log.
_PROGRESS = re.compile(r"success: |deploying\.\.\.|\| Custom::ImageVerification|\| AWS::ECS::Service|✅")


@dataclass
class Demo:
    """The running demo.

    :param context: options of the CDK CLI that name the base images.
    :param python_base: the base image of *autotag* in the engine.
    :param aws_cli: the folder of the AWS CLI.
    :param started: when the demo started, by `time.monotonic`.
    """

    aws: LocalAws
    engine: DockerEngine
    context: list[str]
    python_base: str
    aws_cli: Path
    started: float
    expectations: list[Expectation] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Print one line of progress."""
        say(self.started, text)

    def cdk(self, *arguments: str, app: Path, log: str) -> subprocess.CompletedProcess[str]:
        """Run the CDK CLI in the app's folder, as a user does.

        :param log: name of the log below `.local/demo`, without its suffix.
        """
        path = f"{Path(sys.executable).parent}:{self.aws.env()['PATH']}"
        with _ProgressLog((LOGS / f"{log}.log").open("wb"), encoding="utf-8") as stream:
            return self.aws.cdk(
                *arguments, *self.context, cwd=app, env={**self.engine.env(), "PATH": path}, stream=stream
            )

    def synth(self, app: Path) -> None:
        """Run `cdk synth`.

        :raises LocalAwsError: with its output, when it fails.
        """
        done = self.cdk("synth", "--quiet", app=app, log="synth")
        if done.returncode:
            raise LocalAwsError(f"cdk synth failed:\n{done.stdout}")

    def deploy(self, *arguments: str, app: Path, log: str) -> subprocess.CompletedProcess[str]:
        """Run `cdk deploy`."""
        return self.cdk("deploy", STACK, "--require-approval=never", *arguments, app=app, log=log)

    def stack(self) -> dict[str, Any]:
        """The deployed stack, as CloudFormation describes it."""
        stacks: list[dict[str, Any]] = self.aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return stacks[0]

    def events(self) -> list[dict[str, Any]]:
        """The stack's events, the oldest first."""
        pages = self.aws.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=STACK)
        return [event for page in pages for event in page["StackEvents"]][::-1]

    def images_by_service(self) -> dict[str, str]:
        """The image in each ECS service's task definition."""
        ecs = self.aws.client("ecs")
        images = {}
        for cluster in ecs.list_clusters()["clusterArns"]:
            arns = ecs.list_services(cluster=cluster)["serviceArns"]
            for service in ecs.describe_services(cluster=cluster, services=arns)["services"]:
                task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
                images[service["serviceName"]] = task["containerDefinitions"][0]["image"]
        return images

    def image(self, app: Path, name: str) -> tuple[str, str]:
        """(repository, tag) of an image of the synthesized app."""
        manifest = json.loads((app / "cdk.out" / f"{STACK}.assets.json").read_text())
        image = next(image for image in manifest["dockerImages"].values() if image["displayName"] == name)
        destination = next(iter(image["destinations"].values()))
        repository = destination["repositoryName"].replace("${AWS::AccountId}", ACCOUNT)
        return repository.replace("${AWS::Region}", REGION), destination["imageTag"]

    def containerd(self) -> AbstractContextManager[Containerd]:
        """A containerd of Fargate's release, which reaches the local AWS under ECR's host name."""
        return Containerd.start("1.7", {ECR: self.aws.endpoint})

    def credentials(self) -> tuple[str, str]:
        """(user, password) of the registry."""
        token = self.aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
        user, _, password = base64.b64decode(token).decode().partition(":")
        return user, password

    def expect(self, deploy: str, what: str, expected: str, actual: str) -> None:
        """Add a row to the table, and print it."""
        row = Expectation(deploy, what, expected, actual)
        self.expectations.append(row)
        self.say(f"  {'ok ' if row.met else 'NOT as expected'} {what}: {actual}")

    def note(self, deploy: str, text: str) -> None:
        """Add a line below the rows of a deploy, and print it."""
        self.notes[deploy] = text
        self.say(f"  {text}")

    def paste(self, command: str, app: Path) -> bool:
        """Paste a printed command into bash, as a person with the AWS CLI and `safe-image`; whether it succeeds."""
        path = f"{self.aws_cli}:{Path(sys.executable).parent}:{self.aws.env()['PATH']}"
        for line in command.splitlines():
            print("          $ " + line.strip(), flush=True)
        done = paste(command, {**self.aws.env(), **self.engine.env(), "PATH": path}, app)
        print(textwrap.indent(done.stdout.rstrip(), "          | "), flush=True)
        return done.returncode == 0


class _ProgressLog(io.TextIOWrapper):
    """Keeps the whole output in a file, and prints the lines that show progress."""

    def write(self, text: str) -> int:
        if _PROGRESS.search(text):
            columns = [column.strip() for column in text.split("|")][-3:]
            print("          | " + textwrap.shorten("  ".join(columns), WIDTH - 12), flush=True)
        return super().write(text)


def say(started: float, text: str) -> None:
    """Print one line of progress."""
    print(f"{time.monotonic() - started:7.1f}s  {text}", flush=True)


@contextmanager
def copied_app() -> Iterator[Path]:
    """A copy of this repository's example, to deploy and to change."""
    with tempfile.TemporaryDirectory(prefix="csi-app-") as folder:
        app = Path(folder)
        shutil.copy(ROOT / "cdk.json", app)
        shutil.copytree(ROOT / "example_app", app / "example_app", ignore=shutil.ignore_patterns("__pycache__"))
        yield app


@contextmanager
def built_images_removed(engine: DockerEngine, registry: str) -> Iterator[None]:
    """Remove the images that are built meanwhile, so that the next run builds them again from the build cache.

    :param engine: may be this machine's own Docker, with images of other CDK apps, which stay.
    :param registry: the local AWS's registry, as host and port.
    """

    def names() -> set[str]:
        present = engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        return {name for name in present if name.startswith(("cdkasset-", f"{registry}/"))}

    before = names()
    try:
        yield
    finally:
        built = sorted(names() - before)
        if built:
            engine.docker("image", "rm", "--force", *built)
