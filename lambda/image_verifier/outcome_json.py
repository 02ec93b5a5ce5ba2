"""An outcome, its policy and its account as JSON, as every report of many images has them."""

from __future__ import annotations

from typing import Any

from .outcome import ImageOutcome
from .policy import Policy
from .report_json import report_as_json
from .rules.names import Names


def outcome_as_json(outcome: ImageOutcome) -> dict[str, Any]:
    """An image's object; one that was not verified has the same keys, and a `fault` or `skipped` that says why."""
    common = {
        "account": account_as_json(outcome.names),
        "policy": policy_as_json(outcome.policy),
        "fault": outcome.fault and {"message": outcome.fault.message, "advice": outcome.fault.advice},
        "skipped": outcome.skipped,
    }
    if outcome.report:
        return {**report_as_json(outcome.report, outcome.names), "reference": outcome.reference, **common}
    return {
        "reference": outcome.reference,
        "digest": None,
        "verdict": outcome.verdict,
        "runs_on": list(outcome.policy.runs_on),
        "platform": str(outcome.policy.platform),
        "media_type": None,
        "size_bytes": None,
        "layers": [],
        "findings": [],
        **common,
    }


def account_as_json(names: Names) -> dict[str, str] | None:
    """The account and the region of an image in ECR; None for any other image."""
    return {"id": names.registry_id, "region": names.region} if names.registry_id else None


def policy_as_json(policy: Policy) -> dict[str, Any]:
    """The policy that an image was verified by."""
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
