"""The words before an error that a runtime would report, the same in every format."""

from __future__ import annotations

from ..report import Finding
from .runtimes import RUNTIMES


def citation(finding: Finding) -> str:
    """The runtime whose error a finding shows, and whether that error was read in an engine's source, not measured.

    :param finding: a finding with a runtime's error.
    """
    predicted = " (predicted from its source)" if finding.predicted else ""
    return f"{RUNTIMES[finding.runs_on[0]].title} would have said{predicted}"
