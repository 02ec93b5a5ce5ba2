"""A refusal of our own verifier, pasted from a deploy: its findings, its runtime and its commands, as printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from image_verifier.report import Finding, Severity
from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.names import Names
from image_verifier.rules.remedies import remedy

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
_NEXT: Final = re.compile(r"^(?:\d+\. |Then )")
# Where a step or its command begins within a line, if white space was collapsed.
_BEGINNING: Final = re.compile(rf" (?=\d+\. [A-Z])|(?<=:) (?={_PROGRAMS})")
# The names in the command that frees a tag, without white space and quotes.
_NAMES: Final = {
    "region": re.compile(r"region([a-z0-9-]+?)(?:--)?registry-id"),
    "registry_id": re.compile(r"registry-id(\d{12})"),
    "repository": re.compile(r"REPO=([^;]+);"),
    "tag": re.compile(r"TAG=([^;]+);"),
    "digest": re.compile(r"IMAGE=(sha256:[0-9a-f]{64});"),
}
_PLATFORM: Final = re.compile(r"platform(linux/(?:amd64|arm64))")
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
    printed = tuple(_repaired(step, causes) for step in _steps(steps[1])) if steps else ()
    for number, cause in enumerate(causes[:3]):
        yield replace(cause, remedy=printed) if printed and number == 0 else cause


def _repaired(step: str, causes: list[Cause]) -> str:
    """A command without the spaces and quotes that a console put into it, where this version prints the same words."""
    if not step.startswith("$ "):
        return step
    squeezed = _squeezed(step)
    found = {name: match[1] for name, pattern in _NAMES.items() if (match := pattern.search(squeezed))}
    region, registry_id, repository, tag, digest = (found.get(name, "") for name in _NAMES)
    names = Names("", region, registry_id, repository, tag, digest)
    if platform := _PLATFORM.search(squeezed):
        names = replace(names, platform=platform[1])
    for finding_id in (*(cause.id for cause in causes), "layer-missing"):
        for known in remedy(Finding(finding_id, Severity.ERROR, ""), names):
            if _key(known) == _key(step):
                return known
    return step


def _squeezed(text: str) -> str:
    return re.sub(r"""[\s\\"']""", "", text)


def _key(command: str) -> str:
    """The words that remain of a command if the beginnings of its lines were removed as a prefix of the log."""
    return re.sub("-|ecr", "", _squeezed(command))


def _steps(text: str) -> Iterator[str]:
    """The printed steps, each on one line, and their commands, which end where the next step begins."""
    steps: list[str] = []
    for line in _BEGINNING.sub("\n", text).splitlines():
        words = line.strip()
        last = steps[-1] if steps else ""
        if not words:
            continue
        if last.startswith("$ ") and not _NEXT.match(words):
            steps[-1] = f"{last.removesuffix(chr(92)).rstrip()} {words}"
        elif _COMMAND.match(words):
            steps.append(f"$ {words.removeprefix('$ ')}")
        elif _NEXT.match(words) or not last or last.endswith((".", ":")):
            steps.append(words)
        else:
            steps[-1] = f"{last} {words}"
    yield from steps
