"""Checks of many images at once: each ends with a report or a fault, and no fault stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from image_verifier.faults import Fault
from image_verifier.policy import Policy
from image_verifier.pool import Pool
from image_verifier.report import Report
from image_verifier.rules.remedies import Names

from ..sources.place import Place
from ..sources.targets import Target
from .pushed_images import verify_target

# Images that are checked at once; each reads its own documents in parallel.
_AT_ONCE: Final = 32
_NO_NAMES: Final = Names()
Verdict = Literal["pass", "fail", "unknown", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check: a report, the fault that prevented it, or the reason why it was skipped.

    :param reference: the image's reference, as the user passed it.
    :param policy: the policy that the image was checked by.
    :param report: the report; None where there is none.
    :param fault: the fault; None where there is none.
    :param names: the image's names, which fill in the remedies' commands.
    :param construct: the path of the construct that builds it; empty for an image that no cloud assembly publishes.
    :param places: the places in files that name the image.
    :param skipped: the user's reason not to check it; empty where it was checked.
    :param is_tolerated: whether a fault does not fail the command.
    """

    reference: str
    policy: Policy
    report: Report | None = None
    fault: Fault | None = None
    names: Names = _NO_NAMES
    construct: str = ""
    places: tuple[Place, ...] = ()
    skipped: str = ""
    is_tolerated: bool = False

    @property
    def label(self) -> str:
        """The image's name for people: the construct that builds it, or else its reference."""
        return self.construct or self.reference

    @property
    def verdict(self) -> Verdict:
        """`pass`, `fail`, `unknown` where there is a fault, or `skipped`."""
        return self.report.verdict if self.report else "skipped" if self.skipped else "unknown"


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

    with Pool(min(_AT_ONCE, len(targets) or 1)) as pool:
        yield from pool.results(outcome, targets)


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
        if debug:
            import traceback

            traceback.print_exc()
        if isinstance(e, Fault):
            return replace(outcome, fault=e)
        # A bug must not take the other images' reports with it.
        bug = Fault(f"the check itself failed: {type(e).__name__}: {e}", "Please report it with the output of --debug.")
        return replace(outcome, fault=bug)
