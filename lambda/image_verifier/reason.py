"""How a refusal reads in CloudFormation: every finding, what the runtime would have said, the commands.

CloudFormation takes an answer of at most 4,096 bytes, so the text comes in levels of detail, and the first that
fits is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .findings import Fault, Finding, Report, Severity
from .layout import COLUMNS, wrapped
from .properties import Properties
from .runtimes import RUNTIMES


@dataclass(frozen=True)
class Detail:
    """How much is told.

    :param errors: how many errors are told with their message.
    :param runtime_errors: of how many of them what the runtime would have said.
    :param others: how many warnings are told.
    :param commands: whether the commands are told.
    """

    errors: int
    runtime_errors: int
    others: int
    commands: bool = True


LEVELS: Final = (
    Detail(1000, 1000, 1000),
    Detail(1000, 1000, 0),
    Detail(1000, 3, 0),
    Detail(12, 1, 0),
    Detail(6, 1, 0),
    Detail(3, 1, 0),
    Detail(1, 1, 0),
    Detail(1, 0, 0),
    Detail(1, 0, 0, commands=False),
)


def refusal(report: Report, properties: Properties, log: str, detail: Detail = LEVELS[0]) -> list[str]:
    """The lines that tell of an image that is refused.

    :param report: what was found.
    :param properties: which image it was, and where in the app.
    :param log: where the whole report is to be read.
    :param detail: how much of it is told.
    """
    first, *errors = report.errors
    lines = [*wrapped(f"{_subject(properties)} is refused: {first.message} [{first.id}]")]
    if detail.runtime_errors:
        lines += _said(first)
    for number, finding in enumerate(errors[: detail.errors - 1], start=2):
        lines += wrapped(f"Also: {finding.message} [{finding.id}]")
        if number <= detail.runtime_errors:
            lines += _said(finding)
    hidden = len(errors) - (detail.errors - 1)
    others = [f for f in report.findings if f not in report.errors]
    for finding in others[: detail.others]:
        lines += wrapped(f"{_weight(finding)}: {finding.message} [{finding.id}]")
    if detail.commands:
        lines += ["To mend it:", *_mending(report.errors[: detail.errors])]
    more = [f"{hidden} more errors"] * (hidden > 0) + [f"{len(others)} warnings"] * (len(others) > detail.others)
    lines += wrapped(f"Image: {_image(report, properties)}")
    lines += wrapped((f"And {' and '.join(more)}. " if more else "") + f"The whole report: {log}" if log else "")
    return lines


def doubt(fault: Fault, properties: Properties | None, log: str) -> list[str]:
    """The lines that tell that it could not be told whether the image is good."""
    subject = _subject(properties) if properties else "The image"
    return [
        *wrapped(f"{subject} could not be verified, so nothing is known about the image: {fault.message}."),
        *wrapped(fault.advice),
        *wrapped(f"The whole report: {log}" if log else ""),
    ]


def summary(report: Report, properties: Properties) -> list[str]:
    """The lines that tell of an image that is taken, for the log."""
    runs_on = ", ".join(RUNTIMES[name].title for name in report.runs_on)
    lines = [f"{_subject(properties)} can be run on {runs_on}.", f"Image: {_image(report, properties)}"]
    for finding in report.findings:
        lines += wrapped(f"{_weight(finding)}: {finding.message} [{finding.id}]")
    return lines


def _subject(properties: Properties) -> str:
    return properties.construct_path or f"{properties.names.repository}:{properties.tag or properties.digest}"


def _image(report: Report, properties: Properties) -> str:
    names, top = properties.names, report.image.top
    name = f"{names.repository}:{names.tag}" if names.tag else names.repository
    return f"{name} {top.digest if top else ''} in {names.region}, account {names.registry_id}"


def _weight(finding: Finding) -> str:
    if finding.acknowledged:
        return f"Acknowledged ({finding.acknowledged})"
    return "Warning" if finding.severity is Severity.WARNING else "Note"


def _said(finding: Finding) -> Iterator[str]:
    if finding.runtime_error:
        title = RUNTIMES[finding.runs_on[0]].title
        yield from wrapped(f"{title} would have said: {finding.runtime_error}", indent="  ")


def _mending(findings: Sequence[Finding]) -> Iterator[str]:
    """Every step once; advice before the commands that all findings share."""
    steps = list(dict.fromkeys(step for finding in findings for step in finding.remedy))
    # What is said last by one finding (deploy again) comes after what every finding says first.
    steps.sort(key=lambda step: (step.startswith("Then "), step.startswith("$ ")))
    for step in steps:
        if step.startswith("$ "):
            yield from _command(step[2:])
        else:
            yield from wrapped(step, indent="  ")


def _command(command: str) -> Iterator[str]:
    """A command broken at its words, each line but the last with a backslash, so that it can be pasted."""
    line = "  "
    for word in command.split(" "):
        if len(line) + len(word) + 3 > COLUMNS and line.strip():
            yield line + "\\"
            line = "      "
        line += word + " "
    yield line.rstrip()
