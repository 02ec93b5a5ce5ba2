"""A refusal of our own verifier, pasted from a deploy: its findings, its runtime and its commands, as printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from image_verifier.rules.catalog import CATALOG

from .cause import Cause
from .knowledge.findings import finding_cause
from .normalize import plain_readings, rejoined

_REFUSED: Final = re.compile(r"Image\s+refused:\s+(.{1,1500}?)\s*\[([a-z0-9-]{3,60})\]", re.DOTALL)
_OTHER: Final = re.compile(r"Also:\s+(.{1,1500}?)\s*\[([a-z0-9-]{3,60})\]", re.DOTALL)
_STEPS: Final = re.compile(
    r"To fix it:(.{1,6000}?)(?=To prevent it:|Construct:|\bImage: |Full report|And \d+ more|\Z)", re.DOTALL
)
_PROGRAMS: Final = r"(?:(?:aws|docker|safe-image|podman|finch|cdk|ecr\(\)|\$\{CDK_DOCKER:-docker\}) |[A-Z_]+=)"
_COMMAND: Final = re.compile(rf"^(?:\$ )?{_PROGRAMS}")
_NUMBER: Final = re.compile(r"^\d+\. ")
# Where a step or its command begins within a line, if white space was collapsed.
_BEGINNING: Final = re.compile(rf" (?=\d+\. [A-Z])|(?<=:) (?={_PROGRAMS})")
_SPACE: Final = re.compile(r"\s+")


def refusal_in(text: str) -> tuple[Cause, ...]:
    """The findings of a refusal, the first with the printed steps; empty where the text has no refusal.

    :param text: as it was shown.
    """
    as_it_is, unquoted, *others = plain_readings(text)
    readings = (unquoted, as_it_is, *others, rejoined(as_it_is), rejoined(unquoted))
    found = [causes for reading in readings if (causes := _causes(reading))]
    # A prefix of each line hides the commands from all readings but the one without prefixes.
    return max(found, key=_commands, default=())


def _causes(text: str) -> tuple[Cause, ...]:
    first = _REFUSED.search(text)
    if not first:
        return ()
    causes = [_cause(first), *(_cause(other) for other in _OTHER.finditer(text, first.end()))]
    return tuple(_with_steps([cause for cause in causes if cause], text))


def _commands(causes: tuple[Cause, ...]) -> tuple[int, int]:
    """The number of commands, and below zero that of steps with the frame of a table."""
    steps = [step for cause in causes for step in cause.remedy]
    return sum(step.startswith("$ ") for step in steps), -sum("│" in step for step in steps)


def _cause(match: re.Match[str]) -> Cause | None:
    if match[2] not in CATALOG:
        return None
    known = finding_cause(match[2])
    message = _SPACE.sub(" ", match[1])
    return Cause(
        known.id,
        message[:400],
        f"The verifier of this deploy refused the image. {known.title}"[:190],
        known.stage,
        known.blame,
        confirm=known.confirm,
        remedy=known.remedy,
        sources=known.sources,
        findings=known.findings,
    )


def _with_steps(causes: list[Cause], text: str) -> Iterator[Cause]:
    steps = _STEPS.search(text)
    printed = tuple(_steps(steps[1])) if steps else ()
    for number, cause in enumerate(causes[:3]):
        yield replace(cause, remedy=printed) if printed and number == 0 else cause


def _steps(text: str) -> Iterator[str]:
    """The printed steps, each on one line, and their commands (a broken line of those ends in `;` or `&&`)."""
    steps: list[str] = []
    for line in _BEGINNING.sub("\n", text).splitlines():
        words = line.strip()
        last = steps[-1] if steps else ""
        if not words:
            continue
        if last.startswith("$ ") and last.endswith((";", "&&", "\\")):
            steps[-1] = f"{last.removesuffix(chr(92)).rstrip()} {words}"
        elif _COMMAND.match(words):
            steps.append(f"$ {words.removeprefix('$ ')}")
        elif _NUMBER.match(words) or not last or last.startswith("$ ") or last.endswith((".", ":")):
            steps.append(words)
        else:
            steps[-1] = f"{last} {words}"
    yield from steps
