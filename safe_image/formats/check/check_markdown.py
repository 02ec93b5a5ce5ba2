"""The Markdown report of `check`, for a job's summary or a comment: a table of the images, and their findings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TextIO

from image_verifier.report import Finding, Report
from image_verifier.rules.citations import citation
from image_verifier.rules.remedies import remedy
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.text import printable, readable_size

from ..text.finding_text import fault_line

if TYPE_CHECKING:
    from ...results.check_runner import Outcome

_MARKS: Final = {"pass": "✅ passed", "fail": "❌ refused", "unknown": "⚠️ unknown", "skipped": "⏭️ skipped"}
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")
# Words that GitHub and GitLab turn into links or mentions, also where their special characters are escaped:
# https://docs.github.com/en/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls
_LIVE: Final = re.compile(r"@|://|www\.|[#!$%&~]\w|\bGH-\d", re.IGNORECASE)
_WORDS: Final = re.compile(r"(\S+)")


def report(outcomes: Iterable[Outcome], stream: TextIO) -> Iterator[str]:
    """The report: the table first, then the findings of each image.

    :param outcomes: the outcomes of the checks.
    :param stream: the stream that the report is written to.
    """
    details: list[str] = []
    yield "| image | verdict | runs on | size | layers |\n| --- | --- | --- | ---: | ---: |\n"
    for outcome in outcomes:
        yield _row(outcome)
        if outcome.fault:
            details.append(f"- {_plain(fault_line(outcome.reference, outcome.fault))}\n{_places(outcome)}")
        elif outcome.skipped:
            details.append(f"- {_plain(f'{outcome.reference}: {outcome.skipped}')}\n{_places(outcome)}")
        elif outcome.report and outcome.report.findings:
            details.append("".join(_image(outcome, outcome.report)))
    yield "".join(f"\n{detail}" for detail in details)


def _row(outcome: Outcome) -> str:
    image = outcome.report.image if outcome.report else None
    cells = (
        _code(outcome.reference),
        _MARKS[outcome.verdict],
        ", ".join(RUNTIMES[name].title for name in outcome.policy.runs_on),
        readable_size(image.size) if image else "",
        str(len(image.layers)) if image else "",
    )
    return f"| {' | '.join(cells)} |\n"


def _image(outcome: Outcome, report: Report) -> Iterator[str]:
    yield f"#### {_code(outcome.reference)}\n\n{_places(outcome)}"
    for finding in report.findings:
        yield from _finding(finding, remedy(finding, outcome.names))


def _places(outcome: Outcome) -> str:
    return "".join(f"- named at {_code(str(place))}\n" for place in outcome.places)


def _finding(finding: Finding, steps: Sequence[str]) -> Iterator[str]:
    label = f"acknowledged: {finding.acknowledged}" if finding.acknowledged else finding.severity.value
    yield f"- **{finding.id}** ({_plain(label)}): {_plain(finding.message)}\n"
    if finding.acknowledged:
        return
    if finding.runtime_error:
        yield f"  <br>{citation(finding)}: {_code(finding.runtime_error)}\n"
    advice = [step for step in steps if not step.startswith("$ ")]
    commands = [step[2:] for step in steps if step.startswith("$ ")]
    if advice:
        yield f"  <br>{_plain(' '.join(advice))}\n"
    if commands:
        lines = "\n".join("  " + printable(command) for command in commands)
        yield f"\n  ```console\n{lines}\n  ```\n"


def _code(text: str) -> str:
    """Text as code, also if it contains Markdown's special characters."""
    text = printable(text).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def _plain(text: str) -> str:
    """Text as text: no character of it is markup, and no word notifies anybody or becomes a link."""
    words = _WORDS.split(printable(text))
    return "".join(_code(word) if _LIVE.search(word) else _SPECIAL.sub(r"\\\1", word) for word in words)
