"""What is done about a broken image, shown before it is done: its tag removed from ECR, its twin from this machine."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from image_verifier.catalog import CATALOG, Stage
from image_verifier.findings import Fault, Report, Severity
from image_verifier.remedies import Names
from image_verifier.retry import Patience
from image_verifier.untag import remove

from .accounts import Accounts, Endpoint
from .docker import Docker
from .formats.text import printable


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

    accounts: Accounts
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
        failure = remove(client, arn, names.tag, self.digest, Patience.of(30))
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


def is_broken(report: Report) -> bool:
    """Whether something refuses the image that building it anew may mend, and not only a policy."""
    return any(f.severity is Severity.ERROR and CATALOG[f.id].stage is not Stage.POLICY for f in report.errors)


def steps_for(names: Names, report: Report, accounts: Accounts, docker: Docker) -> list[Step]:
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


def is_agreed(steps: Sequence[Step], *, yes: bool) -> bool:
    """Whether the steps, which have been shown, may be taken.

    :param yes: whether that was said on the command line.
    """
    if yes or not steps:
        return True
    if not sys.stdin.isatty():
        print("Nothing was done: there is nobody to ask here. Write --yes to do it.", file=sys.stderr)
        return False
    return input("Do it? [y/N] ").strip().lower() in ("y", "yes")


def take(steps: Sequence[Step]) -> list[Fault]:
    """Take every step, and give what failed."""
    faults = []
    for step in steps:
        try:
            step.take()
            print(f"done: {printable(step.command)}")
        except Fault as fault:
            faults.append(fault)
            text = f"{fault.message.rstrip('.')}. {fault.advice}".rstrip()
            print(f"safe-image: {printable(text)}", file=sys.stderr)
    return faults
