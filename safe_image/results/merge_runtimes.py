"""Findings that differ only in their runtimes, merged into one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from image_verifier.report import Finding


def merge_runtimes(findings: Iterable[Finding]) -> list[Finding]:
    """The findings; of those that differ only in their runtimes the first remains, for all of these runtimes.

    :param findings: the findings.
    """
    first: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        key = (finding.id, finding.severity, finding.layer, finding.expected, finding.found)
        known = first.setdefault(key, finding)
        first[key] = replace(known, runs_on=tuple(dict.fromkeys((*known.runs_on, *finding.runs_on))))
    return list(first.values())
