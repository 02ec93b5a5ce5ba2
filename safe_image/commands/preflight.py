"""`safe-image preflight`: before a deploy, what CDK would take for published and cannot be run, and what it would push
again without building it."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from image_verifier.findings import Fault, Report
from image_verifier.image import Platform
from image_verifier.policy import Policy
from image_verifier.sources.archive import Archive
from image_verifier.sources.docker_archive import docker_archive
from image_verifier.verify import verify

from ..assembly import AssetImage
from ..docker import Docker, LocalImage
from ..errors import UsageError
from ..formats.text import Page, finding_lines, printable
from ..mending import Step, is_broken, local_steps, steps_for, take
from ..output import destination
from ..sources import Sources

DESCRIPTION: Final = (
    "Before cdk deploy: find tags that CDK takes for published although their image is broken, and images of this "
    "machine that it would push without building them; check what is already pushed."
)
EXAMPLES: Final = """\
  cdk synth && safe-image preflight cdk.out && cdk deploy --app cdk.out
  safe-image preflight cdk.out --fix
"""
_AT_ONCE: Final = 8
_DEFAULT: Final = Policy(("fargate",), Platform.parse("linux/amd64"))


@dataclass(frozen=True)
class Found:
    """What there is of an image before it is deployed.

    :param image: the image.
    :param state: `pushed` and fine, `absent` and to be built, `kept` on this machine and fine, `broken` in ECR,
        `stale` on this machine, `refused` by its policy alone, or `unknown`.
    :param said: that in words.
    :param report: what was found in it, where it was looked at.
    :param steps: what mends it.
    """

    image: AssetImage
    state: str
    said: str
    report: Report | None = None
    steps: tuple[Step, ...] = ()


_EXIT: Final = {"broken": 1, "stale": 1, "refused": 1, "unknown": 2}
_COLOURS: Final = {0: "pass", 1: "fail", 2: "unknown"}


def add_arguments(parser: ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("assembly", nargs="?", default="cdk.out", metavar="PATH", help="default: cdk.out")
    parser.add_argument("--fix", action="store_true", help="remove broken tags and stale images, without asking")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report to this file")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image preflight` parses them.
    :returns: the exit code: 0 where a deploy meets nothing broken, or where all of it was mended.
    """
    sources, docker = Sources(), Docker()
    path = arguments.assembly.removeprefix("cdk.out:")
    if not Path(path).is_dir():
        raise UsageError(f"{path} is no folder: write the one that cdk synth makes, cdk.out")
    images = sources.assets(Path(path))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda image: _look(image, sources, docker), images))
    with destination(arguments.output) as stream:
        stream.write(_json(found) if arguments.format == "json" else _text(found, Page.of(stream)))
    code = max((_EXIT.get(one.state, 0) for one in found), default=0)
    if not arguments.fix:
        return code
    steps = [step for one in found for step in one.steps]
    left = [one for one in found if one.state in _EXIT and not one.steps]
    faults = take(steps)
    return 2 if faults else max((_EXIT[one.state] for one in left), default=0)


def _look(image: AssetImage, sources: Sources, docker: Docker) -> Found:
    policy = image.policy or _policy(image)
    target = sources.of_asset(image)
    try:
        report = verify(target.open(), policy, target.names)
        if report.image.top is None and report.image.status == "ACTIVE":
            return _look_here(image, policy, docker)
    except Fault as fault:
        return Found(image, "unknown", f"{fault.message.rstrip('.')}. {fault.advice}".rstrip())
    if report.verdict == "pass":
        return Found(image, "pushed", "is pushed, and can be run", report)
    if is_broken(report):
        steps = tuple(steps_for(target.names, report, sources.accounts, docker))
        return Found(image, "broken", "is pushed and broken, and CDK would take it for published", report, steps)
    return Found(image, "refused", "is pushed, and its policy refuses it", report)


def _look_here(image: AssetImage, policy: Policy, docker: Docker) -> Found:
    """What CDK would push: what this machine keeps of it, or what it is yet to build."""
    try:
        kept = docker.image(image.local_image) if docker.is_installed else None
        if kept is None:
            return Found(image, "absent", "is not pushed yet, and CDK will build it")
        if kept.is_index:
            return _stale(image, "is kept here with an attestation, which a push can leave at its tag", docker)
        report = _judged(kept, policy, docker)
    except Fault as fault:
        return Found(image, "unknown", f"{fault.message.rstrip('.')}. {fault.advice}".rstrip())
    if is_broken(report):
        return _stale(image, "is kept here and broken, and CDK would push it without building it", docker, report)
    if report.verdict == "fail":
        return Found(image, "refused", "is kept here, and its policy refuses it", report)
    return Found(image, "kept", "is not pushed yet; CDK will push what is kept here, which is fine", report)


def _stale(image: AssetImage, said: str, docker: Docker, report: Report | None = None) -> Found:
    return Found(image, "stale", said, report, tuple(local_steps(image.local_image, docker)))


def _judged(kept: LocalImage, policy: Policy, docker: Docker) -> Report:
    with docker.saved(kept.name) as file:
        return verify(docker_archive(Archive(file), ""), policy)


def _policy(image: AssetImage) -> Policy:
    """What is asked of an image that nothing verifies: to run on Fargate, on the platform that it is built for."""
    try:
        return Policy(("fargate",), Platform.parse(image.platform)) if image.platform else _DEFAULT
    except ValueError:
        return _DEFAULT


def _text(found: Sequence[Found], page: Page) -> str:
    lines = []
    for one in found:
        colour = _COLOURS[_EXIT.get(one.state, 0)]
        name = page.paint("head", printable(one.image.name))
        lines.append(f"{page.paint(colour, f'{one.state.upper():8}')}  {name} {printable(one.said)}")
        for finding in one.report.errors if one.report else ():
            lines += finding_lines(finding, page)
        lines += [f"      {page.paint('command', printable(step.command))}" for step in one.steps]
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
            "said": one.said,
            "findings": one.report.as_json()["findings"] if one.report else [],
            "remedy": [step.command for step in one.steps],
        }
        for one in found
    ]
    return json.dumps({"schema_version": 1, "images": images}, indent=2) + "\n"
