"""`safe-image heal`: after a failed deploy, remove the rejected tag and the local image that CDK would push again."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from image_verifier.deletion import reason_to_keep
from image_verifier.faults import Fault
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.rules.artifacts import ATTESTATION
from image_verifier.rules.names import BuildOutputs
from image_verifier.text import printable

from ..errors import UsageError
from ..formats.text.text_page import TextPage
from ..machine.carry_out import Result, carry_out
from ..machine.docker import Docker
from ..machine.fixes import Fix, fixes_for, local_fixes, must_be_changed, only_a_change_fixes, refusal_lines
from ..results.all_policies import Requirements, policies_of, reports_of
from ..sources.aws_sessions import AwsSessions
from ..sources.refused_images import refused_images
from ..sources.targets import Target, TargetResolver
from .arguments import DEFAULT_POLICY, add_policy_options, configuration_of, parse_policy
from .exit_codes import UNKNOWN

DESCRIPTION: Final = (
    "Fix a failed deploy: remove the rejected tag from ECR, and from this machine the image that CDK would push again "
    "without building it. A tag is removed only if no runtime of its verifications can pull the image, and only from "
    "the digest that was checked. The plan is shown before anything is done."
)
EXAMPLES: Final = """\
  safe-image heal --stack Shop --region eu-west-1
  safe-image heal cdk.out:cdk.out --yes
  safe-image heal 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.4 --dry-run
"""
_PLATFORMS: Final = ("linux/amd64", "linux/arm64")
_ARCHIVED: Final = "It is archived, and may be healthy: restore it."
_SAME_AGAIN: Final = (
    "A build would make the same image again: change it as shown above. The change gives the image another tag, so "
    "nothing has to be removed."
)
_CHANGE_FIRST: Final = (
    "Before you deploy, change the build as shown above: the same build would be refused again, for its other findings."
)
_RACE_FIRST: Final = (
    "Before you deploy, upgrade Docker to 28.2.0 or later (or 25.0.16): version {version} on this machine can leave "
    "the tag on the attestation of the same build again. SafeDockerImageAsset builds without an attestation."
)
_DEPLOY: Final = "Now deploy again: CDK builds and pushes the image anew."


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "references", nargs="*", metavar="REFERENCE", help="an image in ECR by its tag, or cdk.out:PATH"
    )
    parser.add_argument(
        "--stack",
        metavar="NAME",
        help="the images that the last deploy of this stack refused; its name or ARN, also after it was deleted",
    )
    parser.add_argument(
        "--region", help="the region of the stack; default: that of its ARN, of the environment or of the profile"
    )
    parser.add_argument("--profile", metavar="NAME", help="the profile of the AWS CLI; default: AWS_PROFILE")
    add_policy_options(parser)
    # Without --platform, an image may be for any.
    parser.set_defaults(platform=None)
    parser.add_argument("--dry-run", action="store_true", help="only show the plan")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


@dataclass(frozen=True)
class _Case:
    """One image and its fixes.

    :param target: the image.
    :param reports: its reports, one for each verification that references it.
    :param fixes: its fixes.
    :param kept: why a refused image is left alone; empty otherwise.
    :param must_stay: whether its tag must not be removed by hand either.
    """

    target: Target
    reports: tuple[Report, ...]
    fixes: tuple[Fix, ...] = ()
    kept: str = ""
    must_stay: bool = False

    @property
    def passes(self) -> bool:
        return all(report.verdict == "pass" for report in self.reports)


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image heal` parses them.
    :returns: the exit code: 0 if no image is broken any more, 1 if one is left broken, 2 if a fix failed.
    :raises UsageError: if an argument is wrong.
    :raises Fault: if an image could not be checked.
    """
    sessions = AwsSessions(_region(arguments), arguments.profile or "")
    # Wrong options are reported before anything is requested.
    _alternatives(arguments, ())
    healer = _Healer(arguments, sessions, Docker())
    page, cases = TextPage.of(sys.stdout), []
    # Every image is checked before the first fix is applied.
    for targets in _targets(arguments, TargetResolver(sessions)):
        case = healer.case(targets)
        print("\n".join(_case_lines(case, page)), flush=True)
        cases.append(case)
    fixes = list({fix.command: fix for case in cases for fix in case.fixes}.values())
    result = carry_out(fixes, sessions, sys.stdout, arguments.words, yes=arguments.yes, dry_run=arguments.dry_run)
    if result is Result.FAILED:
        return UNKNOWN
    if fixes and result is Result.DONE:
        print(_farewell(cases, healer.docker))
    return 1 if result is Result.LEFT or any(case.kept for case in cases) else 0


def _farewell(cases: Sequence[_Case], docker: Docker) -> str:
    """The next step after all fixes were applied. It promises nothing where the same build makes the same image."""
    healed = [case for case in cases if case.fixes and not case.passes]
    if any(must_be_changed(case.reports, case.target.names) for case in healed):
        return _CHANGE_FIRST
    if any(_has_attestation(case) for case in healed) and docker.is_installed:
        # Without an engine that answers, nothing is pushed from this machine.
        with suppress(Fault):
            engine = docker.engine()
            if engine.races:
                return _RACE_FIRST.format(version=engine.version)
    return _DEPLOY


def _has_attestation(case: _Case) -> bool:
    """Whether the image is refused for the attestation of a build whose outputs are not the construct's own."""
    findings = (finding for report in case.reports for finding in report.errors)
    is_found = any(finding.found == ATTESTATION for finding in findings)
    return is_found and case.target.names.outputs is not BuildOutputs.DEFAULT


def _region(arguments: Namespace) -> str:
    """The region of the arguments; empty for that of the environment or the profile."""
    parts = (arguments.stack or "").split(":")
    if parts[0] != "arn":
        return arguments.region or ""
    region = parts[3] if len(parts) > 3 else ""
    if not region:
        raise UsageError(f"--stack {arguments.stack} is not the ARN of a stack: use the stack's name, or its whole ARN")
    if arguments.region and arguments.region != region:
        raise UsageError(f"--region is {arguments.region}, but the stack is in {region}: leave out --region")
    return region


def _alternatives(arguments: Namespace, names: Sequence[str]) -> tuple[Policy, ...]:
    """The policies of an image without a verification, which must meet any of them.

    :param names: the image's names.
    :raises UsageError: if an option is wrong.
    """
    policy = parse_policy(arguments, names=names)
    policies = [policy]
    is_chosen = arguments.platform is not None or configuration_of(arguments).settings_for(names).platform
    for platform in () if is_chosen else _PLATFORMS:
        # A runtime that cannot run this platform says nothing about the image.
        with suppress(ValueError):
            policies.append(replace(policy, platform=Platform.parse(platform)))
    return tuple(policy for number, policy in enumerate(policies) if policy not in policies[:number])


@dataclass(frozen=True)
class _Healer:
    """Finds the fixes of images.

    :param arguments: the options and the configuration file that make the policies.
    :param sessions: the AWS sessions that remove tags.
    :param docker: the engine of this machine.
    """

    arguments: Namespace
    sessions: AwsSessions
    docker: Docker

    def case(self, targets: Sequence[Target]) -> _Case:
        """An image with its fixes. Raises `Fault` if it could not be checked.

        :param targets: the image, once for each verification that references it.
        """
        target, requirements = targets[0], self._requirements(targets)
        reports = reports_of(target.open, requirements)
        top = reports[0].image.top
        if top is None:
            if any(report.image.status != "ACTIVE" for report in reports):
                return _Case(target, reports, kept=_ARCHIVED)
            # CDK would push the local image under the tag again.
            return _Case(target, reports, tuple(local_fixes(target.names.local_image, self.docker)))
        case = _Case(target, reports)
        if case.passes:
            return case
        if only_a_change_fixes(reports, target.names):
            return replace(case, kept=_SAME_AGAIN)
        fixes = fixes_for(target, reports, policies_of(requirements), self.sessions, self.docker)
        if not fixes:
            reason = reason_to_keep(reports, target.names.tag, keeps_manifest=True)
            return replace(case, kept=f"{reason[0].upper()}{reason[1:]}.", must_stay=True)
        return replace(case, fixes=fixes)

    def _requirements(self, targets: Sequence[Target]) -> Requirements:
        own = [(target.policy, target.called_names) for target in targets if target.policy]
        if own:
            configuration = configuration_of(self.arguments)
            return [(configuration.added(policy, names),) for policy, names in own]
        alternatives = _alternatives(self.arguments, targets[0].called_names)
        known = [policy for policy in alternatives if str(policy.platform) == targets[0].names.platform]
        default = str(DEFAULT_POLICY.platform)
        return [known if known and targets[0].names.platform != default else alternatives]


def _targets(arguments: Namespace, resolver: TargetResolver) -> Iterator[Sequence[Target]]:
    """The images, each once for each verification that references it."""
    if bool(arguments.references) == bool(arguments.stack):
        raise UsageError("pass either an image (or cdk.out:PATH), or --stack and the name of the stack that failed")
    found: dict[tuple[str, ...], list[Target]] = {}
    for target in refused_images(arguments.stack, resolver) if arguments.stack else _named(arguments, resolver):
        names = target.names
        found.setdefault((names.registry_id, names.region, names.repository, names.tag), []).append(target)
    yield from found.values()


def _named(arguments: Namespace, resolver: TargetResolver) -> Iterator[Target]:
    for text in arguments.references:
        for target in resolver.targets(text, str(parse_policy(arguments, names=[text]).platform)):
            if not target.names.repository or not target.names.tag:
                raise UsageError(f"{text!r} is not a tag in ECR: use ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG")
            yield target


def _case_lines(case: _Case, page: TextPage) -> Iterator[str]:
    name = page.paint("head", printable(case.target.reference))
    if case.reports[0].image.top is None and not case.kept:
        yield f"{name}: the tag does not exist" + (", but its image is on this machine" if case.fixes else "")
        return
    if case.passes:
        yield f"{name}: {page.paint('pass', 'passed')}, nothing is removed"
        return
    yield f"{name}: {page.paint('fail', 'refused')}"
    for report in case.reports:
        yield from refusal_lines(report, case.target.names, page, commands=not case.fixes and not case.must_stay)
    if case.kept:
        yield from page.wrap(f"Nothing is removed. {case.kept}", "  ")
