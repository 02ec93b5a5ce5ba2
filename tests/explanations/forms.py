"""The forms in which people paste a text: quoted, drawn as a table, in JSON, with each line's time, inside a log."""

from __future__ import annotations

import html
import json
import textwrap
from collections.abc import Callable, Iterable
from typing import Final

_BEFORE: Final = (
    "Resolving dependencies...",
    "[12:00:01] INFO  starting deployment of shop",
    "Step 3/9 : COPY . /app",
    " ---> Using cache",
    "npm warn deprecated inflight@1.0.6",
    "added 412 packages in 9s",
    "shop: creating CloudFormation changeset...",
    "12:01:02 PM | CREATE_IN_PROGRESS   | AWS::ECS::Service | Service",
    "GET /health 200 3ms",
    "Waiting for service to become stable...",
) * 18
_AFTER: Final = (
    "Rolling back",
    "12:05:02 PM | ROLLBACK_IN_PROGRESS | AWS::CloudFormation::Stack | shop",
    "Process completed with exit code 1.",
    "Post job cleanup.",
) * 5


def in_words(text: str, width: int) -> list[str]:
    """The lines of a text, broken between words."""
    lines = (textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) for line in text.splitlines())
    return [line for broken in lines for line in broken or [""]]


def anywhere(text: str, width: int) -> list[str]:
    """The lines of a text, broken wherever they are full."""
    return [line[i : i + width] for line in text.splitlines() for i in range(0, len(line) or 1, width)]


def _timed(lines: Iterable[str], before: str = "") -> str:
    return "\n".join(f"{before}2026-11-28T02:{i // 60:02}:{i % 60:02}.{i % 7}Z {line}" for i, line in enumerate(lines))


FORMS: Final[dict[str, Callable[[str], str]]] = {
    "quoted": lambda text: "\n".join(f"> {line}" for line in in_words(text, 70)),
    "quoted twice, broken anywhere": lambda text: "\n".join(f"> > {line}" for line in anywhere(text, 76)),
    "with times": lambda text: _timed(text.splitlines()),
    "with times, broken in words": lambda text: _timed(in_words(text, 60)),
    "with times, broken anywhere": lambda text: _timed(anywhere(text, 80)),
    "with a job and a step": lambda text: _timed(text.splitlines(), "deploy (prod)\tRun cdk deploy\t"),
    "with a container's name": lambda text: "\n".join(f"web-1  | {line}" for line in in_words(text, 60)),
    "a table": lambda text: "\n".join(
        ["┌" + "─" * 62 + "┐", *(f"│ {line:60} │" for line in anywhere(text, 60)), "└" + "─" * 62 + "┘"]
    ),
    "a column of cdk": lambda text: (
        "shop | 3/9 | 12:01:02 PM | CREATE_FAILED | AWS::ECS::Service | Service "
        + "\n".join(in_words(text, 60)).replace("\n", "\n" + " " * 30)
    ),
    "a terminal of 80 columns": lambda text: "\n".join(anywhere(text, 80)),
    "a terminal of 120 columns, filled up": lambda text: "\n".join(line.ljust(120) for line in anywhere(text, 120)),
    "indented": lambda text: "\n    ".join(in_words(text, 76)),
    "JSON": lambda text: json.dumps({"message": text, "containers": [{"name": "app"}]}, indent=2),
    "JSON in JSON": lambda text: json.dumps({"detail": json.dumps({"message": text, "attempts": 3})}),
    "JSON in JSON in JSON": lambda text: json.dumps({"a": json.dumps({"b": json.dumps({"message": text})})}),
    "YAML": lambda text: "message: |\n" + textwrap.indent(text, "  ") + "\nattempts: 3",
    "CSV": lambda text: '"Service","FAILED","' + text.replace('"', '""') + '","shop"',
    "HTML": html.escape,
    "Python": repr,
    "Windows": lambda text: text.replace("\n", "\r\n"),
    "coloured": lambda text: "\n".join(f"\x1b[31m{line}\x1b[0m" for line in text.splitlines()),
    "twice": lambda text: f"{text}\n{text}",
    "a question": lambda text: f"Our deployment failed tonight with:\n\n```\n{text}\n```\n\nDoes anybody know why?",
    "a mail": lambda text: "\n".join(f"> {line}" for line in in_words(text, 72)) + "\n\nRegards\nAnna",
    "in a log": lambda text: "\n".join([*_BEFORE, text, *_AFTER]),
    "in a log with times": lambda text: _timed([*_BEFORE, *text.splitlines(), *_AFTER]),
}
