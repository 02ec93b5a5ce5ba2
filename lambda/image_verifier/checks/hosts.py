"""Weighs the findings of each engine for its runtime, by how many of the runtime's hosts have that engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..report import Finding, Severity
from ..rules.runtimes import HostEngine, Share

# A finding, and the place of its check in the order of all checks.
Placed = tuple[int, Finding]


def weigh(by_host: Mapping[HostEngine, Sequence[Placed]]) -> Iterator[Placed]:
    """The findings for a runtime: a finding of some or of old hosts is a warning that names them.

    An equal finding of several engines is reported once. All hosts come first, since their findings are certain. Where
    nobody outside of AWS knows which of several engines a host has, and one of them finds nothing, the hosts of the
    other are named as well.

    :param by_host: what each engine finds, in the order of the runtime's engines.
    """
    words: dict[tuple[str, str], Finding] = {}
    found: dict[tuple[str, str], Placed] = {}
    certain: dict[tuple[str, str, Severity], HostEngine] = {}
    partly: dict[tuple[str, str], tuple[Placed, list[HostEngine]]] = {}
    for host, placed in sorted(by_host.items(), key=lambda item: _ORDER[item[0].share]):
        for place, finding in placed:
            same = finding.id, finding.message
            if host.share in (Share.WORDS, Share.ALL) and finding.runtime_error:
                words.setdefault(same, finding)
            about = finding.id, finding.layer, finding.severity
            if host.share is Share.ALL:
                first = certain.setdefault(about, host)
                # Another release of the same family finds the same, perhaps in other words.
                if first == host or first.engine.family != host.engine.family:
                    found.setdefault(same, (place, finding))
            elif host.share is not Share.WORDS and about not in certain:
                partly.setdefault(same, ((place, finding), []))[1].append(host)
    for same, ((place, finding), hosts) in partly.items():
        found.setdefault(same, (place, _on(hosts, finding)))
    for same, (place, finding) in found.items():
        graver = (finding.id, finding.layer, Severity.ERROR)
        if finding.severity is not Severity.ERROR and graver in certain:
            continue
        named = _named(certain.get((finding.id, finding.layer, finding.severity)), finding, by_host)
        quoted = words.get(same, finding)
        yield place, replace(named, runtime_error=quoted.runtime_error, predicted=quoted.predicted)


def _named(first: HostEngine | None, finding: Finding, by_host: Mapping[HostEngine, Sequence[Placed]]) -> Finding:
    """The finding with the names of its hosts, where an engine that all hosts may have does not have it."""
    others = (placed for host, placed in by_host.items() if host.share is Share.ALL)
    common = all(any((f.id, f.layer) == (finding.id, finding.layer) for _, f in placed) for placed in others)
    if first is None or not first.hosts or common:
        return finding
    return replace(finding, message=f"{finding.message} Affected are {first.hosts}.")


# Words first, so that they are known; then what is certain, since it makes the rest needless.
_ORDER = {Share.WORDS: 0, Share.ALL: 1, Share.SOME: 2, Share.OLD: 3}


def _on(hosts: Sequence[HostEngine], finding: Finding) -> Finding:
    severity = Severity.WARNING if finding.severity is Severity.ERROR else finding.severity
    names = ", and ".join(dict.fromkeys(host.hosts for host in hosts))
    return replace(finding, severity=severity, message=f"{finding.message} Affected are only {names}.")
