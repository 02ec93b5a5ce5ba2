"""`make integ`: a journey in a real AWS account, to which your environment has credentials.

The steps: a first deploy of two images, for whose verifications three services wait through a join; a broken update
that is refused and rolled back; the printed commands for the refused image while an index references it; the deletion.
The journey needs credentials, a bootstrapped region and a running Docker. It takes about five minutes, costs cents at
most, and always deletes its stack at the end. Its authors had no account, so they have not run it.

Exit 0: every step went as expected. 1: one did not. 2: there are no credentials.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local_aws.toolchain import install
from local_engines.checkout import LOCAL, ROOT
from release.integ.cure import cure

STACK = "CdkSafeImageIntegration"


def main() -> int:
    """Run the journey, and return the exit code."""
    try:
        account = boto3.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as e:
        print(f"make integ needs a region, and credentials of an AWS account: {e}", file=sys.stderr)
        return 2
    print(f"Running in account {account}, region {boto3.session.Session().region_name}.", flush=True)
    toolchain = install()

    def cdk(*arguments: str) -> tuple[int, str]:
        print(f"$ cdk {' '.join(arguments)}", flush=True)
        app = f"{sys.executable} -m release.integ.app"
        command = [str(toolchain.cdk), *arguments, "--app", app, "--output", str(LOCAL / "integ.out")]
        environment = {**os.environ, "PATH": f"{toolchain.node_bin}{os.pathsep}{os.environ['PATH']}"}
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
        return process.wait(), "".join(lines)

    def status() -> str:
        stacks = boto3.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return str(stacks[0]["StackStatus"])

    def events() -> list[Any]:
        pages = boto3.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=STACK)
        return [event for page in pages for event in page["StackEvents"]][::-1]

    steps: list[tuple[str, bool]] = []
    try:
        code, _ = cdk("deploy", "--require-approval=never")
        steps.append(("two good images deploy", code == 0))
        first = events()
        steps.append(("each service waits for both verifications", _services_wait(first)))
        code, output = cdk("deploy", "--require-approval=never", "--context", "state=broken")
        steps.append(("an arm64 image for an amd64 task is refused", code != 0 and "platform-mismatch" in output))
        steps.append(("the stack rolls back", status() == "UPDATE_ROLLBACK_COMPLETE"))
        steps.append(("no service changes", not _of("AWS::ECS::Service", events()[len(first) :])))
        steps.append(("the printed commands free the tag, and ECR keeps the image and its index", cure(output)))
        code, _ = cdk("deploy", "--require-approval=never")
        steps.append(("the good image deploys again", code == 0))
    finally:
        code, _ = cdk("destroy", "--force")
        steps.append(("the stack is deleted", code == 0))
    for step, passed in steps:
        print(f"{'ok    ' if passed else 'FAILED'} {step}")
    return 0 if all(passed for _, passed in steps) else 1


def _of(resource_type: str, events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["ResourceType"] == resource_type]


def _services_wait(events: list[dict[str, Any]]) -> bool:
    """Whether each service is started after the last verification is complete."""
    verifications, services = _of("Custom::ImageVerification", events), _of("AWS::ECS::Service", events)
    verified = [it["Timestamp"] for it in verifications if it["ResourceStatus"] == "CREATE_COMPLETE"]
    started = [it["Timestamp"] for it in services if it["ResourceStatus"] == "CREATE_IN_PROGRESS"]
    return len(verified) == 2 and bool(started) and max(verified) <= min(started)


if __name__ == "__main__":
    sys.exit(main())
