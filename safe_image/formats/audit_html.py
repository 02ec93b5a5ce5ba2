"""An audit's report as one page to look at: the repositories, and every image that is refused, those in use first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

from image_verifier.catalog import CATALOG
from image_verifier.checks.size import readable_size
from image_verifier.runtimes import RUNTIMES

from .audit_totals import Totals, refusing
from .html_report import page
from .text import printable

if TYPE_CHECKING:
    from ..fleet.state import Row

_WORDS: Final = {"fail": "refused", "unknown": "unknown"}


def report(rows: Iterable[Row], stream: TextIO) -> Iterator[str]:
    """The page, image by image as they come.

    :param rows: the images' rows, those in use first.
    :param stream: what it is written to.
    """
    totals = Totals()

    def images() -> Iterator[Mapping[str, Any]]:
        for row in rows:
            totals.add(row)
            if row["verdict"] != "pass":
                yield _image(row)

    yield from page(
        "audit.html.j2",
        "Images of a registry",
        images=images(),
        # Known when the images have been written.
        whole=lambda: totals.whole,
        repositories=lambda: [(printable(name), total) for name, total in sorted(totals.repositories.items())],
        findings=lambda: [(name, count, CATALOG[name].meaning) for name, count in totals.findings.most_common()],
    )


def _image(row: Row) -> Mapping[str, Any]:
    fault = row["fault"]
    return {
        "reference": printable(row["reference"]),
        "tags": [printable(tag) for tag in row["tags"]],
        "verdict": row["verdict"],
        "word": _WORDS[row["verdict"]],
        "platform": row["platform"],
        "runs_on": ", ".join(RUNTIMES[name].title for name in row["runs_on"]),
        "size": readable_size(row["size_bytes"]) if row["size_bytes"] else "",
        "pushed": (row["pushed_at"] or "")[:10],
        "digest": printable(row["digest"] or ""),
        "users": [printable(user) for user in row["in_use_by"]],
        "fault": printable(f"{fault['message'].rstrip('.')}. {fault['advice']}".rstrip()) if fault else "",
        "findings": [
            {
                "id": finding["id"],
                "severity": finding["severity"],
                "message": printable(finding["message"]),
                "said": printable(finding["runtime_error"]),
                "advice": [printable(step) for step in finding["remedy"] if not step.startswith("$ ")],
                "commands": [printable(step[2:]) for step in finding["remedy"] if step.startswith("$ ")],
            }
            for finding in refusing(row)
        ],
    }
