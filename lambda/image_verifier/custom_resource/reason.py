"""The text of a reason: every finding, what the runtime would have said, and the commands that fix the image.

CloudFormation accepts responses of less than 4,096 bytes, so the text is written in levels of detail, and the first
that fits is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ..faults import Fault
from ..report import Finding, Report, Severity
from ..rules.citations import citation
from ..rules.names import Names
from ..rules.remedies import prevention, remedy
from ..rules.runtimes import RUNTIMES
from ..text import printable
from .layout import Paragraph, Reason, command, prose
from .properties import Properties


@dataclass(frozen=True)
class Detail:
    """How much a reason contains.

    :param errors: the number of errors with their message.
    :param runtime_errors: the number of errors that are shown with the runtime's words.
    :param others: the number of warnings.
    :param steps: how much of the remedy: all of it, no commands to be run by hand, or nothing.
    :param prevention: whether it says how to prevent the first error for good.
    """

    errors: int
    runtime_errors: int
    others: int
    steps: Literal["all", "short", "none"] = "all"
    prevention: bool = False


_WEIGHTS: Final = {Severity.ERROR: "Error", Severity.WARNING: "Warning", Severity.INFO: "Note"}

LEVELS: Final = (
    Detail(1000, 1000, 1000, prevention=True),
    Detail(1000, 1000, 0, prevention=True),
    Detail(1000, 3, 0, prevention=True),
    Detail(1000, 3, 0),
    Detail(12, 1, 0),
    Detail(6, 1, 0),
    Detail(3, 1, 0),
    Detail(1, 1, 0),
    Detail(1, 0, 0),
    Detail(3, 1, 0, "short"),
    Detail(1, 1, 0, "short"),
    Detail(1, 0, 0, "short"),
    Detail(1, 0, 0, "none"),
)


def refusal(
    report: Report,
    properties: Properties,
    names: Names,
    log: str,
    detail: Detail = LEVELS[0],
    untagging: str = "",
) -> Reason:
    """The reason of a refused image.

    :param report: the findings.
    :param properties: the image, and its construct.
    :param names: the image's names, which the remedies' commands contain.
    :param log: where the full report is; empty for the log itself.
    :param detail: how much the reason contains.
    :param untagging: what happened to the tag; empty where it was not to be removed.
    """
    first, *errors = report.errors
    paragraphs: list[Paragraph] = []
    if detail.runtime_errors:
        paragraphs += _runtime_error(first)
    for number, finding in enumerate(errors[: detail.errors - 1], start=2):
        paragraphs += prose(f"Also: {finding.message} [{finding.id}]")
        if number <= detail.runtime_errors:
            paragraphs += _runtime_error(finding)
    hidden = len(errors) - (detail.errors - 1)
    others = [f for f in report.findings if not report.refuses(f)]
    for finding in others[: detail.others]:
        paragraphs += prose(one_line(finding))
    paragraphs += prose(untagging)
    if detail.steps != "none":
        paragraphs += prose("To fix it:")
        paragraphs += _steps(report.errors[: detail.errors], names, is_short=detail.steps == "short")
    if detail.prevention:
        paragraphs += prose(f"To prevent it: {prevention(first, names)}")
    paragraphs += _image(report, properties)
    more = [f"{hidden} more errors"] * (hidden > 0) + [f"{len(others)} warnings"] * (len(others) > detail.others)
    if log:
        paragraphs += prose((f"And {' and '.join(more)}. " if more else "") + f"Full report: {log}")
    return Reason(f"Image refused: {first.message} [{first.id}]", paragraphs)


def doubt(fault: Fault, properties: Properties, log: str) -> Reason:
    """The reason where the verifier could not determine whether the image is good."""
    return Reason(
        f"Image not verified, so nothing is known about it: {fault.message}",
        [
            *prose(fault.advice),
            *prose(f"Construct: {properties.construct_path}" if properties.construct_path else ""),
            *prose(f"Full report: {log}"),
        ],
    )


def summary(report: Report, properties: Properties, names: Names) -> Reason:
    """The log entry of an image that passes.

    :param names: the image's names, which the remedies' commands contain.
    """
    runs_on = " and ".join(RUNTIMES[name].title for name in report.runs_on)
    notes = [paragraph for f in report.findings for paragraph in prose(one_line(f))]
    if report.tolerated_errors:
        headline = f"Image accepted because fail_on is 'never', although it may not run on {runs_on}."
        notes += [*prose("To fix it:"), *_steps(report.tolerated_errors, names)]
    else:
        headline = f"Image verified: it can run on {runs_on}."
    return Reason(headline, [*notes, *_image(report, properties)])


def one_line(finding: Finding) -> str:
    """A finding on one line, with its severity and its id."""
    return printable(f"{_weight(finding)}: {finding.message} [{finding.id}]")


def _image(report: Report, properties: Properties) -> list[Paragraph]:
    names, top = properties.names, report.image.top
    construct = f"Construct: {properties.construct_path}"
    return [
        *prose(construct if properties.construct_path else ""),
        *prose(f"Image: {names.repository}{':' * bool(names.tag)}{names.tag}"),
        *prose(f"in {names.region}, account {names.registry_id}, {top.digest if top else 'no image'}", indent="  "),
    ]


def _weight(finding: Finding) -> str:
    if finding.acknowledged:
        return f"Acknowledged ({finding.acknowledged})"
    return _WEIGHTS[finding.severity]


def _runtime_error(finding: Finding) -> Iterator[Paragraph]:
    if finding.runtime_error:
        yield from prose(f"{citation(finding)}: {finding.runtime_error}", indent="  ")


def _steps(findings: Sequence[Finding], names: Names, *, is_short: bool = False) -> Iterator[Paragraph]:
    """The remedies' steps, each once and with a number, which stands on another line than a command.

    Where there are commands, these are the steps, and the advice stands before them.
    """
    steps: list[tuple[str, list[str]]] = []
    for finding in findings:
        for line in remedy(finding, names):
            if line.startswith("$ "):
                steps[-1][1].append(line[2:])
            else:
                steps.append((line, []))
    unique = [step for number, step in enumerate(steps) if step not in steps[:number]]
    last = [step for step in unique if step[0].startswith("Then ")][:1]
    advice = [step for step in unique if not step[1] and not step[0].startswith("Then ")]
    # The first command does all of it; the others are for a person who does not have it.
    actions = [step for step in unique if step[1]][: 1 if is_short else None]
    if actions:
        for text, _ in advice:
            yield from prose(text, indent="  ")
    for number, (text, commands) in enumerate([*(actions or advice), *last], start=1):
        yield from prose(f"{number}. {text}")
        for line in commands:
            yield from command(line, indent="     ")
