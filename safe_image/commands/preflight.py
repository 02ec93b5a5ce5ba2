"""`safe-image preflight`: before a deploy, find broken tags that CDK considers published, and stale local images."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from image_verifier.deletion import reason_to_keep
from image_verifier.faults import Fault
from image_verifier.image.model import Platform
from image_verifier.outcome_json import policy_as_json
from image_verifier.policy import Policy
from image_verifier.pool import Pool
from image_verifier.report import Report
from image_verifier.report_json import report_as_json
from image_verifier.rules.names import Names
from image_verifier.sources import Source
from image_verifier.text import printable

from ..errors import UsageError
from ..formats.json_text import json_text
from ..formats.text.text_page import TextPage
from ..machine.carry_out import Result, carry_out
from ..machine.docker import Docker
from ..machine.fixes import (
    Fix,
    RemoveLocalImage,
    can_be_fixed_by_a_build,
    fixes_for,
    only_a_change_fixes,
    refusal_lines,
)
from ..results.all_policies import Requirements, policies_of, reports_of
from ..results.report_facts import report_head
from ..sources.archive import Archive
from ..sources.cloud_assembly import AssetImage
from ..sources.docker_archive import docker_archive
from ..sources.regular_files import file_kind
from ..sources.targets import TargetResolver
from .arguments import DEFAULT_POLICY, add_configuration_options, configuration_of, runtime_names
from .output import open_output

DESCRIPTION: Final = (
    "Before cdk deploy: find tags that CDK would reuse although their image is broken, and images on this machine that "
    "it would push without building them. Images that are already pushed are checked too."
)
EXAMPLES: Final = """\
  cdk synth && safe-image preflight cdk.out && cdk deploy --app cdk.out
  cdk synth && safe-image preflight cdk.out --fix && cdk deploy --app cdk.out
  safe-image preflight cdk.out --runs-on ecs-ec2 --format json
"""
_AT_ONCE: Final = 8
_PLATFORMS: Final = ("linux/amd64", "linux/arm64")
_NO_NAMES: Final = Names()


@dataclass(frozen=True)
class AssetState:
    """The state of an image before it is deployed.

    :param image: the image.
    :param state: `pushed` and healthy, `absent` and to be built, `kept` on this machine and healthy, `broken` in ECR,
        `stale` on this machine, `refused` for a finding that a new build would not change, or `unknown`.
    :param message: the state in words.
    :param reports: the image's reports, one for each verification; empty where it was not checked.
    :param fixes: the image's fixes.
    :param names: the image's names, which fill in the remedies' commands.
    :param must_stay: whether its tag must not be removed by hand either.
    :param policies: the policies that it was checked by, one for each verification or possible platform.
    """

    image: AssetImage
    state: str
    message: str
    reports: tuple[Report, ...] = ()
    fixes: tuple[Fix, ...] = ()
    names: Names = _NO_NAMES
    must_stay: bool = False
    policies: tuple[Policy, ...] = ()


_EXIT_CODES: Final = {"broken": 1, "stale": 1, "refused": 1, "unknown": 2}
_COLOURS: Final = {0: "pass", 1: "fail", 2: "unknown"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "assembly", nargs="?", default="cdk.out", metavar="PATH", help="the cloud assembly; default: cdk.out"
    )
    parser.add_argument(
        "--runs-on",
        action="extend",
        type=runtime_names,
        metavar="NAME",
        help="a runtime that must run the images without an ImageVerification in the assembly, or several with commas, "
        "may be repeated; "
        "default: fargate",
    )
    add_configuration_options(parser)
    parser.add_argument(
        "--fix", action="store_true", help="remove broken tags and stale images; a terminal asks for confirmation"
    )
    parser.add_argument("--yes", action="store_true", help="with --fix: do not ask for confirmation")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report to this file, not to standard output")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image preflight` parses them.
    :returns: the exit code: 0 if a deploy would meet no broken image, or all of them were fixed.
    :raises UsageError: if an argument is wrong.
    """
    if arguments.yes and not arguments.fix:
        raise UsageError("--yes does nothing without --fix: use --fix --yes")
    path = Path(arguments.assembly.removeprefix("cdk.out:"))
    if file_kind(path) != "folder":
        raise UsageError(f"{path} is not a folder: run cdk synth, and pass the cloud assembly that it writes")
    _check_options(arguments)
    inspector = _AssetInspector(TargetResolver(), Docker(), arguments)
    images = inspector.resolver.assets(path)
    with Pool(_AT_ONCE) as pool:
        states = list(pool.results(inspector.state_of, images))
    with open_output(arguments.output) as stream:
        stream.write(_json(states) if arguments.format == "json" else _text(states, TextPage.of(stream)))
    fixes = {fix.command: fix for one in states for fix in one.fixes} if arguments.fix else {}
    messages = sys.stdout if arguments.format == "text" and not arguments.output else sys.stderr
    # A pipeline fixes what it finds before it deploys: --fix is its consent.
    yes = arguments.yes or not sys.stdin.isatty()
    result = carry_out(list(fixes.values()), inspector.resolver.sessions, messages, arguments.words, yes=yes)
    if result is Result.FAILED:
        return 2
    left = (one.state for one in states if not (fixes and one.fixes and result is Result.DONE))
    return max((_EXIT_CODES.get(state, 0) for state in left), default=0)


def _check_options(arguments: Namespace) -> None:
    """Report wrong options before anything is requested."""
    try:
        _policies(arguments, _PLATFORMS, ())
    except Fault as e:
        raise UsageError(e.message.partition(": ")[2]) from None


@dataclass(frozen=True)
class _AssetInspector:
    """Finds the states of images.

    :param resolver: finds where images are published.
    :param docker: the engine that would push them.
    :param arguments: the options and the configuration file that make the policies.
    """

    resolver: TargetResolver
    docker: Docker
    arguments: Namespace

    def state_of(self, image: AssetImage) -> AssetState:
        """The state of an image."""
        try:
            requirements = self._requirements(image)
            state = self._published_state(image, requirements) or self._local_state(image, requirements)
            return replace(state, policies=policies_of(requirements))
        except Fault as fault:
            return AssetState(image, "unknown", fault.text)

    def _requirements(self, image: AssetImage) -> Requirements:
        """The requirements: each verification's policy, or the runtimes on one of the possible platforms."""
        names = self.resolver.asset_target(image).called_names
        if image.policies:
            configuration = configuration_of(self.arguments)
            return [(configuration.added(policy, names),) for policy in image.policies]
        # Without a platform, the image may be for any.
        return [_policies(self.arguments, (image.platform,) if image.platform else _PLATFORMS, names)]

    def _published_state(self, image: AssetImage, requirements: Requirements) -> AssetState | None:
        """The state of the pushed image, which CDK reuses even if it is broken; None where the tag does not exist."""
        target = self.resolver.asset_target(image)
        found = partial(AssetState, image, names=target.names)
        try:
            reports = reports_of(target.open, requirements)
        except Fault as fault:
            # A stack of the assembly may create the repository; if none does, the deploy itself fails early.
            if "RepositoryNotFoundException" in fault.message:
                return None
            raise
        top = reports[0].image.top
        if top is None:
            if all(report.image.status == "ACTIVE" for report in reports):
                return None
            return found("refused", "is pushed and refused: it is archived", reports)
        if all(report.verdict == "pass" for report in reports):
            return found("pushed", "is pushed, and passes", reports)
        if only_a_change_fixes(reports, target.names):
            return found("refused", "is pushed and refused: a build would make the same image again", reports)
        fixes = fixes_for(target, reports, policies_of(requirements), self.resolver.sessions, self.docker)
        if not fixes:
            why = reason_to_keep(reports, image.tag, keeps_manifest=True)
            return found("refused", f"is pushed and refused: {why}", reports, must_stay=True)
        return found("broken", "is pushed and broken, and CDK would reuse it", reports, fixes)

    def _local_state(self, image: AssetImage, requirements: Requirements) -> AssetState:
        """The state of the image that CDK would push: it is on this machine, or yet to be built."""
        kept = self.docker.image(image.local_image) if image.local_image and self.docker.is_installed else None
        if kept is None:
            how = "build it" if image.local_image else "run its command"
            return AssetState(image, "absent", f"is not pushed yet, and CDK will {how}")
        names = Names(platform=image.platform, outputs=image.outputs, construct=image.construct)
        found = partial(AssetState, image, names=names)
        fixes: tuple[Fix, ...] = (RemoveLocalImage(self.docker, kept.name),)
        with self.docker.saved(kept.name) as file:
            reports = reports_of(lambda: _pushed(file), requirements)
        if reports[0].image.indexes and self.docker.engine().races is not False:
            message = "is on this machine with an attestation, and this Docker may push the tag to the attestation"
            return found("stale", message, reports, fixes)
        if all(report.verdict == "pass" for report in reports):
            return found("kept", "is not pushed yet; CDK will push the image on this machine, which passes", reports)
        if can_be_fixed_by_a_build(reports, names):
            message = "is on this machine and broken, and CDK would push it without building it"
            return found("stale", message, reports, fixes)
        return found("refused", "is on this machine and refused: a build would make the same image again", reports)


def _pushed(archive: Path) -> Source:
    """The image in an archive of `docker save`, as the Docker that wrote it pushes it."""
    return docker_archive(Archive(archive), "", Platform("linux", "amd64"))[0].open()


def _policies(arguments: Namespace, platforms: Sequence[str], names: Sequence[str]) -> Sequence[Policy]:
    """The policies of an image without a verification: one for each platform that the runtimes accept.

    :param arguments: the options and the configuration file.
    :param platforms: the platforms that the image may be for, unless the configuration file sets one.
    :param names: the image's names.
    :raises Fault: if they accept none of the platforms.
    """
    policies, refusals = [], []
    configuration = configuration_of(arguments)
    of_file = configuration.settings_for(names).platform
    for platform in (of_file,) if of_file else platforms:
        try:
            policy = configuration.policy(DEFAULT_POLICY, names)
            runs_on = tuple(arguments.runs_on or policy.runs_on)
            policies.append(replace(policy, runs_on=runs_on, platform=Platform.parse(platform)))
        except ValueError as e:
            refusals.append(str(e).replace("runs_on", "--runs-on"))
    if not policies:
        raise Fault(f"the result is unknown: {refusals[0]}")
    return policies


def _text(states: Sequence[AssetState], page: TextPage) -> str:
    lines = []
    for one in states:
        colour = _COLOURS[_EXIT_CODES.get(one.state, 0)]
        stacks = f" ({', '.join(one.image.stacks)})" if one.image.stacks else ""
        name = printable(one.image.name + stacks)
        first, *others = page.wrap(f"{name} {one.message}", " " * 10)
        head = page.paint(colour, f"{one.state.upper():8}") + "  "
        lines += [head + first[10:].replace(name, page.paint("head", name), 1), *others]
        for report in one.reports:
            lines += refusal_lines(report, one.names, page, commands=not one.fixes and not one.must_stay)
        lines += [f"    --fix runs: {page.paint('command', printable(fix.command))}" for fix in one.fixes]
    unknown = sum(one.state == "unknown" for one in states)
    wrong = sum(one.state in _EXIT_CODES for one in states) - unknown
    images = f"{len(states)} image{'s' * (len(states) != 1)}"
    lines.append(f"{images}, {wrong} of them would break a deploy{f', {unknown} unknown' if unknown else ''}")
    return "\n".join(lines) + "\n"


def _json(states: Sequence[AssetState]) -> str:
    images: list[dict[str, Any]] = [
        {
            "name": one.image.name,
            "stacks": list(one.image.stacks),
            "repository": one.image.repository,
            "tag": one.image.tag,
            "local_image": one.image.local_image,
            "state": one.state,
            "message": one.message,
            "account": {"id": one.image.account, "region": one.image.region},
            "policies": [policy_as_json(policy) for policy in one.policies],
            "findings": _findings(one),
            "remedy": [fix.command for fix in one.fixes],
        }
        for one in states
    ]
    return json_text({**report_head("preflight"), "images": images}) + "\n"


def _findings(one: AssetState) -> list[Any]:
    """The findings of all reports, each once."""
    found: list[Any] = []
    for report in one.reports:
        found += [finding for finding in report_as_json(report, one.names)["findings"] if finding not in found]
    return found
