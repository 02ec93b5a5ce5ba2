"""The facts that every report has besides its results: the version, the time, the account and the policy."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from image_verifier import __version__
from image_verifier.policy import Policy
from image_verifier.rules.remedies import Names

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


def timestamp() -> str:
    """The time at which the report is made, such as `2026-05-01T12:00:00Z`.

    :raises UsageError: if SOURCE_DATE_EPOCH is not a time.
    """
    return f"{report_time():%Y-%m-%dT%H:%M:%SZ}"


def report_head(report: str) -> dict[str, Any]:
    """The first keys of a JSON report.

    :param report: the command that makes it.
    :raises UsageError: if SOURCE_DATE_EPOCH is not a time.
    """
    return {
        "report": report,
        "schema_version": 1,
        "tool": {"name": "safe-image", "version": __version__},
        "checked_at": timestamp(),
    }


def account_as_json(names: Names) -> dict[str, str] | None:
    """The account and the region of an image in ECR; None for any other image."""
    return {"id": names.registry_id, "region": names.region} if names.registry_id else None


def accounts_as_json(images: Iterable[Names]) -> list[dict[str, str]]:
    """The accounts and regions of several images, each once."""
    found = {(names.registry_id, names.region): account_as_json(names) for names in images}
    return [account for _, account in sorted(found.items()) if account]


def policy_as_json(policy: Policy) -> dict[str, Any]:
    """The policy that an image was checked by, in JSON."""
    baseline = policy.baseline
    return {
        "runs_on": list(policy.runs_on),
        "platform": str(policy.platform),
        "layers": policy.verify_layers,
        "min_size_bytes": policy.min_size,
        "max_size_bytes": policy.max_size,
        "against": baseline
        and {"reference": baseline.reference, "size_bytes": baseline.size, "max_size_bytes": baseline.max_size},
        "fail_on": policy.fail_on.value,
        "require": [str(requirement) for requirement in policy.require],
        "acknowledge": dict(policy.acknowledge),
    }
