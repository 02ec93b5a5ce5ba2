"""`safe-image heal`: after a failed deploy, remove the rejected tag and the local image that CDK would push again."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import Report
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
from ..sources.refused_images import refused_images
from ..sources.targets import Target, TargetResolver
from .arguments import DEFAULT_POLICY, add_policy_options, parse_policy
from .exit_codes import UNKNOWN

DESCRIPTION: Final = (
    "Fix a failed deploy: remove the rejected tag from ECR, and from this machine the image that CDK would push again "
    "without building it. Each image is checked first: a tag is removed only if its image is broken, and only from the "
    "digest that was checked. The plan is shown before anything is done."
)
EXAMPLES: Final = """\
  safe-image heal --stack Shop
  safe-image heal cdk.out:cdk.out --yes
  safe-image heal 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.4 --dry-run
"""
_DEFAULT_PLATFORM: Final = str(DEFAULT_POLICY.platform)
_PLATFORM_FINDINGS: Final = frozenset({"platform-mismatch", "platform-missing"})
_ARCHIVED: Final = "It is archived, and may be healthy: restore it."
_OTHER_PLATFORM: Final = (
    "It is for another platform than {platform}, which may be intended: pass --platform {platform} to remove it."
)
_SAME_AGAIN: Final = (
    "A build would make the same image again: change its Dockerfile or its policy. Pass --any-finding to remove the "
    "tag anyway."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "references", nargs="*", metavar="REFERENCE", help="an image in ECR by its tag, or cdk.out:PATH"
    )
    parser.add_argument("--stack", metavar="NAME", help="the images that the last deploy of this stack refused")
    add_policy_options(parser)
    # Without --platform, an image for another platform is not broken.
    parser.set_defaults(platform=None)
    parser.add_argument(
        "--any-finding",
        action="store_true",
        help="remove the tag for any finding, also for one of the policy or of the Dockerfile",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show the plan")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


@dataclass(frozen=True)
class _Case:
    """One image and its fixes.

    :param target: the image.
    :param report: its report.
    :param fixes: its fixes.
    :param kept: why a refused image is left alone; empty otherwise.
    """

    target: Target
    report: Report
    fixes: tuple[Fix, ...] = ()
    kept: str = ""


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image heal` parses them.
    :returns: the exit code: 0 if no image is broken any more, 1 if one is left broken, 2 if a fix failed.
    :raises UsageError: if an argument is wrong.
    :raises Fault: if an image could not be checked.
    """
    is_platform_passed = arguments.platform is not None
    arguments.platform = arguments.platform or _DEFAULT_PLATFORM
    policy = parse_policy(arguments)
    resolver, docker, page = TargetResolver(), Docker(), TextPage.of(sys.stdout)
    healer = _Healer(policy, is_platform_passed, arguments.any_finding, resolver.sessions, docker)
    cases = []
    # Every image is checked before the first fix is applied.
    for target in _targets(arguments, policy, resolver):
        case = healer.case(target)
        print("\n".join(_case_lines(case, page)), flush=True)
        cases.append(case)
    fixes = list({fix.command: fix for case in cases for fix in case.fixes}.values())
    is_any_kept = any(case.kept for case in cases)
    if fixes:
        print(plan(fixes), flush=True)
    if arguments.dry_run or not fixes:
        return 1 if is_any_kept or fixes else 0
    if not is_confirmed(fixes, yes=arguments.yes):
        return 1
    if apply(fixes, sys.stdout):
        return UNKNOWN
    print("Now deploy again: CDK builds and pushes the image anew.")
    return 1 if is_any_kept else 0


@dataclass(frozen=True)
class _Healer:
    """Finds the fixes of images.

    :param policy: the policy of an image that has none of its own.
    :param is_platform_passed: whether the user passed the policy's platform.
    :param any_finding: whether a tag is removed for any finding.
    :param sessions: the AWS sessions that remove tags.
    :param docker: the engine of this machine.
    """

    policy: Policy
    is_platform_passed: bool
    any_finding: bool
    sessions: AwsSessions
    docker: Docker

    def case(self, target: Target) -> _Case:
        """An image with its fixes. Raises `Fault` if it could not be checked."""
        report = verify(target.open(), self._policy(target))
        if report.image.top is None:
            if report.image.status != "ACTIVE":
                return _Case(target, report, kept=_ARCHIVED)
            # CDK would push the local image under the tag again.
            return _Case(target, report, tuple(local_fixes(target.names.local_image, self.docker)))
        if report.verdict == "pass":
            return _Case(target, report)
        if self._is_for_another_platform(target, report):
            platform = report.image.platform
            return _Case(target, report, kept=_OTHER_PLATFORM.format(platform=platform))
        if not self.any_finding and not can_be_fixed_by_a_build(report):
            return _Case(target, report, kept=_SAME_AGAIN)
        return _Case(target, report, tuple(fixes_for(target.names, report, self.sessions, self.docker)))

    def _policy(self, target: Target) -> Policy:
        if target.policy or self.is_platform_passed:
            return target.policy or self.policy
        try:
            return replace(self.policy, platform=Platform.parse(target.names.platform))
        except ValueError:
            return self.policy

    def _is_for_another_platform(self, target: Target, report: Report) -> bool:
        """Whether the image is refused only because it is not for the default platform, which was not passed."""
        is_known = target.policy or self.is_platform_passed or target.names.platform != _DEFAULT_PLATFORM
        return not is_known and all(finding.id in _PLATFORM_FINDINGS for finding in report.errors)


def _targets(arguments: Namespace, policy: Policy, resolver: TargetResolver) -> Iterator[Target]:
    if bool(arguments.references) == bool(arguments.stack):
        raise UsageError("pass either an image (or cdk.out:PATH), or --stack and the name of the stack that failed")
    for text in arguments.references:
        for target in resolver.targets(text, str(policy.platform)):
            if not target.names.repository or not target.names.tag:
                raise UsageError(f"{text!r} is not a tag in ECR: use ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG")
            yield target
    if arguments.stack:
        yield from refused_images(arguments.stack, resolver)


def _case_lines(case: _Case, page: TextPage) -> Iterator[str]:
    name, report = page.paint("head", printable(case.target.reference)), case.report
    if report.image.top is None and not case.kept:
        yield f"{name}: the tag does not exist" + (", but its image is on this machine" if case.fixes else "")
        return
    if report.verdict == "pass":
        yield f"{name}: {page.paint('pass', 'passed')}, nothing is removed"
        return
    yield f"{name}: {page.paint('fail', 'refused')}"
    yield from refusal_lines(report, case.target.names, case.fixes, page)
    if case.kept:
        yield from page.wrap(f"Nothing is removed. {case.kept}", "  ")
