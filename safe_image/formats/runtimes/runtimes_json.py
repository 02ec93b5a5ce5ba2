"""The JSON report of `runtimes`, `schema_version` 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from image_verifier.rules.confirmations import CONFIRMATIONS, EVIDENCE, Evidence
from image_verifier.rules.runtimes import HostEngine, Runtime

from ...results.acceptance import acceptance
from ..json_text import json_text


def report(runtimes: Sequence[Runtime], stream: TextIO) -> Iterator[str]:
    """The report, in one piece.

    :param runtimes: the runtimes to show.
    :param stream: the stream that the report is written to.
    """
    yield json_text({"schema_version": 1, "runtimes": [_runtime(runtime) for runtime in runtimes]}) + "\n"


def _runtime(runtime: Runtime) -> dict[str, Any]:
    evidence = EVIDENCE[runtime.name]
    return {
        "name": runtime.name,
        "title": runtime.title,
        "remark": evidence.remark,
        "platforms": list(runtime.platforms),
        "any_platform": runtime.any_platform,
        "doubtful_platforms": dict(runtime.doubtful_platforms),
        "engines": [_engine(host, evidence) for host in runtime.on_hosts],
        "images": dict(acceptance(runtime)),
        "sources": list(evidence.sources),
    }


def _engine(host: HostEngine, evidence: Evidence) -> dict[str, Any]:
    confirmed = CONFIRMATIONS[host.engine]
    return {
        "name": host.engine.name,
        "share": host.share.value,
        "hosts": host.hosts,
        "sources": list(evidence.engines.get(host.engine, ())),
        "confirmed": {
            "how": confirmed.how,
            "version": confirmed.version,
            "date": confirmed.date,
            "sources": list(confirmed.sources),
            "remark": confirmed.remark,
        },
    }
