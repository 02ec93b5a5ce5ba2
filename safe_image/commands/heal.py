"""`safe-image heal`: mend one failed deploy, by removing the rejected tag and what would be pushed under it again."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from image_verifier import aws
from image_verifier.custom_resource.properties import Properties
from image_verifier.custom_resource.schema import RESOURCE_TYPE
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.retry import RetryBudget
from image_verifier.text import printable
from image_verifier.verify import verify

from ..errors import UsageError
from ..formats.text.text_page import TextPage
from ..machine.docker import Docker
from ..machine.fixes import (
    Fix,
    apply,
    can_be_fixed_by_a_build,
    fixes_for,
    is_confirmed,
    local_fixes,
    plan,
    refusal_lines,
)
from ..sources.aws_sessions import AwsSessions
from ..sources.targets import Target, TargetResolver
from .arguments import add_policy_options, parse_policy

DESCRIPTION: Final = (
    "Mend a failed deploy: remove the rejected tag from ECR, and from this machine the image that CDK would push again "
    "without building it. Each image is verified first: only a tag whose image is broken is removed, only from the "
    "digest that was verified, and everything is shown before it is done."
)
EXAMPLES: Final = """\
  safe-image heal --stack Shop
  safe-image heal cdk.out:cdk.out --yes
  safe-image heal 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.4 --dry-run
"""
_STACK: Final = "AWS::CloudFormation::Stack"
_MOST_EVENTS: Final = 2000
_DEPTH: Final = 10
_PLATFORM: Final = "linux/amd64"
_OF_THE_PLATFORM: Final = frozenset({"platform-mismatch", "platform-missing"})
_SAY: Final = "write --platform, and it is removed where it is for another."
_THE_SAME_AGAIN: Final = (
    "A build would make the same image once more: change its Dockerfile or what is asked of it; --any-finding removes "
    "the tag all the same."
)


def add_arguments(parser: ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "references", nargs="*", metavar="REFERENCE", help="an image in ECR by its tag, or cdk.out:PATH"
    )
    parser.add_argument("--stack", metavar="NAME", help="the images that the last deploy of this stack has refused")
    add_policy_options(parser)
    # Whether it was said at all decides over an image that is fine on another platform.
    parser.set_defaults(platform=None)
    parser.add_argument(
        "--any-finding",
        action="store_true",
        help="remove the tag whatever refuses its image: also what its policy asks for, or its Dockerfile says",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.add_argument("--yes", action="store_true", help="do it without asking")


@dataclass(frozen=True)
class _Case:
    """One image, and what is to be done about it.

    :param target: the image.
    :param report: what was found in it.
    :param fixes: what is to be done.
    :param kept: why nothing is; empty where nothing is wrong, or something is done.
    """

    target: Target
    report: Report
    fixes: tuple[Fix, ...] = ()
    kept: str = ""


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image heal` parses them.
    :returns: the exit code: 0 where nothing is broken any more, 1 where something is and stays, 2 where that could not
        be told, or what was to be done has failed.
    """
    is_platform_said = arguments.platform is not None
    arguments.platform = arguments.platform or _PLATFORM
    asked = parse_policy(arguments)
    resolver, docker, page = TargetResolver(), Docker(), TextPage.of(sys.stdout)
    cases = []
    # All are looked at before anything is done to one.
    for target in _targets(arguments, asked, resolver):
        looked_at = _Look(asked, is_platform_said, arguments.any_finding, resolver.sessions, docker).at(target)
        print("\n".join(_shown(looked_at, page)), flush=True)
        cases.append(looked_at)
    fixes = list({fix.command: fix for case in cases for fix in case.fixes}.values())
    stays = any(case.kept for case in cases)
    if fixes:
        print(plan(fixes), flush=True)
    if arguments.dry_run or not fixes:
        return 1 if stays or fixes else 0
    if not is_confirmed(fixes, yes=arguments.yes):
        return 1
    if apply(fixes, sys.stdout):
        return 2
    print("Now deploy again: the image is built and pushed anew.")
    return 1 if stays else 0


@dataclass(frozen=True)
class _Look:
    """How images are looked at in one run of the command.

    :param asked: what is asked of one of which nothing else says it.
    :param is_platform_said: whether that names a platform because somebody said it.
    :param any_finding: whether a tag goes for whatever refuses its image.
    """

    asked: Policy
    is_platform_said: bool
    any_finding: bool
    sessions: AwsSessions
    docker: Docker

    def at(self, target: Target) -> _Case:
        """What there is under a tag, and what is to be done about it. Raises `Fault` if that cannot be told."""
        report = verify(target.open(), self._policy(target))
        if report.image.top is None:
            if report.image.status != "ACTIVE":
                return _Case(target, report, kept="It is archived, and may be fine: restore it.")
            # What is kept here would be pushed again.
            return _Case(target, report, tuple(local_fixes(target.names.local_image, self.docker)))
        if report.verdict == "pass":
            return _Case(target, report)
        if self._is_doubtful(target, report):
            return _Case(target, report, kept=f"Nobody has said that it must be for {report.image.platform}: {_SAY}")
        if not self.any_finding and not can_be_fixed_by_a_build(report):
            return _Case(target, report, kept=_THE_SAME_AGAIN)
        return _Case(target, report, tuple(fixes_for(target.names, report, self.sessions, self.docker)))

    def _policy(self, target: Target) -> Policy:
        if target.policy or self.is_platform_said:
            return target.policy or self.asked
        try:
            return replace(self.asked, platform=Platform.parse(target.names.platform))
        except ValueError:
            return self.asked

    def _is_doubtful(self, target: Target, report: Report) -> bool:
        """Whether the image is only for another platform than the one that is taken where nobody says one."""
        said = target.policy or self.is_platform_said or target.names.platform != _PLATFORM
        return not said and all(finding.id in _OF_THE_PLATFORM for finding in report.errors)


def _targets(arguments: Namespace, asked: Policy, resolver: TargetResolver) -> Iterator[Target]:
    if bool(arguments.references) == bool(arguments.stack):
        raise UsageError("write either the image (or cdk.out:PATH), or --stack and the name of the stack that failed")
    for text in arguments.references:
        for target in resolver.targets(text, str(asked.platform)):
            if not target.names.repository or not target.names.tag:
                raise UsageError(f"{text!r} is no tag in ECR: write ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG")
            yield target
    if arguments.stack:
        yield from _refused(arguments.stack, resolver)


def _refused(stack: str, resolver: TargetResolver) -> Iterator[Target]:
    """The images that the last deploy of a stack has refused, and the policies by which."""
    found: list[Properties] = []
    for event in _failures(stack, resolver.sessions, 0):
        # What another release has written is not to be misread.
        with suppress(ValueError):
            properties = Properties.parse(_said(event))
            if properties not in found:
                found.append(properties)
    if not found:
        raise UsageError(f"the last deploy of {stack} has refused no image: look at its events, or write the image")
    for properties in found:
        names = properties.names
        yield replace(resolver.target(names.reference, names.platform), names=names, policy=properties.policy)


def _failures(stack: str, sessions: AwsSessions, depth: int) -> Iterator[Mapping[str, Any]]:
    """The failures of a stack's verifications in its last deploy, and of those of the stacks in it."""
    nested = []
    for event in _events(stack, sessions):
        if event["ResourceStatus"] not in ("CREATE_FAILED", "UPDATE_FAILED"):
            continue
        if event["ResourceType"] == RESOURCE_TYPE:
            yield event
        # A stack's own events bear its own name here.
        elif event["ResourceType"] == _STACK and event.get("PhysicalResourceId") not in ("", None, event["StackId"]):
            nested.append(event["PhysicalResourceId"])
    if depth < _DEPTH:
        for inner in dict.fromkeys(nested):
            yield from _failures(inner, sessions, depth + 1)


def _events(stack: str, sessions: AwsSessions) -> Iterator[Mapping[str, Any]]:
    """The events of a stack's last deploy, newest first."""
    client, seen = sessions.client("cloudformation"), 0
    more: dict[str, str] = {}
    while seen < _MOST_EVENTS:
        missing = ("ValidationError",)
        answer = aws.call(client, "describe_stack_events", stack, RetryBudget.of(30), missing, StackName=stack, **more)
        if not answer:
            raise UsageError(
                f"there is no stack {stack!r} in this account and region: look at AWS_PROFILE and AWS_REGION; where it "
                "was deleted since, write the image"
            )
        for event in answer["StackEvents"]:
            seen += 1
            yield event
            started = event["ResourceStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
            if event.get("PhysicalResourceId") == event["StackId"] and started:
                return
        if not answer.get("NextToken"):
            return
        more = {"NextToken": answer["NextToken"]}


def _said(event: Mapping[str, Any]) -> Mapping[str, Any]:
    said = json.loads(event.get("ResourceProperties") or "{}")
    return said if isinstance(said, dict) else {}


def _shown(case: _Case, page: TextPage) -> Iterator[str]:
    name, report = page.paint("head", printable(case.target.reference)), case.report
    if report.image.top is None and not case.kept:
        yield f"{name}: the tag is not there" + (", but its image is kept on this machine" if case.fixes else "")
        return
    if report.verdict == "pass":
        yield f"{name}: {page.paint('pass', 'nothing is wrong with it')}, so that nothing is removed"
        return
    yield f"{name}: {page.paint('fail', 'refused')}"
    yield from refusal_lines(report, case.target.names, case.fixes, page)
    if case.kept:
        yield from page.wrap(f"Nothing is removed. {case.kept}", "  ")
