"""The report of an image in an archive, which is judged as Docker pushes it from each of its image stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from image_verifier.faults import Fault
from image_verifier.policy import Policy
from image_verifier.report import Finding, Report, Severity
from image_verifier.verify import verify

from ..sources.docker_push import ImageStore, Push

_ONLY: Final = {
    ImageStore.CONTAINERD: "Only Docker's containerd image store, the default of new installations, pushes it so.",
    ImageStore.CLASSIC: "Only Docker's classic image store pushes it so.",
}
_ORDER: Final = tuple(Severity)


def verify_pushes(pushes: Sequence[Push], policy: Policy) -> Report:
    """Verify the image of an archive.

    :param pushes: the images that Docker pushes of it, first that of the store that wrote the archive.
    :param policy: what is required of them.
    :returns: the report. It describes the first image, and has the findings of all stores; a finding of one store names
        the store.
    :raises Fault: if the result is unknown.
    """
    first, *others = pushes
    source = first.open()
    report = verify(source, policy)
    # The stores push the same files in other wrappings, so that the layers are read once.
    shallow = replace(policy, verify_layers=False)
    for other in others:
        try:
            theirs = verify(other.open(), shallow).findings
        except Fault:
            # Docker cannot load the archive into this store, so that it pushes nothing from there.
            continue
        mine = [f for f in verify(source, shallow).findings if f in report.findings]
        found = [
            *(f for f in report.findings if f not in mine),
            *_of_one_store(mine, theirs, _ONLY[first.store], keep_common=True),
            *_of_one_store(theirs, mine, _ONLY[other.store], keep_common=False),
        ]
        report = replace(report, findings=tuple(sorted(found, key=lambda f: _ORDER.index(f.severity))))
    return report


def _of_one_store(
    findings: Sequence[Finding], others: Sequence[Finding], words: str, *, keep_common: bool
) -> Iterator[Finding]:
    """The findings of one store's image, with `words` where the other store's image does not have them.

    :param keep_common: whether to yield the findings that both images have.
    """
    for finding in findings:
        common = {runtime for other in others if other.id == finding.id for runtime in other.runs_on}
        both = tuple(name for name in finding.runs_on if name in common)
        alone = tuple(name for name in finding.runs_on if name not in common)
        if both and keep_common:
            yield replace(finding, runs_on=both)
        if alone:
            yield replace(finding, runs_on=alone, message=f"{finding.message} {words}")
