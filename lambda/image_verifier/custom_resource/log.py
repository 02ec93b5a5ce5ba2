"""The Lambda's log: text for people, and one line of JSON for machines; never a secret, never an exception."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from .layout import Reason

_WORD: Final = re.compile(r"[^\s'\"]+")


@dataclass(frozen=True)
class LogEntry:
    """An entry of the log.

    :param reason: the text for people.
    :param report: the JSON for machines; None where there is none.
    """

    reason: Reason
    report: Mapping[str, Any] | None = None

    def lines(self) -> Iterator[str]:
        """The entry as it is logged."""
        yield from map(_for_people, self.reason.shown)
        if self.report is not None:
            yield json.dumps(self.report)


def write(lines: Iterable[str]) -> None:
    """Write to the log. A failure is ignored: a missing line is better than a response that is never sent."""
    with suppress(Exception):
        for line in lines:
            print(line)


def note(text: str) -> None:
    """Log one sentence for people.

    :param text: the sentence.
    """
    write(LogEntry(Reason(text)).lines())


def _for_people(line: str) -> str:
    """A line that CloudWatch does not read as JSON, from which it would extract metrics: it may be an image's text.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    line = without_queries(line)
    return f"| {line}" if line.lstrip().startswith(("{", "[")) else line


def without_queries(text: str) -> str:
    """The text without the queries of URLs, which are secrets until they expire."""
    return _WORD.sub(lambda word: _without_query(word[0]), text)


def _without_query(word: str) -> str:
    lowered = word.lower()
    begins = max(lowered.find("http://"), lowered.find("https://"))
    query = word.find("?", begins)
    return f"{word[:query]}?..." if begins >= 0 and query >= 0 else word
