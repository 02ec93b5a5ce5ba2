"""The GitHub report of `check`: a workflow command for each finding and each fault, which annotates the run.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TextIO

from image_verifier.report import Finding, Severity
from image_verifier.text import printable

from ..text.finding_text import plain_finding

if TYPE_CHECKING:
    from ...results.check_runner import Outcome
    from ...sources.place import Place

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
            command = "warning" if outcome.is_tolerated else "error"
            yield _command(command, f"Not verified: {name}", printable(outcome.fault.text), outcome.places)
        elif outcome.skipped:
            yield f"Skipped: {name}: {printable(outcome.skipped)}\n"
        elif outcome.report:
            refused = outcome.report.errors
            for finding in outcome.report.findings:
                command = "error" if finding in refused else _level(finding)
                text = "\n".join(plain_finding(finding, outcome.names))
                yield _command(command, f"{name}: {finding.id}", text, outcome.places)
            # A plain line of the log: an annotation of a healthy image would only distract.
            yield f"{'Refused' if refused else 'Verified'}: {name}\n"


def _level(finding: Finding) -> str:
    # An acknowledged or accepted finding does not fail the run, and must not look as if it did.
    return "notice" if finding.acknowledged else min(_SEVERITIES[finding.severity], "warning", key=_LEVELS.index)


_LEVELS: Final = ("notice", "warning", "error")


def _command(command: str, title: str, text: str, places: Sequence[Place]) -> str:
    """A workflow command. It annotates the first place that names the image, and lists the others."""
    where = "".join(f"file={_escaped(printable(place.file), _PROPERTY)},line={place.line}," for place in places[:1])
    others = "".join(f"\nalso named at {printable(str(place))}" for place in places[1:])
    return f"::{command} {where}title={_escaped(title, _PROPERTY)}::{_escaped(text + others, _DATA)}\n"


def _escaped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(character, character) for character in text)
