"""Finding, Severity and Report: the outcome of a verification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal

from .image.model import Image

SCHEMA_VERSION: Final = 1


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
    :param remedy: commands and advice that mend it, one each, filled in with this image's names.
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
    remedy: tuple[str, ...] = ()
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

    def as_json(self) -> dict[str, Any]:
        """The image's object in the JSON report (`schema_version` 1)."""
        image = self.image
        diff_ids: Sequence[str] = image.config.diff_ids if image.config else ()
        return {
            "reference": image.reference,
            "digest": image.top.digest if image.top else None,
            "verdict": self.verdict,
            "runs_on": list(self.runs_on),
            "platform": str(image.platform),
            "media_type": image.top.media_type if image.top else None,
            "size_bytes": image.size,
            "layers": [
                {
                    "digest": layer.digest,
                    "media_type": layer.media_type,
                    "size_bytes": layer.size,
                    "diff_id": diff_ids[i] if i < len(diff_ids) else None,
                }
                for i, layer in enumerate(image.layers)
            ],
            "findings": [
                {
                    "id": f.id,
                    "severity": f.severity.value,
                    "runs_on": list(f.runs_on),
                    "message": f.message,
                    "expected": f.expected,
                    "found": f.found,
                    "runtime_error": f.runtime_error,
                    "remedy": list(f.remedy),
                    "acknowledged": f.acknowledged,
                }
                for f in self.findings
            ],
        }
