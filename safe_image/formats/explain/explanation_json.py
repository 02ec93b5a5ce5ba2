"""An explanation as one JSON object, for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

from image_verifier.report_json import report_as_json

from ...results.report_facts import report_head
from ..json_text import json_text

if TYPE_CHECKING:
    from ...explanations.cause import Cause
    from ...explanations.explanation import Explanation, Verification


def report(explanation: Explanation, verification: Verification | None, stream: TextIO) -> Iterator[str]:
    """The explanation, in one piece.

    :param explanation: what the text means.
    :param verification: the result of checking the image; None where nobody asked for it.
    :param stream: what it is written to.
    """
    yield json_text({**report_head("explain"), **explanation_as_json(explanation, verification)}) + "\n"


def explanation_as_json(explanation: Explanation, verification: Verification | None) -> dict[str, Any]:
    """The explanation as a JSON object.

    :param explanation: what the text means.
    :param verification: the result of checking the image; None where nobody asked for it.
    """
    return {
        "recognised": bool(explanation.causes),
        "image": explanation.image or None,
        "runs_on": explanation.runs_on,
        "causes": [_cause(cause) for cause in explanation.causes],
        "findings": list(explanation.findings),
        "recognised_by": [
            {"words": match.words.text, "whole": match.whole, "cause": match.cause.id} for match in explanation.matches
        ],
        "verification": verification
        and {
            "culprit": verification.culprit,
            "confirmed": list(verification.confirmed),
            "image": verification.report and report_as_json(verification.report, verification.names),
            "fault": verification.fault
            and {"message": verification.fault.message, "advice": verification.fault.advice},
        },
    }


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "id": cause.id,
        "title": cause.title,
        "meaning": cause.meaning,
        "stage": cause.stage,
        "blame": list(cause.blame),
        "confirm": list(cause.confirm),
        "remedy": list(cause.remedy),
        "prevention": list(cause.prevention),
        "sources": list(cause.sources),
    }
