"""Finding, Severity and Report: the outcome of a verification."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from .image.model import Image


class Severity(str, Enum):
    """How serious a finding is: an error refuses the image by default, an info never does."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class FailOn(str, Enum):
    """The lowest severity that refuses the image. A fault fails a deploy in any case."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with an image.

    :param id: the check's stable name, in kebab-case.
    :param severity: how serious it is.
    :param message: what is wrong, complete in itself.
    :param runs_on: the runtimes to which it matters.
    :param expected: what was expected, where that says more than the message.
    :param found: what was found instead.
    :param runtime_error: the error that the runtime would report; empty where it is not known.
    :param predicted: whether that error was read in an engine's source, and not measured.
    :param layer: the digest of the layer that has it; empty where the whole image has it.
    :param acknowledged: why it is waived; empty where it is not.
    """

    id: str
    severity: Severity
    message: str
    runs_on: tuple[str, ...] = ()
    expected: str = ""
    found: str = ""
    runtime_error: str = ""
    predicted: bool = False
    layer: str = ""
    acknowledged: str = ""


Verdict = Literal["pass", "fail", "unknown"]
_REFUSED: Final = {
    FailOn.ERROR: {Severity.ERROR},
    FailOn.WARNING: {Severity.ERROR, Severity.WARNING},
    FailOn.NEVER: set[Severity](),
}


@dataclass(frozen=True)
class Report:
    """The outcome for one image.

    :param image: what is known of the image.
    :param runs_on: the runtimes that it was verified for.
    :param findings: all findings, the most serious first.
    :param fail_on: the lowest severity that refuses the image.
    """

    image: Image
    runs_on: tuple[str, ...]
    findings: tuple[Finding, ...]
    fail_on: FailOn = FailOn.ERROR

    @property
    def verdict(self) -> Verdict:
        """`fail` if any finding refuses the image, else `pass`."""
        return "fail" if self.errors else "pass"

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that refuse the image."""
        return tuple(filter(self.refuses, self.findings))

    def refuses(self, finding: Finding) -> bool:
        """Whether one of the findings refuses the image."""
        return finding.severity in _REFUSED[self.fail_on] and not finding.acknowledged

    @property
    def tolerated_errors(self) -> tuple[Finding, ...]:
        """The errors that are not acknowledged and pass all the same, because `fail_on` is `never`."""
        errors = (f for f in self.findings if f.severity is Severity.ERROR and not f.acknowledged)
        return tuple(f for f in errors if not self.refuses(f))
