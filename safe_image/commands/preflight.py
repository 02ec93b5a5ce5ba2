"""`safe-image preflight`: before a deploy, find broken tags that CDK considers published, and stale local images."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from image_verifier.faults import Fault
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.pool import Pool
from image_verifier.report import Report
from image_verifier.report_json import report_as_json
from image_verifier.rules.remedies import Names
from image_verifier.sources import Source
from image_verifier.text import printable
from image_verifier.verify import verify

from ..errors import UsageError
from ..formats.text.text_page import TextPage
from ..machine.docker import Docker
from ..machine.fixes import Fix, RemoveLocalImage, apply, can_be_fixed_by_a_build, fixes_for, refusal_lines
from ..sources.archive import Archive
from ..sources.cloud_assembly import AssetImage
from ..sources.docker_archive import docker_archive
from ..sources.targets import TargetResolver
from .output import open_output

DESCRIPTION: Final = (
    "Before cdk deploy: find tags that CDK takes for published although their image is broken, and images of this "
    "machine that it would push without building them; check what is already pushed."
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
class Found:
    """What there is of an image before it is deployed.

    :param image: the image.
    :param state: `pushed` and fine, `absent` and to be built, `kept` on this machine and fine, `broken` in ECR,
        `stale` on this machine, `refused` for what building it anew does not change, or `unknown`.
    :param message: that in words.
    :param report: what was found in it, where it was looked at.
    :param fixes: what mends it.
    :param names: the image's names, with which the remedies' commands are filled in.
    """

    image: AssetImage
    state: str
    message: str
    report: Report | None = None
    fixes: tuple[Fix, ...] = ()
    names: Names = _NO_NAMES


_EXIT: Final = {"broken": 1, "stale": 1, "refused": 1, "unknown": 2}
_COLOURS: Final = {0: "pass", 1: "fail", 2: "unknown"}


def add_arguments(parser: ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("assembly", nargs="?", default="cdk.out", metavar="PATH", help="default: cdk.out")
    parser.add_argument(
        "--runs-on",
        action="append",
        metavar="NAME",
        help="where images run that no ImageVerification of the assembly asks anything of, may be repeated; "
        "default: fargate",
    )
    parser.add_argument("--fix", action="store_true", help="remove broken tags and stale images, without asking")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report to this file")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image preflight` parses them.
    :returns: the exit code: 0 where a deploy meets nothing broken, or where all of it was mended.
    """
    path = Path(arguments.assembly.removeprefix("cdk.out:"))
    if not path.is_dir():
        raise UsageError(f"{path} is no folder: write the one that cdk synth makes, cdk.out")
    look = _Look(TargetResolver(), Docker(), _runs_on(arguments))
    images = look.resolver.assets(path)
    with Pool(_AT_ONCE) as pool:
        found = list(pool.results(look.at, images))
    with open_output(arguments.output) as stream:
        stream.write(_json(found) if arguments.format == "json" else _text(found, TextPage.of(stream)))
    fixes = {fix.command: fix for one in found for fix in one.fixes} if arguments.fix else {}
    told = sys.stdout if arguments.format == "text" and not arguments.output else sys.stderr
    if apply(list(fixes.values()), told):
        return 2
    left = (one.state for one in found if not (arguments.fix and one.fixes))
    return max((_EXIT.get(state, 0) for state in left), default=0)


def _runs_on(arguments: Namespace) -> tuple[str, ...]:
    runs_on = tuple(arguments.runs_on or ("fargate",))
    try:
        _policies(runs_on, _PLATFORMS)
    except Fault as e:
        raise UsageError(e.message.partition(": ")[2]) from None
    return runs_on


@dataclass(frozen=True)
class _Look:
    """How images are looked at in one run of the command.

    :param sources: where they are published.
    :param docker: the engine that would push them.
    :param runs_on: where those run of which nothing else says it.
    """

    resolver: TargetResolver
    docker: Docker
    runs_on: tuple[str, ...]

    def at(self, image: AssetImage) -> Found:
        """What there is of an image, and what a deploy would do with it."""
        try:
            # Where nothing says for which platform it is, any will do.
            named = (image.platform,) if image.platform else _PLATFORMS
            policies = (image.policy,) if image.policy else _policies(self.runs_on, named)
            return self._published(image, policies) or self._here(image, policies)
        except Fault as fault:
            return Found(image, "unknown", fault.text)

    def _published(self, image: AssetImage, policies: Sequence[Policy]) -> Found | None:
        """What is under the tag, which CDK takes for published whatever it is; None where nothing is."""
        target = self.resolver.asset_target(image)
        found = partial(Found, image, names=target.names)
        try:
            report = _judged(target.open, policies)
        except Fault as fault:
            # A stack of the assembly may be what makes it; where none does, the deploy says so at once.
            if "RepositoryNotFoundException" in fault.message:
                return None
            raise
        if report.image.top is None and report.image.status == "ACTIVE":
            return None
        if report.verdict == "pass":
            return found("pushed", "is pushed, and can be run", report)
        if report.image.top and can_be_fixed_by_a_build(report):
            fixes = tuple(fixes_for(target.names, report, self.resolver.sessions, self.docker))
            return found("broken", "is pushed and broken, and CDK takes it for published", report, fixes)
        why = "a build would make the same once more" if report.image.top else "it is archived"
        return found("refused", f"is pushed and refused: {why}", report)

    def _here(self, image: AssetImage, policies: Sequence[Policy]) -> Found:
        """What CDK would push: what this machine keeps of it, or what it is yet to build."""
        kept = self.docker.image(image.local_image) if image.local_image and self.docker.is_installed else None
        if kept is None:
            how = "build it" if image.local_image else "run its command"
            return Found(image, "absent", f"is not pushed yet, and CDK will {how}")
        found = partial(Found, image, names=Names(platform=image.platform))
        fixes: tuple[Fix, ...] = (RemoveLocalImage(self.docker, kept.name),)
        with self.docker.saved(kept.name) as file:
            report = _judged(lambda: docker_archive(Archive(file), ""), policies)
        if report.image.indexes and self.docker.engine().races is not False:
            message = "is kept here with an attestation, on which this Docker can leave the tag when it pushes"
            return found("stale", message, report, fixes)
        if report.verdict == "pass":
            return found("kept", "is not pushed yet; CDK will push what is kept here, which is fine", report)
        if can_be_fixed_by_a_build(report):
            message = "is kept here and broken, and CDK would push it without building it"
            return found("stale", message, report, fixes)
        return found("refused", "is kept here and refused: a build would make the same once more", report)


def _judged(source: Callable[[], Source], policies: Sequence[Policy]) -> Report:
    """The report by the first policy that lets the image pass, else by the first of all."""
    reports = []
    for policy in policies:
        reports.append(verify(source(), policy))
        if reports[-1].verdict == "pass":
            return reports[-1]
    return reports[0]


def _policies(runs_on: tuple[str, ...], platforms: Sequence[str]) -> Sequence[Policy]:
    """What is asked of an image of which nothing else says it, for each platform that the runtimes take.

    :raises Fault: if they take none of them.
    """
    policies, refusals = [], []
    for platform in platforms:
        try:
            policies.append(Policy(runs_on, Platform.parse(platform)))
        except ValueError as e:
            refusals.append(str(e).replace("runs_on", "--runs-on"))
    if not policies:
        raise Fault(f"nothing is known of it: {refusals[0]}")
    return policies


def _text(found: Sequence[Found], page: TextPage) -> str:
    lines = []
    for one in found:
        colour = _COLOURS[_EXIT.get(one.state, 0)]
        stacks = f" ({', '.join(one.image.stacks)})" if one.image.stacks else ""
        name = page.paint("head", printable(one.image.name + stacks))
        lines.append(f"{page.paint(colour, f'{one.state.upper():8}')}  {name} {printable(one.message)}")
        lines += refusal_lines(one.report, one.names, one.fixes, page) if one.report else ()
        lines += [f"    --fix does: {page.paint('command', printable(fix.command))}" for fix in one.fixes]
    wrong = sum(one.state in _EXIT for one in found)
    lines.append(f"{len(found)} image{'s' * (len(found) != 1)}, {wrong} of them in the way of a deploy")
    return "\n".join(lines) + "\n"


def _json(found: Sequence[Found]) -> str:
    images: list[dict[str, Any]] = [
        {
            "name": one.image.name,
            "stacks": list(one.image.stacks),
            "repository": one.image.repository,
            "tag": one.image.tag,
            "local_image": one.image.local_image,
            "state": one.state,
            "message": one.message,
            "findings": report_as_json(one.report, one.names)["findings"] if one.report else [],
            "remedy": [fix.command for fix in one.fixes],
        }
        for one in found
    ]
    return json.dumps({"schema_version": 1, "images": images}, indent=2) + "\n"
