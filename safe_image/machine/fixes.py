"""The fixes of a broken image, shown before they are applied: its tag is removed from ECR, its copy from Docker."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Protocol, TextIO

from image_verifier.deletion import remove_tag
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

# Faults that a pull does not show, and that the platform or the tools of the build have caused.
_BUILT_OTHERWISE: Final = frozenset({"platform-mismatch", "entrypoint-wrong-machine"})
# Faults that stop a pull, and that every build of the same Dockerfile has again.
_WRITTEN_IN_THE_DOCKERFILE: Final = frozenset({"image-too-large-for-runtime", "too-many-layers"})


class Fix(Protocol):
    """One fix."""

    @property
    def command(self) -> str:
        """The equivalent command, as a person would type it."""

    def apply(self) -> None:
        """Apply the fix. Raises `Fault` if that fails."""


@dataclass(frozen=True)
class Untag:
    """Remove a tag from the very digest that was verified.

    :param sessions: the AWS sessions.
    :param names: the image's names.
    :param digest: the digest that the tag pointed at.
    """

    sessions: AwsSessions
    names: Names
    digest: str

    @property
    def command(self) -> str:
        """The equivalent command."""
        names = self.names
        words = ("aws", "ecr", "batch-delete-image", "--region", names.region, "--registry-id", names.registry_id)
        image = f"imageTag={names.tag},imageDigest={self.digest}"
        return shlex.join((*words, "--repository-name", names.repository, "--image-ids", image))

    def apply(self) -> None:
        """Remove the tag. The call has tag and digest, so ECR removes nothing where the tag has moved meanwhile."""
        names, partition = self.names, self.sessions.partition(self.names.region)
        client = self.sessions.client("ecr", Endpoint(names.region))
        arn = f"arn:{partition}:ecr:{names.region}:{names.registry_id}:repository/{names.repository}"
        failure = remove_tag(client, arn, names.tag, self.digest, RetryBudget.of(30))
        # Somebody else has removed it meanwhile.
        if failure and not failure.startswith("ImageNotFound"):
            raise Fault(f"The tag {self.names.tag} was not removed: {failure}")


@dataclass(frozen=True)
class RemoveLocalImage:
    """Remove an image that CDK would push again without a build.

    :param docker: the engine that has it.
    :param name: such as `cdkasset-…`.
    """

    docker: Docker
    name: str

    @property
    def command(self) -> str:
        """The equivalent command."""
        return shlex.join((self.docker.command, "image", "rm", self.name))

    def apply(self) -> None:
        """Remove the image."""
        self.docker.remove(self.name)


def can_be_fixed_by_a_build(report: Report) -> bool:
    """Whether the image is refused for a fault that another build of the same Dockerfile can avoid.

    A fault of the policy or of the Dockerfile stays: after the image is removed, CDK builds the same image again.
    """
    return any(
        finding.id in _BUILT_OTHERWISE
        or (CATALOG[finding.id].stage is Stage.PULL and finding.id not in _WRITTEN_IN_THE_DOCKERFILE)
        for finding in report.errors
        if finding.severity is Severity.ERROR
    )


def fixes_for(names: Names, report: Report, sessions: AwsSessions, docker: Docker) -> list[Fix]:
    """The fixes of a refused image in ECR.

    :param names: the image's names.
    :param report: the refusal.
    :param sessions: the AWS sessions.
    :param docker: the engine of this machine, whose copy of the image is removed too.
    """
    fixes: list[Fix] = []
    top = report.image.top
    if names.repository and names.tag and top:
        fixes.append(Untag(sessions, names, top.digest))
    return [*fixes, *local_fixes(names.local_image, docker)]


def local_fixes(name: str, docker: Docker) -> list[Fix]:
    """The fix that removes an image from this machine; none where the image is not here.

    :param name: the image's name; empty for no image.
    :param docker: the engine of this machine.
    """
    if not name or not docker.is_installed:
        return []
    try:
        return [RemoveLocalImage(docker, name)] if docker.image(name) else []
    except Fault:
        # Without an engine, no image is pushed from this machine either.
        return []


def refusal_lines(report: Report, names: Names, fixes: Sequence[Fix], page: TextPage) -> Iterator[str]:
    """The findings that refuse an image, as lines for a person.

    :param report: the refusal.
    :param names: the image's names, for the commands of the remedies.
    :param fixes: the image's fixes. With any, a finding shows only its advice: the plan shows the commands.
    :param page: the page's width and colours.
    """
    for finding in report.errors:
        lines = remedy(finding, names)
        advice = tuple(takewhile(lambda line: not line.startswith("$ "), lines))
        yield from finding_lines(finding, advice if fixes else lines, page)


def plan(fixes: Sequence[Fix]) -> str:
    """The plan that is shown before the fixes are applied."""
    return "\n".join(["To be done:", *(f"  {printable(fix.command)}" for fix in fixes)])


def is_confirmed(fixes: Sequence[Fix], *, yes: bool) -> bool:
    """Whether the user confirms the fixes, after the plan was shown.

    :param yes: whether the user passed `--yes`.
    """
    if yes or not fixes:
        return True
    if not sys.stdin.isatty():
        print("Nothing was done: stdin is not a terminal. Pass --yes", file=sys.stderr)
        return False
    # input() would write the prompt to standard output, where the report may be.
    print("Proceed? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def apply(fixes: Sequence[Fix], stream: TextIO) -> list[Fault]:
    """Apply every fix, also after one that fails, and return the failures.

    :param stream: where the applied fixes are reported; the failures are reported on standard error.
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
