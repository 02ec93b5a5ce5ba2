"""The Lambda's log: text for people, and one line of JSON for machines; never a secret, never an exception."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from .layout import Reason

_QUERY: Final = re.compile(r"(https?://[^\s?'\"]+)\?[^\s'\"]+")


@dataclass(frozen=True)
class LogEntry:
    """An entry of the log.

    :param reason: the text for people.
    :param report: the JSON for machines; None where there is none.
    """

    reason: Reason
    report: Mapping[str, Any] | None = None


def write(*entries: LogEntry) -> None:
    """Write to the log. A failure is ignored: a missing line is better than a response that is never sent."""
    with suppress(OSError, ValueError):
        for entry in entries:
            for line in entry.reason.shown:
                print(without_queries(line))
            if entry.report is not None:
                print(json.dumps(entry.report))


def without_queries(text: str) -> str:
    """The text without the queries of URLs, which are secrets until they expire."""
    return _QUERY.sub(r"\1?...", text)
