"""A finding of `safe-image check`, described by its id: its meaning, its usual cause, and the words of engines."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from image_verifier.rules.engine_messages import MESSAGES

from .cause import Cause
from .knowledge.findings import finding_cause

_MOST_MESSAGES: Final = 4


def described_finding(finding_id: str) -> Cause:
    """A finding with the engines' words for it.

    :param finding_id: one of the catalog.
    """
    known = finding_cause(finding_id)
    messages = tuple(dict.fromkeys(filter(None, MESSAGES.get(finding_id, {}).values())))[:_MOST_MESSAGES]
    words = (f"An engine reports it as: {message}" for message in messages)
    return replace(known, confirm=(*words, *known.confirm))
