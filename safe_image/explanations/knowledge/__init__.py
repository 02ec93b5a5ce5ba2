"""The knowledge base: every cause, by the stage that fails. If two share their words, the first wins."""

from __future__ import annotations

from typing import Final

from ..cause import Cause
from . import (
    application,
    build,
    build_base,
    content,
    findings,
    frames,
    function_starts,
    functions,
    network,
    place,
    push,
    resolve,
    services,
    start,
    start_host,
    task_secrets,
    transfer,
    unpack,
)

KNOWLEDGE: Final[tuple[Cause, ...]] = (
    *build.CAUSES,
    *build_base.CAUSES,
    *push.CAUSES,
    *content.CAUSES,
    *resolve.CAUSES,
    *task_secrets.CAUSES,
    *network.CAUSES,
    *transfer.CAUSES,
    *unpack.CAUSES,
    *functions.CAUSES,
    *function_starts.CAUSES,
    *services.CAUSES,
    *place.CAUSES,
    *start.CAUSES,
    *start_host.CAUSES,
    *application.CAUSES,
    *frames.CAUSES,
    *findings.CAUSES,
)
