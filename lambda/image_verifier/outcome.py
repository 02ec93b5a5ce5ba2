"""ImageOutcome: one image of many was verified, could not be verified, or was skipped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from .faults import Fault
from .policy import Policy
from .report import Report
from .rules.names import Names

_NO_NAMES: Final = Names()
ImageVerdict = Literal["pass", "fail", "unknown", "skipped"]


@dataclass(frozen=True)
class ImageOutcome:
    """The outcome of one verification: a report, the fault that prevented it, or the reason why it was skipped.

    :param reference: the image's reference, as the user passed it.
    :param policy: the policy that the image was verified by.
    :param report: the report; None where there is none.
    :param fault: the fault; None where there is none.
    :param names: the image's names, which fill in the remedies' commands.
    :param skipped: the reason why it was not verified; empty where it was.
    """

    reference: str
    policy: Policy
    report: Report | None = None
    fault: Fault | None = None
    names: Names = _NO_NAMES
    skipped: str = ""

    @property
    def verdict(self) -> ImageVerdict:
        """`pass`, `fail`, `unknown` where there is a fault, or `skipped`."""
        return self.report.verdict if self.report else "skipped" if self.skipped else "unknown"


def as_fault(error: Exception, *, debug: bool = False) -> Fault:
    """The fault for an exception of a verification: a bug must not take the other images' outcomes with it.

    :param error: the exception.
    :param debug: whether its traceback is printed on standard error.
    """
    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, Fault):
        return error
    return Fault(
        f"the check itself failed: {type(error).__name__}: {error}", "Please report it with the output of --debug."
    )
