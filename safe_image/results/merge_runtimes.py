"""Findings that say the same of several runtimes, told once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from image_verifier.report import Finding


def merge_runtimes(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, of those that differ in the runtime's name alone only the first, for all of their runtimes.

    :param findings: what was found.
    """
    first: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        key = (finding.id, finding.severity, finding.layer, finding.expected, finding.found)
        known = first.setdefault(key, finding)
        first[key] = replace(known, runs_on=tuple(dict.fromkeys((*known.runs_on, *finding.runs_on))))
    return list(first.values())
