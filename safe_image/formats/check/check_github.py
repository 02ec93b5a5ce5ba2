"""The GitHub report of `check`: a workflow command for each finding and each fault, which annotates the run.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, TextIO

from image_verifier.report import Finding, Severity
from image_verifier.text import printable

from ..text.finding_text import plain_finding

if TYPE_CHECKING:
    from ...results.check_runner import Outcome

_SEVERITIES: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
# https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts
_DATA: Final = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY: Final = _DATA | {":": "%3A", ",": "%2C"}


def report(outcomes: Iterable[Outcome], stream: TextIO) -> Iterator[str]:
    """The report, image by image.

    :param outcomes: the outcomes of the checks.
    :param stream: the stream that the report is written to.
    """
    for outcome in outcomes:
        name = printable(outcome.reference)
        if outcome.fault:
            text = outcome.fault.text
            yield _command("error", f"Not verified: {name}", printable(text))
        elif outcome.report:
            refused = outcome.report.errors
            for finding in outcome.report.findings:
                command = "error" if finding in refused else _level(finding)
                yield _command(command, f"{name}: {finding.id}", "\n".join(plain_finding(finding, outcome.names)))
            # A plain line of the log: an annotation of a healthy image would only distract.
            yield f"{'Refused' if refused else 'Verified'}: {name}\n"


def _level(finding: Finding) -> str:
    # An acknowledged or accepted finding does not fail the run, and must not look as if it did.
    return "notice" if finding.acknowledged else min(_SEVERITIES[finding.severity], "warning", key=_LEVELS.index)


_LEVELS: Final = ("notice", "warning", "error")


def _command(command: str, title: str, text: str) -> str:
    return f"::{command} title={_escaped(title, _PROPERTY)}::{_escaped(text, _DATA)}\n"


def _escaped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(character, character) for character in text)
