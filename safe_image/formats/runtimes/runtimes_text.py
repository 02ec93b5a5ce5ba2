"""The text report of `runtimes`: each runtime's engines, and what it accepts and refuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TextIO

from image_verifier.rules.confirmations import CONFIRMATIONS, EVIDENCE, Confirmation
from image_verifier.rules.runtimes import HostEngine, Runtime

from ...results.acceptance import STANDINGS, acceptance
from ..text.text_page import TextPage

_INDENT: Final = "  "
_HANGING: Final = "    "


def report(runtimes: Sequence[Runtime], stream: TextIO) -> Iterator[str]:
    """The report, line by line.

    :param runtimes: the runtimes to show.
    :param stream: the stream that the report is written to; a terminal gets colours.
    """
    page = TextPage.of(stream)
    for number, runtime in enumerate(runtimes):
        for line in ("",) * bool(number):
            yield line + "\n"
        for line in _lines(runtime, page):
            yield line + "\n"


def _lines(runtime: Runtime, page: TextPage) -> Iterator[str]:
    yield f"{page.paint('head', runtime.name)}  {runtime.title}"
    platforms = "any platform" if runtime.any_platform else ", ".join(runtime.platforms)
    yield from page.wrap(f"platforms: {platforms}", _INDENT)
    evidence = EVIDENCE[runtime.name]
    if evidence.remark:
        yield from page.wrap(evidence.remark, _INDENT)
    yield f"{_INDENT}engines:"
    for host in runtime.on_hosts:
        yield from page.wrap(host_text(host), _HANGING)
    by_standing: dict[str, list[str]] = {standing: [] for standing in STANDINGS}
    for kind, standing in acceptance(runtime):
        by_standing[standing].append(kind)
    for standing, kinds in by_standing.items():
        if kinds:
            yield from page.wrap(f"{standing}: {', '.join(kinds)}", _INDENT)
    yield f"{_INDENT}sources:"
    yield from (f"{_HANGING}{source}" for source in evidence.sources)


def host_text(host: HostEngine) -> str:
    """An engine of a runtime in one line: the share of its hosts, its name, its witness, and its hosts."""
    hosts = f": {host.hosts}" if host.hosts else ""
    return f"{host.share.value}: {host.engine.name}, {witness(CONFIRMATIONS[host.engine])}{hosts}"


def witness(confirmed: Confirmation) -> str:
    """How and when the facts about an engine were confirmed."""
    how = {"measured": "measured with", "read in source": "read in the source of", "not published": "not published:"}
    remark = f" ({confirmed.remark})" if confirmed.remark else ""
    return f"{how[confirmed.how]} {confirmed.version}, {confirmed.date}{remark}"
