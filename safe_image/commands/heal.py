"""`safe-image heal`: mend one failed deploy, by removing the rejected tag and what would be pushed under it again."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from image_verifier import aws
from image_verifier.findings import Report
from image_verifier.policy import Policy
from image_verifier.properties import Properties
from image_verifier.retry import Patience
from image_verifier.verify import verify

from ..accounts import Accounts
from ..arguments import add_policy, policy
from ..docker import Docker
from ..errors import UsageError
from ..formats.text import Page, finding_lines, printable
from ..mending import Step, is_agreed, is_broken, local_steps, steps_for, take
from ..sources import Sources, Target

DESCRIPTION: Final = (
    "Mend a failed deploy: remove the rejected tag from ECR, and from this machine the image that CDK would push again "
    "without building it. Only a tag whose image is broken is removed; everything is shown before it is done."
)
EXAMPLES: Final = """\
  safe-image heal --stack Shop
  safe-image heal 123456789012.dkr.ecr.eu-west-1.amazonaws.com/cdk-assets:1.4 --dry-run
"""
_TYPE: Final = "Custom::ImageVerification"
_MOST_EVENTS: Final = 2000


def add_arguments(parser: ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "references", nargs="*", metavar="REFERENCE", help="an image in ECR by its tag, or cdk.out:PATH"
    )
    parser.add_argument("--stack", metavar="NAME", help="the images that the last deploy of this stack has refused")
    add_policy(parser)
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.add_argument("--yes", action="store_true", help="do it without asking")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image heal` parses them.
    :returns: the exit code: 0 where nothing is broken any more, 1 where something is and stays.
    """
    asked = policy(arguments)
    sources, docker, page = Sources(), Docker(), Page.of(sys.stdout)
    targets = list(_targets(arguments, asked, sources))
    steps: list[Step] = []
    stays = False
    for target in targets:
        report = verify(target.open(), target.policy or asked, target.names)
        mends = _mending(target, report, sources.accounts, docker)
        stays |= report.verdict == "fail" and not mends
        print("\n".join(_shown(target, report, mends, page)), flush=True)
        steps += mends
    if arguments.dry_run or not steps:
        return 1 if stays or steps else 0
    if not is_agreed(steps, yes=arguments.yes):
        return 1
    if take(steps):
        return 2
    print("Now deploy again: CDK builds and pushes the image anew.")
    return 1 if stays else 0


def _targets(arguments: Namespace, asked: Policy, sources: Sources) -> Iterator[Target]:
    if bool(arguments.references) == bool(arguments.stack):
        raise UsageError("write either the image (or cdk.out:PATH), or --stack and the name of the stack that failed")
    for text in arguments.references:
        for target in sources.targets(text, str(asked.platform)):
            if not target.names.repository or not target.names.tag:
                raise UsageError(f"{text!r} is no tag in ECR: write ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG")
            yield target
    if arguments.stack:
        yield from _refused(arguments.stack, sources)


def _refused(stack: str, sources: Sources) -> Iterator[Target]:
    """The images that the last deploy of a stack has refused, and the policies by which."""
    found = False
    for event in _events(stack, sources.accounts):
        if event["ResourceType"] == _TYPE and event["ResourceStatus"] in ("CREATE_FAILED", "UPDATE_FAILED"):
            try:
                properties = Properties.parse(_said(event))
            except ValueError:
                continue
            found = True
            names = properties.names
            target = sources.target(names.reference, names.platform)
            yield replace(target, names=names, policy=properties.policy)
    if not found:
        raise UsageError(f"the last deploy of {stack} has refused no image: look at its events, or write the image")


def _events(stack: str, accounts: Accounts) -> Iterator[Mapping[str, Any]]:
    """The events of a stack's last deploy, newest first."""
    client, seen = accounts.client("cloudformation"), 0
    more: dict[str, str] = {}
    while seen < _MOST_EVENTS:
        answer = aws.call(client, "describe_stack_events", stack, Patience.of(30), StackName=stack, **more)
        for event in answer["StackEvents"]:
            seen += 1
            yield event
            started = event["ResourceStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
            if event["PhysicalResourceId"] == event["StackId"] and started:
                return
        if not answer.get("NextToken"):
            return
        more = {"NextToken": answer["NextToken"]}


def _said(event: Mapping[str, Any]) -> Mapping[str, Any]:
    said = json.loads(event.get("ResourceProperties") or "{}")
    return said if isinstance(said, dict) else {}


def _mending(target: Target, report: Report, accounts: Accounts, docker: Docker) -> list[Step]:
    if report.image.top is None:
        # The tag is gone; what is kept here would be pushed again.
        return local_steps(target.names.local_image, docker)
    return steps_for(target.names, report, accounts, docker) if is_broken(report) else []


def _shown(target: Target, report: Report, steps: list[Step], page: Page) -> Iterator[str]:
    name = page.paint("head", printable(target.reference))
    if report.image.top is None:
        yield f"{name}: the tag is not there" + (", but its image is kept on this machine" if steps else "")
    elif report.verdict == "pass":
        yield f"{name}: {page.paint('pass', 'nothing is wrong with it')}, so that nothing is removed"
    else:
        yield f"{name}: {page.paint('fail', 'refused')}"
        for finding in report.errors:
            yield from finding_lines(finding, page)
        if not steps:
            yield "    Building it anew would make the same image: change the image, or what is asked of it."
    if steps:
        yield "  to be done:"
        yield from (f"    {page.paint('command', printable(step.command))}" for step in steps)
