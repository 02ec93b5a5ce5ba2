"""The JSON report of `check`: one object, for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from image_verifier.outcome_json import outcome_as_json

from ...results.report_facts import accounts_as_json, report_head
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
    return {
        **outcome_as_json(outcome),
        "construct": outcome.construct or None,
        "places": [{"file": place.file, "line": place.line, "path": place.path} for place in outcome.places],
    }
