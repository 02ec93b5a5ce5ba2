"""An audit's row: the image's object of the JSON report, with its repository, its tags and its users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..outcome import ImageOutcome
from ..outcome_json import outcome_as_json

Row = dict[str, Any]
"""One image, or one thing that could not be read, as the JSON report has it."""

ROW_FIELDS: Final = frozenset(
    {
        *("reference", "digest", "verdict", "runs_on", "platform", "media_type", "size_bytes", "findings", "fault"),
        *("repository", "tags", "pushed_at", "in_use_by"),
    }
)
"""The keys that every row has."""


def audit_row(
    repository: str, outcome: ImageOutcome, details: Mapping[str, Any] | None = None, users: Sequence[str] = ()
) -> Row:
    """The row of one outcome.

    :param repository: the repository's URI; empty for none.
    :param outcome: the image's verdict.
    :param details: what DescribeImages answered for the image.
    :param users: who references the image, in words.
    """
    row = outcome_as_json(outcome)
    # Nobody reads the layers of thousands of images here: `check` shows those of one image.
    del row["layers"]
    details = details or {}
    pushed = details.get("imagePushedAt")
    return {
        **row,
        "digest": row["digest"] or details.get("imageDigest"),
        "repository": repository,
        "tags": sorted(details.get("imageTags", ())),
        "pushed_at": pushed.isoformat() if pushed else None,
        "in_use_by": list(users),
    }
