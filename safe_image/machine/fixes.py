"""The fixes of a broken image, shown before they are applied: its tag is removed from ECR, its copy from Docker."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TextIO

from image_verifier.deletion import reason_to_keep
from image_verifier.faults import Fault
from image_verifier.policy import Policy
from image_verifier.report import Report, Severity
from image_verifier.rules.advice.row import Then
from image_verifier.rules.names import Names
from image_verifier.rules.remedies import way_to_green
from image_verifier.text import printable

from ..formats.text.finding_text import fault_line, finding_lines
from ..formats.text.text_page import TextPage
from ..sources.aws_sessions import AwsSessions
from ..sources.targets import Target
from .docker import Docker
from .remove_tag import RemoveTag


class Fix(Protocol):
    """One fix."""

    @property
    def command(self) -> str:
        """The equivalent command, as a person would type it."""

    @property
    def note(self) -> str:
        """A further consequence, shown with the plan; empty for none."""

    @property
    def permissions(self) -> tuple[str, ...]:
        """The IAM permissions that it needs."""

    def apply(self) -> str:
        """Apply the fix, and return its further consequence; empty for none.

        :raises Fault: if it fails.
        """


@dataclass(frozen=True)
class RemoveLocalImage:
    """Remove an image that CDK would push again without a build.

    :param docker: the engine that has it.
    :param name: such as `cdkasset-…`.
    """

    docker: Docker
    name: str
    note: ClassVar[str] = ""
    permissions: ClassVar[tuple[str, ...]] = ()

    @property
    def command(self) -> str:
        """The equivalent command."""
        return shlex.join((self.docker.command, "image", "rm", self.name))

    def apply(self) -> str:
        """Remove the image."""
        self.docker.remove(self.name)
        return ""


def can_be_fixed_by_a_build(reports: Sequence[Report], names: Names) -> bool:
    """Whether an image is refused for a fault that another build of the same code can avoid.

    A fault of the policy, of the Dockerfile or of the construct stays: CDK builds the same image again.

    :param reports: its reports.
    :param names: its names, which say how it was built.
    """
    return Then.REPLACE in _ways(reports, names)


def only_a_change_fixes(reports: Sequence[Report], names: Names) -> bool:
    """Whether nothing but a change fixes an image, which then has another tag."""
    return must_be_changed(reports, names) and not can_be_fixed_by_a_build(reports, names)


def must_be_changed(reports: Sequence[Report], names: Names) -> bool:
    """Whether an image is refused for a fault that every build of the same code has again.

    :param reports: its reports.
    :param names: its names, which say how it was built.
    """
    return Then.REBUILD in _ways(reports, names)


def _ways(reports: Sequence[Report], names: Names) -> set[Then]:
    errors = (finding for report in reports for finding in report.errors if finding.severity is Severity.ERROR)
    return {way_to_green(finding, names) for finding in errors}


def fixes_for(
    target: Target, reports: Sequence[Report], policies: tuple[Policy, ...], sessions: AwsSessions, docker: Docker
) -> tuple[Fix, ...]:
    """The fixes of a refused image in ECR; none where its tag must stay.

    :param target: the image.
    :param reports: its reports, one for each verification that references it.
    :param policies: the policies of all verifications that reference it, at least one.
    :param sessions: the AWS sessions.
    :param docker: the engine of this machine, whose copy of the image is removed too.
    """
    top, tag = reports[0].image.top, target.names.tag
    if top is None or reason_to_keep(reports, tag, keeps_manifest=True):
        return ()
    # An image that can be pulled may be of use to something that cannot be seen: it loses its tag, and is not deleted.
    keeps_manifest = bool(reason_to_keep(reports, tag))
    untag = RemoveTag(sessions, target.names, top.digest, target.open, policies, keeps_manifest, target.stack)
    return (untag, *local_fixes(target.names.local_image, docker))


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


def refusal_lines(report: Report, names: Names, page: TextPage, *, commands: bool) -> Iterator[str]:
    """The findings that refuse an image, as lines for a person.

    :param report: the refusal.
    :param names: the image's names, for the commands of the remedies.
    :param page: the page's width and colours.
    :param commands: whether a finding shows the commands of its remedy, and not only its advice. The plan shows those
        of fixes, and a tag that must stay has none.
    """
    for finding in report.errors:
        yield from finding_lines(finding, names, page, commands=commands)


def plan(fixes: Sequence[Fix]) -> str:
    """The plan that is shown before the fixes are applied."""
    lines = ["To be done:"]
    for fix in fixes:
        lines += [f"  {printable(fix.command)}", *([f"    {printable(fix.note)}"] if fix.note else [])]
    return "\n".join(lines)


def apply(fixes: Sequence[Fix], stream: TextIO) -> list[Fault]:
    """Apply every fix, also after one that fails, and return the failures.

    :param stream: where the applied fixes are reported; the failures are reported on standard error.
    """
    faults = []
    for fix in fixes:
        try:
            note = fix.apply()
        except Fault as fault:
            faults.append(fault)
            print(f"safe-image: not done: {fault_line(fix.command, fault)}", file=sys.stderr, flush=True)
        else:
            print(f"done: {printable(fix.command)}", file=stream, flush=True)
            if note:
                print(f"  {printable(note)}", file=stream, flush=True)
    return faults
