"""Checks of many images at once: each ends with a report or a fault, and no fault stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from image_verifier.outcome import ImageOutcome, as_fault
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.sources import side_by_side
from image_verifier.verify import verify

if TYPE_CHECKING:
    from ..sources.place import Place
    from ..sources.targets import Target

# Images that are checked at once; each reads its own documents in parallel.
_AT_ONCE: Final = 32


@dataclass(frozen=True)
class Outcome(ImageOutcome):
    """The outcome of one check of the command line.

    :param construct: the path of the construct that builds it; empty for an image that no cloud assembly publishes.
    :param places: the places in files that name the image.
    :param is_tolerated: whether a fault does not fail the command.
    """

    construct: str = ""
    places: tuple[Place, ...] = ()
    is_tolerated: bool = False

    @property
    def label(self) -> str:
        """The image's name for people: the construct that builds it, or else its reference."""
        return self.construct or self.reference


def run_checks(
    targets: Sequence[tuple[Target, Policy]], debug: bool, done: Callable[[], None] = lambda: None
) -> Iterator[Outcome]:
    """The outcomes in the targets' order, each as soon as it and those before it are known.

    :param targets: the images, each with its policy.
    :param debug: whether tracebacks of faults are printed.
    :param done: called after each check, from any thread.
    """

    def outcome(target: tuple[Target, Policy]) -> Outcome:
        result = run_check(*target, debug)
        done()
        return result

    with side_by_side(min(_AT_ONCE, len(targets) or 1)) as workers:
        yield from workers.results(outcome, targets)


def run_check(target: Target, policy: Policy, debug: bool) -> Outcome:
    """The outcome of one check.

    :param target: the image.
    :param policy: the policy to check it by.
    :param debug: whether the traceback of a fault is printed.
    """
    outcome = Outcome(target.reference, policy, names=target.names, construct=target.construct, places=target.places)
    if target.skipped:
        return replace(outcome, skipped=target.skipped)
    try:
        report = verify_target(target, policy)
        return replace(outcome, report=report, names=target.names.with_digest_of(report.image.top))
    except Exception as e:
        return replace(outcome, fault=as_fault(e, debug=debug))


def verify_target(target: Target, policy: Policy) -> Report:
    """Verify the image of a target.

    :param target: the image.
    :param policy: what is required of it.
    :returns: the report.
    :raises Fault: if the result is unknown.
    """
    if target.open_pushes is None:
        return verify(target.open(), policy)
    # Imported here: most images are in no archive of Docker, and the command must start fast.
    from .pushed_images import verify_pushes

    return verify_pushes(target.open_pushes(), policy)
