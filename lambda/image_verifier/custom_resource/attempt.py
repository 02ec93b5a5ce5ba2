"""Attempt: the work on one event, as the thread that works and the thread that responds share it."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event as Flag

from .response import Response


@dataclass
class Attempt:
    """The work on one event.

    :param seconds: the time that there is for it.
    :ivar abandoned: set before the response is sent. From then on the work calls and deletes nothing.
    :ivar fallback: the response if the work fails or does not end in time; None for one that says so.
    """

    seconds: float
    abandoned: Flag = field(default_factory=Flag)
    fallback: Response | None = None
