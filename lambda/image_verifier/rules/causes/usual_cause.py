"""One row of the causes: why a finding usually happens, and a source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UsualCause:
    """The usual cause of one finding.

    :param text: one sentence that names the tool or the habit.
    :param source: the address of a page that confirms it, and its remedy.
    """

    text: str
    source: str
