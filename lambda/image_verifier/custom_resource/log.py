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
_URL: Final = re.compile(r"https?:(?:\\*/){2}", re.IGNORECASE)
_PATH: Final = re.compile(r"[/\\#]")


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
    """The text without the queries of URLs, which are secrets until they expire, and without users and passwords.

    :param text: the text; the slashes of its URLs may be escaped, as some JSON has them.
    """
    return _WORD.sub(lambda word: _without_secrets(word[0]), text)


def _without_secrets(word: str) -> str:
    match = _URL.search(word)
    if match is None:
        return word
    url, question, _ = word[match.end() :].partition("?")
    # The last @ before the path: passwords may contain one.
    authority = _PATH.split(url, maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    user = "...@" if host != authority else ""
    return f"{word[: match.end()]}{user}{host}{url[len(authority) :]}{'?...' if question else ''}"
