"""`safe-image check`: judge every reference, report, and sum up in the exit code."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from image_verifier.findings import Fault, Report, Verdict
from image_verifier.policy import Policy
from image_verifier.verify import verify

from .arguments import policy
from .output import destination
from .sources import Sources, Target

# How many images are checked at once; each asks for its own parts side by side.
_AT_ONCE: Final = 8
_EXIT: Final[dict[Verdict, int]] = {"pass": 0, "fail": 1, "unknown": 2}


@dataclass(frozen=True)
class Outcome:
    """What became of one reference: a report, or the fault for which there is none."""

    reference: str
    policy: Policy
    report: Report | None = None
    fault: Fault | None = None

    @property
    def verdict(self) -> Verdict:
        """`pass`, `fail`, or `unknown` where it could not be told."""
        return self.report.verdict if self.report else "unknown"


def check(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image check` parses them.
    :returns: the exit code: the highest of the images'.
    :raises UsageError: before anything is asked, if one argument is wrong.
    """
    from .formats import FORMATS

    asked = policy(arguments)
    sources = Sources()
    targets = [sources.target(text, str(asked.platform)) for text in arguments.references]
    worst = 0
    with destination(arguments.output) as stream:

        def tell(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
            nonlocal worst
            for outcome in outcomes:
                worst = max(worst, _EXIT[outcome.verdict])
                if outcome.fault:
                    _complain(outcome.reference, outcome.fault)
                yield outcome

        for part in FORMATS[arguments.format](tell(_outcomes(targets, asked, arguments.debug)), stream):
            stream.write(part)
    return worst


def _outcomes(targets: Sequence[Target], asked: Policy, debug: bool) -> Iterator[Outcome]:
    """The outcomes in the references' order, each as soon as it and those before it are known."""
    if len(targets) == 1:
        yield _outcome(targets[0], asked, debug)
        return
    with ThreadPoolExecutor(min(_AT_ONCE, len(targets))) as pool:
        yield from pool.map(lambda target: _outcome(target, asked, debug), targets)


def _outcome(target: Target, asked: Policy, debug: bool) -> Outcome:
    try:
        return Outcome(target.reference, asked, report=verify(target.open(), asked, target.names))
    except Exception as e:
        if debug:
            import traceback

            traceback.print_exc()
        if isinstance(e, Fault):
            return Outcome(target.reference, asked, fault=e)
        # A bug must not take the other images' reports with it.
        bug = Fault(f"the check itself failed: {type(e).__name__}: {e}", "Please report it, with what --debug shows.")
        return Outcome(target.reference, asked, fault=bug)


def _complain(reference: str, fault: Fault) -> None:
    from .text import one_line

    print(f"safe-image: {one_line(reference, fault)}", file=sys.stderr, flush=True)
