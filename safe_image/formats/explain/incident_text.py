"""The diagnosis of an incident as people read it: the cause, the proof, the cure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from image_verifier.rules.runtimes import RUNTIMES

from ..text.text_page import TextPage
from .explanation_text import explanation_lines

if TYPE_CHECKING:
    from ...incident.explained_failure import ExplainedFailure
    from ...incident.incident import Failure, Incident


def report(incident: Incident, diagnoses: Sequence[ExplainedFailure], stream: TextIO) -> Iterator[str]:
    """The diagnosis, piece by piece.

    :param incident: the incident.
    :param diagnoses: the explanation of each failure.
    :param stream: what it is written to; a terminal gets colours.
    """
    page = TextPage.of(stream)
    yield "\n".join(_lines(incident, diagnoses, page)).rstrip() + "\n"


def _lines(incident: Incident, diagnoses: Sequence[ExplainedFailure], page: TextPage) -> Iterator[str]:
    word, colour = ("FAILED", "fail") if incident.state == "failed" else ("HEALTHY", "pass")
    where = f" ({RUNTIMES[incident.runs_on].title}, {incident.platform})" if diagnoses else ""
    first, *rest = page.wrap(f"{incident.subject}{where}", "")
    yield f"{page.paint(colour, word)}  {first}"
    yield from rest
    yield ""
    for number, diagnosis in enumerate(diagnoses):
        proof = incident.proof if number == 0 else ()
        yield from _failure(diagnosis.failure, page)
        yield from explanation_lines(diagnosis.explanation, diagnosis.verification, page, proof)
        yield ""
    if not diagnoses:
        yield from (line for sentence in incident.proof for line in page.wrap(sentence, ""))
        yield ""
    if incident.notes:
        yield "Not known:"
        yield from (line for note in incident.notes for line in page.wrap(note, "  "))


def _failure(failure: Failure, page: TextPage) -> Iterator[str]:
    if failure.name:
        yield page.paint("head", failure.name)
    if failure.image:
        yield from page.wrap(f"image: {failure.image}", "")
        yield from page.wrap(f"digest: {failure.digest or 'not known'} ({failure.digest_source})", "")
    if failure.name or failure.image:
        yield ""
