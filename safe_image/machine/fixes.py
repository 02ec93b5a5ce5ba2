"""What is done about a broken image, shown before it is done: its tag removed from ECR, its twin from this machine."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final, Protocol, TextIO

from image_verifier.custom_resource.untag import remove
from image_verifier.faults import Fault
from image_verifier.report import Report, Severity
from image_verifier.retry import RetryBudget
from image_verifier.rules.catalog import CATALOG, Stage
from image_verifier.rules.remedies import Names
from image_verifier.text import printable

from ..formats.check.text import Page, finding_lines, one_line
from ..sources.aws_sessions import AwsSessions, Endpoint
from .docker import Docker

# What a pull does not show, and the platform or the tools of the build have made.
_BUILT_OTHERWISE: Final = frozenset({"platform-mismatch", "entrypoint-wrong-machine"})
# What keeps an image from being pulled, and is there again after every build.
_WRITTEN_IN_THE_DOCKERFILE: Final = frozenset({"image-too-large-for-runtime", "too-many-layers"})


class Step(Protocol):
    """One thing to do."""

    @property
    def command(self) -> str:
        """The command that does the same, as a person would type it."""

    def take(self) -> None:
        """Do it. Raises `Fault` if it cannot be done."""


@dataclass(frozen=True)
class Untag:
    """Remove a tag from the very digest that was judged.

    :param names: the image's names.
    :param digest: what the tag pointed at.
    """

    accounts: AwsSessions
    names: Names
    digest: str

    @property
    def command(self) -> str:
        """The command that does the same."""
        names = self.names
        words = ("aws", "ecr", "batch-delete-image", "--region", names.region, "--registry-id", names.registry_id)
        image = f"imageTag={names.tag},imageDigest={self.digest}"
        return shlex.join((*words, "--repository-name", names.repository, "--image-ids", image))

    def take(self) -> None:
        """Do it: with the tag and the digest both named, ECR removes nothing where they no longer belong together."""
        names, partition = self.names, self.accounts.partition(self.names.region)
        client = self.accounts.client("ecr", Endpoint(names.region))
        arn = f"arn:{partition}:ecr:{names.region}:{names.registry_id}:repository/{names.repository}"
        failure = remove(client, arn, names.tag, self.digest, RetryBudget.of(30))
        # Somebody else has mended it meanwhile.
        if failure and not failure.startswith("ImageNotFound"):
            raise Fault(f"The tag {self.names.tag} was not removed: {failure}")


@dataclass(frozen=True)
class RemoveLocal:
    """Remove what CDK would push again without building it.

    :param name: such as `cdkasset-…`.
    """

    docker: Docker
    name: str

    @property
    def command(self) -> str:
        """The command that does the same."""
        return shlex.join((self.docker.command, "image", "rm", self.name))

    def take(self) -> None:
        """Do it."""
        self.docker.remove(self.name)


def is_mended_by_a_build(report: Report) -> bool:
    """Whether something refuses the image that a build of the same Dockerfile, with other tools, need not have again.

    Neither its policy nor its Dockerfile changes by removing it: CDK would build the same once more.
    """
    return any(
        finding.id in _BUILT_OTHERWISE
        or (CATALOG[finding.id].stage is Stage.PULL and finding.id not in _WRITTEN_IN_THE_DOCKERFILE)
        for finding in report.errors
        if finding.severity is Severity.ERROR
    )


def steps_for(names: Names, report: Report, accounts: AwsSessions, docker: Docker) -> list[Step]:
    """What mends an image in ECR that was refused.

    :param names: the image's names.
    :param report: the refusal.
    :param docker: the engine of this machine, whose twin of the image goes, too.
    """
    steps: list[Step] = []
    top = report.image.top
    if names.repository and names.tag and top:
        steps.append(Untag(accounts, names, top.digest))
    return [*steps, *local_steps(names.local_image, docker)]


def local_steps(name: str, docker: Docker) -> list[Step]:
    """What removes an image from this machine, where it is here at all.

    :param name: the image's name; empty for none.
    """
    if not name or not docker.is_installed:
        return []
    try:
        return [RemoveLocal(docker, name)] if docker.image(name) else []
    except Fault:
        # Without an engine nothing is pushed from here either.
        return []


def errors_of(report: Report, steps: Sequence[Step], page: Page) -> Iterator[str]:
    """What refuses an image, as people read it.

    :param steps: what mends it; they are shown apart, and only the advice for the next build beside a finding.
    :param page: what it is written on.
    """
    for finding in report.errors:
        advice = tuple(takewhile(lambda line: not line.startswith("$ "), finding.remedy))
        yield from finding_lines(replace(finding, remedy=advice) if steps else finding, page)


def plan(steps: Sequence[Step]) -> str:
    """What is to be done, to be shown before it is."""
    return "\n".join(["To be done:", *(f"  {printable(step.command)}" for step in steps)])


def is_agreed(steps: Sequence[Step], *, yes: bool) -> bool:
    """Whether the steps, which have been shown, may be taken.

    :param yes: whether that was said on the command line.
    """
    if yes or not steps:
        return True
    if not sys.stdin.isatty():
        print("Nothing was done: there is nobody to ask here. Write --yes to do it.", file=sys.stderr)
        return False
    # Not by input(), whose question goes to standard output, where a report may be.
    print("Do it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def take(steps: Sequence[Step], stream: TextIO) -> list[Fault]:
    """Take every step, also after one that fails, and give what failed.

    :param stream: where what was done is told; what failed is told on standard error.
    """
    faults = []
    for step in steps:
        try:
            step.take()
        except Fault as fault:
            faults.append(fault)
            print(f"safe-image: not done: {one_line(step.command, fault)}", file=sys.stderr, flush=True)
        else:
            print(f"done: {printable(step.command)}", file=stream, flush=True)
    return faults
