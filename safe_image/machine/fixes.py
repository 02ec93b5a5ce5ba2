"""What is done about a broken image, shown before it is done: its tag removed from ECR, its twin from this machine."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Protocol, TextIO

from image_verifier.custom_resource.untag import remove
from image_verifier.faults import Fault
from image_verifier.report import Report, Severity
from image_verifier.retry import RetryBudget
from image_verifier.rules.catalog import CATALOG, Stage
from image_verifier.rules.remedies import Names, remedy
from image_verifier.text import printable

from ..formats.text.finding_text import fault_line, finding_lines
from ..formats.text.text_page import TextPage
from ..sources.aws_sessions import AwsSessions, Endpoint
from .docker import Docker

# What a pull does not show, and the platform or the tools of the build have made.
_BUILT_OTHERWISE: Final = frozenset({"platform-mismatch", "entrypoint-wrong-machine"})
# What keeps an image from being pulled, and is there again after every build.
_WRITTEN_IN_THE_DOCKERFILE: Final = frozenset({"image-too-large-for-runtime", "too-many-layers"})


class Fix(Protocol):
    """One thing to do."""

    @property
    def command(self) -> str:
        """The command that does the same, as a person would type it."""

    def apply(self) -> None:
        """Do it. Raises `Fault` if it cannot be done."""


@dataclass(frozen=True)
class Untag:
    """Remove a tag from the very digest that was judged.

    :param names: the image's names.
    :param digest: what the tag pointed at.
    """

    sessions: AwsSessions
    names: Names
    digest: str

    @property
    def command(self) -> str:
        """The command that does the same."""
        names = self.names
        words = ("aws", "ecr", "batch-delete-image", "--region", names.region, "--registry-id", names.registry_id)
        image = f"imageTag={names.tag},imageDigest={self.digest}"
        return shlex.join((*words, "--repository-name", names.repository, "--image-ids", image))

    def apply(self) -> None:
        """Do it: with the tag and the digest both named, ECR removes nothing where they no longer belong together."""
        names, partition = self.names, self.sessions.partition(self.names.region)
        client = self.sessions.client("ecr", Endpoint(names.region))
        arn = f"arn:{partition}:ecr:{names.region}:{names.registry_id}:repository/{names.repository}"
        failure = remove(client, arn, names.tag, self.digest, RetryBudget.of(30))
        # Somebody else has mended it meanwhile.
        if failure and not failure.startswith("ImageNotFound"):
            raise Fault(f"The tag {self.names.tag} was not removed: {failure}")


@dataclass(frozen=True)
class RemoveLocalImage:
    """Remove what CDK would push again without building it.

    :param name: such as `cdkasset-…`.
    """

    docker: Docker
    name: str

    @property
    def command(self) -> str:
        """The command that does the same."""
        return shlex.join((self.docker.command, "image", "rm", self.name))

    def apply(self) -> None:
        """Do it."""
        self.docker.remove(self.name)


def can_be_fixed_by_a_build(report: Report) -> bool:
    """Whether something refuses the image that a build of the same Dockerfile, with other tools, need not have again.

    Neither its policy nor its Dockerfile changes by removing it: CDK would build the same once more.
    """
    return any(
        finding.id in _BUILT_OTHERWISE
        or (CATALOG[finding.id].stage is Stage.PULL and finding.id not in _WRITTEN_IN_THE_DOCKERFILE)
        for finding in report.errors
        if finding.severity is Severity.ERROR
    )


def fixes_for(names: Names, report: Report, sessions: AwsSessions, docker: Docker) -> list[Fix]:
    """What mends an image in ECR that was refused.

    :param names: the image's names.
    :param report: the refusal.
    :param docker: the engine of this machine, whose twin of the image goes, too.
    """
    fixes: list[Fix] = []
    top = report.image.top
    if names.repository and names.tag and top:
        fixes.append(Untag(sessions, names, top.digest))
    return [*fixes, *local_fixes(names.local_image, docker)]


def local_fixes(name: str, docker: Docker) -> list[Fix]:
    """What removes an image from this machine, where it is here at all.

    :param name: the image's name; empty for none.
    """
    if not name or not docker.is_installed:
        return []
    try:
        return [RemoveLocalImage(docker, name)] if docker.image(name) else []
    except Fault:
        # Without an engine nothing is pushed from here either.
        return []


def refusal_lines(report: Report, names: Names, fixes: Sequence[Fix], page: TextPage) -> Iterator[str]:
    """What refuses an image, as people read it.

    :param names: the image's names, with which the remedies' commands are filled in.
    :param fixes: what mends it; they are shown apart, and only the advice for the next build beside a finding.
    :param page: what it is written on.
    """
    for finding in report.errors:
        lines = remedy(finding, names)
        advice = tuple(takewhile(lambda line: not line.startswith("$ "), lines))
        yield from finding_lines(finding, advice if fixes else lines, page)


def plan(fixes: Sequence[Fix]) -> str:
    """What is to be done, to be shown before it is."""
    return "\n".join(["To be done:", *(f"  {printable(fix.command)}" for fix in fixes)])


def is_confirmed(fixes: Sequence[Fix], *, yes: bool) -> bool:
    """Whether the fixes, which have been shown, may be taken.

    :param yes: whether that was said on the command line.
    """
    if yes or not fixes:
        return True
    if not sys.stdin.isatty():
        print("Nothing was done: there is nobody to ask here. Write --yes to do it.", file=sys.stderr)
        return False
    # Not by input(), whose question goes to standard output, where a report may be.
    print("Do it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def apply(fixes: Sequence[Fix], stream: TextIO) -> list[Fault]:
    """Take every fix, also after one that fails, and give what failed.

    :param stream: where what was done is told; what failed is told on standard error.
    """
    faults = []
    for fix in fixes:
        try:
            fix.apply()
        except Fault as fault:
            faults.append(fault)
            print(f"safe-image: not done: {fault_line(fix.command, fault)}", file=sys.stderr, flush=True)
        else:
            print(f"done: {printable(fix.command)}", file=stream, flush=True)
    return faults
