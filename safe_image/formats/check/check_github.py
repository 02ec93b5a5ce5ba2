"""The report as GitHub's workflow commands: an annotation of the run for each finding and each fault.

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

_COMMANDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
# https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts
_DATA: Final = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY: Final = _DATA | {":": "%3A", ",": "%2C"}


def report(outcomes: Iterable[Outcome], stream: TextIO) -> Iterator[str]:
    """The report, image by image.

    :param outcomes: what became of the images.
    :param stream: what it is written to.
    """
    for outcome in outcomes:
        name = printable(outcome.reference)
        if outcome.fault:
            text = outcome.fault.text
            yield _command("error", f"Not verified: {name}", printable(text))
        elif outcome.report:
            refused = outcome.report.errors
            for finding in outcome.report.findings:
                command = "error" if finding in refused else _weight(finding)
                yield _command(command, f"{name}: {finding.id}", "\n".join(plain_finding(finding, outcome.names)))
            # A line for the log: an annotation of what is fine would only be in the way.
            yield f"{'Refused' if refused else 'Verified'}: {name}\n"


def _weight(finding: Finding) -> str:
    # What was acknowledged, or is let pass, does not fail the run and must not look as if it did.
    return "notice" if finding.acknowledged else min(_COMMANDS[finding.severity], "warning", key=_GRAVITY.index)


_GRAVITY: Final = ("notice", "warning", "error")


def _command(command: str, title: str, text: str) -> str:
    return f"::{command} title={_escaped(title, _PROPERTY)}::{_escaped(text, _DATA)}\n"


def _escaped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(character, character) for character in text)
