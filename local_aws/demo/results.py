"""The demo's expectations, and the table that compares them with the actual results."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_COLUMN = 46


@dataclass(frozen=True)
class Expectation:
    """One row of the table.

    :param deploy: title of the deploy that the row belongs to.
    :param what: the subject of the check.
    """

    deploy: str
    what: str
    expected: str
    actual: str

    @property
    def met(self) -> bool:
        """Whether the actual result is the expected one."""
        return self.expected == self.actual


def table(expectations: Sequence[Expectation], notes: Mapping[str, str]) -> str:
    """The rows of every deploy below its title, its note, and how many rows are as expected."""
    lines = []
    for title in dict.fromkeys(row.deploy for row in expectations):
        lines += ["", title, f"  {'':<{_COLUMN}}{'expected':<{_COLUMN}}actual"]
        for row in expectations:
            if row.deploy == title:
                mark = "ok" if row.met else "NOT as expected"
                actual = textwrap.shorten(row.actual, _COLUMN)
                lines.append(f"  {row.what:<{_COLUMN}}{row.expected:<{_COLUMN}}{actual:<{_COLUMN}}{mark}")
        if title in notes:
            lines.append(f"  {notes[title]}")
    met = sum(row.met for row in expectations)
    return "\n".join([*lines, "", f"{met} of {len(expectations)} as expected"])
