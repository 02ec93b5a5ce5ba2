"""What became of images that were to be judged: many at once, none of which takes another's report with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from image_verifier.faults import Fault
from image_verifier.policy import Policy
from image_verifier.pool import Pool
from image_verifier.report import Report, Verdict
from image_verifier.rules.remedies import Names
from image_verifier.verify import verify

from ..sources.targets import Target

# How many images are judged at once; each asks for its own parts side by side.
_AT_ONCE: Final = 32
_NO_NAMES: Final = Names()


@dataclass(frozen=True)
class Outcome:
    """What became of one reference: a report, or the fault for which there is none.

    :param reference: as it was written.
    :param policy: what was required of the image.
    :param names: the image's names, with which the remedies' commands are filled in.
    """

    reference: str
    policy: Policy
    report: Report | None = None
    fault: Fault | None = None
    names: Names = _NO_NAMES

    @property
    def verdict(self) -> Verdict:
        """`pass`, `fail`, or `unknown` where it could not be told."""
        return self.report.verdict if self.report else "unknown"


def run_checks(targets: Sequence[tuple[Target, Policy]], debug: bool, done: Callable[[], None]) -> Iterator[Outcome]:
    """The outcomes in the targets' order, each as soon as it and those before it are known.

    :param targets: the images, and what is asked of each.
    :param debug: whether tracebacks of what could not be told are printed.
    :param done: called for each as it is known, from any thread.
    """

    def outcome(target: tuple[Target, Policy]) -> Outcome:
        found = run_check(*target, debug)
        done()
        return found

    with Pool(min(_AT_ONCE, len(targets) or 1)) as pool:
        yield from pool.results(outcome, targets)


def run_check(target: Target, asked: Policy, debug: bool) -> Outcome:
    """What becomes of one image.

    :param target: the image.
    :param asked: what is asked of it.
    :param debug: whether the traceback of what could not be told is printed.
    """
    try:
        return Outcome(target.reference, asked, report=verify(target.open(), asked), names=target.names)
    except Exception as e:
        if debug:
            import traceback

            traceback.print_exc()
        if isinstance(e, Fault):
            return Outcome(target.reference, asked, fault=e)
        # A bug must not take the other images' reports with it.
        bug = Fault(f"the check itself failed: {type(e).__name__}: {e}", "Please report it, with what --debug shows.")
        return Outcome(target.reference, asked, fault=bug)
