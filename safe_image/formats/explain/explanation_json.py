"""An explanation as one JSON object, for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from image_verifier.report_json import SCHEMA_VERSION, report_as_json

if TYPE_CHECKING:
    from ...explanations.explanation import Explanation, Verification


def report(explanation: Explanation, verification: Verification | None, stream: TextIO) -> Iterator[str]:
    """The explanation, in one piece.

    :param explanation: what the text means.
    :param verification: what looking at the image told; None where nobody asked.
    :param stream: what it is written to.
    """
    value = {
        "schema_version": SCHEMA_VERSION,
        "recognised": bool(explanation.causes),
        "image": explanation.image or None,
        "runs_on": explanation.runs_on,
        "causes": [
            {
                "id": cause.id,
                "in_image": cause.in_image,
                "meaning": cause.meaning,
                "remedy": list(cause.remedy),
                "only_layers_tell": cause.only_layers_tell,
            }
            for cause in explanation.causes
        ],
        "recognised_by": [
            {"wording": match.wording.text, "whole": match.whole, "source": match.wording.source}
            for match in explanation.matches
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
    yield json.dumps(value, indent=2) + "\n"
