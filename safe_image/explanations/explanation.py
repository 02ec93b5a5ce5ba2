"""From a text to an explanation: what it means, what mends it, and whether an image is to blame for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from image_verifier.faults import Fault
from image_verifier.policy import Policy
from image_verifier.report import Finding, Report, Severity
from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.remedies import Names, remedy

from ..sources.targets import Target
from .causes import OUTSIDE
from .match import Match

_NO_NAMES: Final = Names()
# What manifest and config do not tell: whether an image has it, is known when its layers are read.
ONLY_LAYERS_TELL: Final = frozenset(
    {
        "diff-id-wrong",
        "entrypoint-format-invalid",
        "entrypoint-missing",
        "entrypoint-not-executable",
        "entrypoint-unreadable",
        "entrypoint-wrong-machine",
        "hardlink-target-missing",
        "interpreter-missing",
        "layer-corrupt",
        "layer-digest-mismatch",
        "layer-too-large",
        "layer-truncated",
        "mount-point-invalid",
        "parent-folder-missing",
        "path-duplicated",
        "tar-invalid",
        "user-missing",
        "working-dir-invalid",
        "xattr-invalid",
    }
)

Culprit = Literal["yes", "another", "no"]


@dataclass(frozen=True)
class Cause:
    """One thing that the text can mean.

    :param id: the finding's id, or the id of a cause outside of the image.
    :param in_image: whether it is the image's: a finding, which check tells.
    :param remedy: what mends it; a line that begins with `$ ` is a command.
    """

    id: str
    in_image: bool
    meaning: str
    remedy: tuple[str, ...]
    only_layers_tell: bool


@dataclass(frozen=True)
class Explanation:
    """What a text means.

    :param image: the image that it is about; empty where none is named.
    :param runs_on: the runtime that it is of.
    :param platform: the platform that the image was to be for.
    :param causes: what it can mean, likeliest first; empty where nothing was recognised.
    :param matches: the wordings by which it was recognised.
    """

    image: str
    runs_on: str
    platform: str
    causes: tuple[Cause, ...]
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class Verification:
    """What looking at the image told.

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


def cause(id_: str, names: Names) -> Cause:
    """A cause, its commands filled in.

    :param id_: a finding's id, or one of `OUTSIDE`.
    :param names: the image's names; commands for which they do not suffice are left out.
    """
    if id_ in CATALOG:
        return Cause(id_, True, CATALOG[id_].meaning, remedy(_found(id_), names), id_ in ONLY_LAYERS_TELL)
    outside = OUTSIDE[id_]
    return Cause(id_, False, outside.meaning, tuple(_filled(outside.remedy, names)), False)


def _found(id_: str) -> Finding:
    """The finding as far as a text alone tells of it."""
    return Finding(id_, Severity.ERROR, CATALOG[id_].meaning)


def _filled(lines: Iterable[str], names: Names) -> Iterable[str]:
    for line in lines:
        if "{" not in line:
            yield line
        elif names.repository:
            registry = names.reference.partition("/")[0]
            yield line.format(
                region=names.region, registry_id=names.registry_id, repository=names.repository, registry=registry
            )


def verified(target: Target, policy: Policy, explanation: Explanation) -> Verification:
    """Look at an image, its layers too where only they can tell.

    :param target: the image.
    :param policy: the runtime and the platform.
    :param explanation: what the text means.
    """
    from image_verifier.verify import verify

    suspected = {cause.id for cause in explanation.causes if cause.in_image}
    try:
        report = verify(target.open(), policy)
        confirmed = _confirmed(report, suspected)
        if not confirmed and (suspected & ONLY_LAYERS_TELL or not explanation.causes):
            policy = replace(policy, verify_layers=True)
            report = verify(target.open(), policy)
            confirmed = _confirmed(report, suspected)
    except Fault as e:
        return Verification(None, e, None)
    culprit: Culprit = "yes" if confirmed else "another" if report.errors else "no"
    return Verification(report, None, culprit, confirmed, policy.verify_layers, target.names)


def _confirmed(report: Report, suspected: set[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.id for finding in report.errors if finding.id in suspected))
