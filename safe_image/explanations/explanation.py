"""From a text to an explanation: its causes, and whether an image is to blame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from image_verifier.faults import Fault
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.names import Names

from ..sources.targets import Target
from .cause import Cause
from .described_finding import described_finding
from .knowledge.findings import finding_cause
from .match import Match, likely, matches
from .refusal import refusal_in

# The findings that manifest and config do not show: the layers must be read for them.
ONLY_LAYERS_TELL: Final = frozenset(
    {
        "code-unreadable",
        "diff-id-wrong",
        "entrypoint-closed",
        "entrypoint-format-invalid",
        "entrypoint-missing",
        "entrypoint-not-executable",
        "entrypoint-unreadable",
        "entrypoint-wrong-machine",
        "etc-is-link",
        "hardlink-target-missing",
        "interpreter-missing",
        "layer-corrupt",
        "layer-digest-mismatch",
        "layer-too-large",
        "layer-truncated",
        "mount-point-invalid",
        "parent-folder-missing",
        "passwd-link-absolute",
        "path-duplicated",
        "programs-wrong-machine",
        "tar-invalid",
        "user-missing",
        "working-dir-closed",
        "working-dir-invalid",
        "xattr-invalid",
    }
)

_NO_NAMES: Final = Names()
_MOST_FINDINGS: Final = 3

Culprit = Literal["yes", "another", "no"]


@dataclass(frozen=True)
class Explanation:
    """The meaning of a text.

    :param image: the image that the text is about; empty where it references none.
    :param runs_on: the runtime that the text is of.
    :param platform: the platform that the image was to be for.
    :param causes: what can have happened, the most likely first, three at most; empty where nothing was recognised.
    :param findings: the findings of `check` that give such a text.
    :param matches: the words by which the text was recognised.
    :param names: what commands are filled in with, by placeholder.
    """

    image: str
    runs_on: str
    platform: str
    causes: tuple[Cause, ...]
    findings: tuple[str, ...]
    matches: tuple[Match, ...]
    names: Mapping[str, str]


@dataclass(frozen=True)
class Verification:
    """The result of checking the image.

    :param report: the verifier's; None where there is a fault.
    :param culprit: `yes`, it has a finding that gives the text; `another`, it is refused for something else; `no`, it
        passes.
    :param confirmed: the findings that it has, and that give the text.
    :param with_layers: whether its layers were read.
    :param names: the image's names, with which the remedies' commands are filled in.
    """

    report: Report | None
    fault: Fault | None
    culprit: Culprit | None
    confirmed: tuple[str, ...] = ()
    with_layers: bool = False
    names: Names = _NO_NAMES


def explain(text: str, image: str, policy: Policy, names: Names) -> Explanation:
    """Explain a text.

    :param text: as it was shown, or the id of a finding.
    :param image: the image that it is about; empty where none is known.
    :param policy: the runtime and the platform.
    :param names: the image's names, with which commands are filled in.
    """
    known = _known(image, policy, names)
    if text.strip() in CATALOG:
        return _explained((described_finding(text.strip()),), (), image, policy, known)
    refused = refusal_in(text)
    if refused:
        return _explained(refused, (), image, policy, known)
    found = matches(text)
    told = likely(found)
    suspected = dict.fromkeys(id_ for match in found for id_ in match.cause.findings)
    explained = _explained(tuple(match.cause for match in told), told, image, policy, known)
    return replace(explained, findings=tuple(suspected))


def _explained(
    causes: tuple[Cause, ...], told: tuple[Match, ...], image: str, policy: Policy, known: Mapping[str, str]
) -> Explanation:
    findings = tuple(dict.fromkeys(id_ for cause in causes for id_ in cause.findings))
    filled = tuple(cause.filled(known) for cause in causes)
    return Explanation(image, policy.runs_on[0], str(policy.platform), filled, findings, told, known)


def _known(image: str, policy: Policy, names: Names) -> dict[str, str]:
    return {
        "image": image or "REFERENCE",
        "runs_on": policy.runs_on[0],
        "platform": str(policy.platform),
        "region": names.region,
        "registry_id": names.registry_id,
        "repository": names.repository,
        "registry": names.reference.partition("/")[0] if names.repository else "",
    }


def verified(target: Target, policy: Policy, explanation: Explanation) -> Verification:
    """Check an image, its layers too where only they can show the cause.

    :param target: the image.
    :param policy: the runtime and the platform.
    :param explanation: what the text means.
    """
    from image_verifier.verify import verify

    suspected = set(explanation.findings)
    # Where the text does not name a cause, whatever the image is refused for can be it.
    is_open = all(cause.specificity in ("frame", "wrapper") for cause in explanation.causes)
    try:
        report = verify(target.open(), policy)
        confirmed = _confirmed(report, suspected, is_open)
        if not confirmed and (suspected & ONLY_LAYERS_TELL or is_open):
            policy = replace(policy, verify_layers=True)
            report = verify(target.open(), policy)
            confirmed = _confirmed(report, suspected, is_open)
    except Fault as e:
        return Verification(None, e, None)
    culprit: Culprit = "yes" if confirmed else "another" if report.errors else "no"
    return Verification(report, None, culprit, confirmed, policy.verify_layers, target.names)


def _confirmed(report: Report, suspected: set[str], is_open: bool) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.id for finding in report.errors if is_open or finding.id in suspected))


def settle(explanation: Explanation, verification: Verification | None) -> Explanation:
    """The explanation with only the causes that the check of the image confirms.

    :param explanation: what the text means.
    :param verification: the result of checking the image; None where nobody asked for it.
    """
    confirmed = verification.confirmed if verification else ()
    if not confirmed:
        return explanation
    causes = tuple(cause for cause in explanation.causes if set(confirmed) & set(cause.findings))
    findings = (finding_cause(finding_id).filled(explanation.names) for finding_id in confirmed[:_MOST_FINDINGS])
    return replace(explanation, causes=causes or tuple(findings))
