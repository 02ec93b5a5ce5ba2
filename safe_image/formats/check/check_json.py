"""The JSON report of `check`: one object, for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from image_verifier.report_json import SCHEMA_VERSION, report_as_json

from ..json_text import json_text

if TYPE_CHECKING:
    from ...results.check_runner import Outcome


def report(outcomes: Iterable[Outcome], stream: TextIO) -> Iterator[str]:
    """The report, in one piece.

    :param outcomes: the outcomes of the checks.
    :param stream: the stream that the report is written to.
    """
    images = [image(outcome) for outcome in outcomes]
    yield json_text({"schema_version": SCHEMA_VERSION, "images": images}) + "\n"


def image(outcome: Outcome) -> dict[str, Any]:
    """An image's object; one that was not checked has the same keys, and a `fault` or `skipped` that says why."""
    common = {
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
