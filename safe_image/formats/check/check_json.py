"""The JSON report of `check`: one object, for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from image_verifier.report_json import report_as_json

from ...results.report_facts import account_as_json, accounts_as_json, policy_as_json, report_head
from ..json_text import json_text

if TYPE_CHECKING:
    from ...results.check_runner import Outcome


def report(outcomes: Iterable[Outcome], stream: TextIO) -> Iterator[str]:
    """The report, in one piece.

    :param outcomes: the outcomes of the checks.
    :param stream: the stream that the report is written to.
    """
    head, checked = report_head("check"), list(outcomes)
    accounts = accounts_as_json(outcome.names for outcome in checked)
    yield json_text({**head, "accounts": accounts, "images": [image(outcome) for outcome in checked]}) + "\n"


def image(outcome: Outcome) -> dict[str, Any]:
    """An image's object; one that was not checked has the same keys, and a `fault` or `skipped` that says why."""
    common = {
        "account": account_as_json(outcome.names),
        "construct": outcome.construct or None,
        "policy": policy_as_json(outcome.policy),
        "fault": outcome.fault and {"message": outcome.fault.message, "advice": outcome.fault.advice},
        "skipped": outcome.skipped,
        "places": [{"file": place.file, "line": place.line, "path": place.path} for place in outcome.places],
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
