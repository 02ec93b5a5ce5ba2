"""The knowledge base: every cause, by the stage that fails. If two share their words, the first wins."""

from __future__ import annotations

from typing import Final

from ..cause import Cause
from . import (
    application,
    build,
    content,
    findings,
    frames,
    functions,
    network,
    place,
    push,
    resolve,
    services,
    start,
    transfer,
    unpack,
)

KNOWLEDGE: Final[tuple[Cause, ...]] = (
    *build.CAUSES,
    *push.CAUSES,
    *content.CAUSES,
    *resolve.CAUSES,
    *network.CAUSES,
    *transfer.CAUSES,
    *unpack.CAUSES,
    *functions.CAUSES,
    *services.CAUSES,
    *place.CAUSES,
    *start.CAUSES,
    *application.CAUSES,
    *frames.CAUSES,
    *findings.CAUSES,
)
