"""The totals of an audit: images by repository and verdict, and images by finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..image.ecr_hosts import ECR_HOST
from .row import Row


@dataclass
class ImageCounts:
    """Numbers of images.

    :param images: all images but those that were skipped.
    :param passed: the images that pass.
    :param refused: the images that are refused.
    :param unknown: the images whose result is unknown, and repositories and services that could not be read.
    :param refused_in_use: the refused images that something uses.
    """

    images: int = 0
    passed: int = 0
    refused: int = 0
    unknown: int = 0
    refused_in_use: int = 0

    def add(self, row: Row) -> None:
        """Count one row."""
        self.images += row["verdict"] != "skipped" and row["repository"] not in ("", row["reference"])
        self.passed += row["verdict"] == "pass"
        self.refused += row["verdict"] == "fail"
        self.unknown += row["verdict"] == "unknown"
        self.refused_in_use += row["verdict"] == "fail" and bool(row["in_use_by"])


@dataclass
class AuditTotals:
    """Numbers of images for each repository, for the whole audit, and for each finding."""

    repositories: dict[str, ImageCounts] = field(default_factory=dict)
    whole: ImageCounts = field(default_factory=ImageCounts)
    findings: Counter[str] = field(default_factory=Counter)

    @property
    def accounts(self) -> list[tuple[str, str]]:
        """The accounts and regions of the repositories, each once."""
        return sorted({(host["account"], host["region"]) for host in map(ECR_HOST.match, self.repositories) if host})

    @classmethod
    def of(cls, rows: Iterable[Row]) -> AuditTotals:
        """The totals of the rows."""
        totals = cls()
        for row in rows:
            totals.add(row)
        return totals

    def add(self, row: Row) -> None:
        """Count one row."""
        self.whole.add(row)
        if row["repository"]:
            self.repositories.setdefault(row["repository"], ImageCounts()).add(row)
        if row["verdict"] == "fail":
            self.findings.update({finding["id"] for finding in refusing(row)})


def refusing(row: Row) -> list[Mapping[str, Any]]:
    """The findings that refuse an image: its errors, or its warnings if it has no error, without acknowledged ones."""
    left = [finding for finding in row["findings"] if not finding["acknowledged"]]
    errors = [finding for finding in left if finding["severity"] == "error"]
    return errors or [finding for finding in left if finding["severity"] == "warning"]
