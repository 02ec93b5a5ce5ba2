"""A report as the JSON object that the command and the verifier's log print, remedies included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .report import Finding, Report
from .rules.names import Names
from .rules.remedies import remedy
from .text import shortened

SCHEMA_VERSION: Final = 1


def report_as_json(report: Report, names: Names) -> dict[str, Any]:
    """The image's object in the JSON report (`schema_version` 1).

    :param report: the outcome of a verification.
    :param names: the image's names, with which the remedies' commands are filled in.
    """
    image = report.image
    diff_ids: Sequence[str] = image.config.diff_ids if image.config else ()
    return {
        "reference": image.reference,
        "digest": image.top.digest if image.top else None,
        "verdict": report.verdict,
        "runs_on": list(report.runs_on),
        "platform": str(image.platform),
        "media_type": shortened(image.top.media_type) if image.top else None,
        "size_bytes": image.size,
        "layers": [
            {
                "digest": shortened(layer.digest),
                "media_type": shortened(layer.media_type),
                "size_bytes": layer.size,
                "diff_id": shortened(diff_ids[i]) if i < len(diff_ids) else None,
            }
            for i, layer in enumerate(image.layers)
        ],
        "findings": [_finding(finding, names) for finding in report.findings],
    }


def _finding(finding: Finding, names: Names) -> dict[str, Any]:
    return {
        "id": finding.id,
        "severity": finding.severity.value,
        "runs_on": list(finding.runs_on),
        "message": finding.message,
        "expected": finding.expected,
        "found": finding.found,
        "runtime_error": finding.runtime_error,
        "runtime_error_predicted": finding.predicted,
        "remedy": list(remedy(finding, names)),
        "acknowledged": finding.acknowledged,
    }
