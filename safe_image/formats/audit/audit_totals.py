"""What an audit comes to, repository by repository and finding by finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .audit_row import Row


@dataclass
class Total:
    """How many images there are.

    :param images: all of them.
    :param passed: those that are fine.
    :param refused: those that are not.
    :param unknown: those of which it could not be told, and what could not be asked.
    :param refused_in_use: those of `refused` that something refers to.
    """

    images: int = 0
    passed: int = 0
    refused: int = 0
    unknown: int = 0
    refused_in_use: int = 0

    def add(self, row: Row) -> None:
        """Count one more."""
        self.images += row["repository"] not in ("", row["reference"])
        self.passed += row["verdict"] == "pass"
        self.refused += row["verdict"] == "fail"
        self.unknown += row["verdict"] == "unknown"
        self.refused_in_use += row["verdict"] == "fail" and bool(row["in_use_by"])


@dataclass
class Totals:
    """How many images each repository has, all together have, and each finding is about."""

    repositories: dict[str, Total] = field(default_factory=dict)
    whole: Total = field(default_factory=Total)
    findings: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Totals:
        """What the rows come to."""
        totals = cls()
        for row in rows:
            totals.add(row)
        return totals

    def add(self, row: Row) -> None:
        """Count one more."""
        self.whole.add(row)
        if row["repository"]:
            self.repositories.setdefault(row["repository"], Total()).add(row)
        if row["verdict"] == "fail":
            self.findings.update({finding["id"] for finding in refusing(row)})


def refusing(row: Row) -> list[Mapping[str, Any]]:
    """The findings for which an image is refused: of those that nobody acknowledged, the gravest kind."""
    left = [finding for finding in row["findings"] if not finding["acknowledged"]]
    errors = [finding for finding in left if finding["severity"] == "error"]
    return errors or [finding for finding in left if finding["severity"] == "warning"]
