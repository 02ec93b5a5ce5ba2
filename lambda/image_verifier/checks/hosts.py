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

    An equal finding of several engines is reported once. All hosts come first, since their findings are certain.

    :param by_host: what each engine finds, in the order of the runtime's engines.
    """
    words: dict[tuple[str, str], str] = {}
    found: dict[tuple[str, str], Placed] = {}
    certain: set[tuple[str, str]] = set()
    for host, placed in sorted(by_host.items(), key=lambda item: _ORDER[item[0].share]):
        for place, finding in placed:
            same = finding.id, finding.message
            if host.share in (Share.WORDS, Share.ALL) and finding.runtime_error:
                words.setdefault(same, finding.runtime_error)
            if host.share is Share.ALL:
                certain.add((finding.id, finding.layer))
                found.setdefault(same, (place, finding))
            elif host.share is not Share.WORDS and (finding.id, finding.layer) not in certain:
                found.setdefault(same, (place, _on(host, finding)))
    for same, (place, finding) in found.items():
        yield place, replace(finding, runtime_error=words.get(same, finding.runtime_error))


# Words first, so that they are known; then what is certain, since it makes the rest needless.
_ORDER = {Share.WORDS: 0, Share.ALL: 1, Share.SOME: 2, Share.OLD: 3}


def _on(host: HostEngine, finding: Finding) -> Finding:
    severity = Severity.WARNING if finding.severity is Severity.ERROR else finding.severity
    return replace(finding, severity=severity, message=f"{finding.message} Affected are only {host.hosts}.")
