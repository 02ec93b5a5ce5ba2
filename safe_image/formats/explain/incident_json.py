"""The diagnosis of an incident as one JSON object, for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from ...results.report_facts import report_head
from ..json_text import json_text
from .explanation_json import explanation_as_json

if TYPE_CHECKING:
    from ...incident.explained_failure import ExplainedFailure
    from ...incident.incident import Incident


def report(incident: Incident, diagnoses: Sequence[ExplainedFailure], stream: TextIO) -> Iterator[str]:
    """The diagnosis, in one piece.

    :param incident: the incident.
    :param diagnoses: the explanation of each failure.
    :param stream: what it is written to.
    """
    value = {
        **report_head("explain"),
        "subject": incident.subject,
        "state": incident.state,
        "runs_on": incident.runs_on,
        "platform": incident.platform,
        "proof": list(incident.proof),
        "notes": list(incident.notes),
        "failures": [_failure(diagnosis) for diagnosis in diagnoses],
    }
    yield json_text(value) + "\n"


def _failure(diagnosis: ExplainedFailure) -> dict[str, Any]:
    failure = diagnosis.failure
    return {
        "name": failure.name,
        "text": failure.text,
        "image": failure.image or None,
        "digest": failure.digest or None,
        "digest_source": failure.digest_source,
        **explanation_as_json(diagnosis.explanation, diagnosis.verification),
    }
