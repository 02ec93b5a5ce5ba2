"""The facts that every report has besides its results: the version, the time and the accounts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from image_verifier import __version__
from image_verifier.outcome_json import account_as_json
from image_verifier.rules.names import Names

from ..errors import UsageError


def report_time() -> datetime:
    """The time at which the report is made, which SOURCE_DATE_EPOCH overrides, so that a report can be reproduced.

    https://reproducible-builds.org/specs/source-date-epoch/

    :raises UsageError: if SOURCE_DATE_EPOCH is not a time.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        return datetime.fromtimestamp(int(text), timezone.utc) if text else datetime.now(timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"SOURCE_DATE_EPOCH is {text!r}, which is not a time: use a number of seconds since 1970"
        ) from None


def timestamp(time: datetime | None = None) -> str:
    """A time such as `2026-05-01T12:00:00Z`.

    :param time: a time in UTC; None for the time at which the report is made.
    :raises UsageError: if SOURCE_DATE_EPOCH is not a time.
    """
    return f"{time or report_time():%Y-%m-%dT%H:%M:%SZ}"


def report_head(report: str, time: datetime | None = None, version: str = __version__) -> dict[str, Any]:
    """The first keys of a JSON report.

    :param report: the command that makes it.
    :param time: when the images were checked, in UTC; None for the time at which the report is made.
    :param version: the version that checked them.
    :raises UsageError: if SOURCE_DATE_EPOCH is not a time.
    """
    return {
        "report": report,
        "schema_version": 1,
        "tool": {"name": "safe-image", "version": version},
        "checked_at": timestamp(time),
    }


def accounts_as_json(images: Iterable[Names]) -> list[dict[str, str]]:
    """The accounts and regions of several images, each once."""
    found = {(names.registry_id, names.region): account_as_json(names) for names in images}
    return [account for _, account in sorted(found.items()) if account]
