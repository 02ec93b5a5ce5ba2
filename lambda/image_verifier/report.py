"""Finding, Severity and Report: the outcome of a verification."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from .image.model import Image


class Severity(str, Enum):
    """How much a finding weighs: an error refuses the image unless the policy says otherwise, an info never does."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class FailOn(str, Enum):
    """From which severity on a finding refuses the image. A fault fails a deploy whatever it says."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with an image.

    :param id: the check's stable name, in kebab-case.
    :param severity: how much it weighs.
    :param message: what is wrong, complete in itself.
    :param runs_on: the runtimes to which it matters.
    :param expected: what was expected, where that says more than the message.
    :param found: what was found instead.
    :param runtime_error: what the runtime would have answered, where that is known.
    :param layer: the digest of the layer that it is about; empty where it is about the whole image.
    :param acknowledged: the reason for which somebody waived it; empty where nobody did.
    """

    id: str
    severity: Severity
    message: str
    runs_on: tuple[str, ...] = ()
    expected: str = ""
    found: str = ""
    runtime_error: str = ""
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

    :param image: what is known of it.
    :param runs_on: the runtimes that it was judged for.
    :param findings: everything that was found, gravest first.
    :param fail_on: from which severity on a finding refuses it.
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
        return tuple(f for f in self.findings if f.severity in _REFUSED[self.fail_on] and not f.acknowledged)

    @property
    def tolerated_errors(self) -> tuple[Finding, ...]:
        """The errors that nobody acknowledged, and that are let pass since nothing refuses the image."""
        errors = (f for f in self.findings if f.severity is Severity.ERROR and not f.acknowledged)
        return tuple(f for f in errors if f not in self.errors)
