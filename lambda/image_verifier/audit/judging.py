"""The verdict on one image of many: by which policy, or why it is not verified."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..image.model import Image, Platform
from ..policy import Policy
from ..report import Report

VerifyBy = Callable[[Policy], Report]
"""Reads the image, and verifies it by a policy."""


@dataclass(frozen=True)
class Judged:
    """The verdict on one image.

    :param policy: the policy that it was verified by.
    :param report: the report; None where it was not verified.
    :param skipped: the reason why it was not verified; empty where it was.
    """

    policy: Policy
    report: Report | None = None
    skipped: str = ""


Judge = Callable[[Sequence[str], VerifyBy], Judged]
"""Judges the image of some tags, in their order; there may be none."""


def by_policy(policy: Policy, *, own_platform: bool) -> Judge:
    """Judge each image by a policy.

    :param policy: the policy.
    :param own_platform: whether an image for another platform than the policy's is verified for its own platform, where
        the policy's runtimes support it.
    """
    supported = (set(runtime.platforms) for runtime in policy.runtimes)
    names = set.intersection(*supported) - {str(policy.platform)} if own_platform else set()
    others = [replace(policy, platform=Platform.parse(name)) for name in sorted(names)]

    def judge(tags: Sequence[str], verify_by: VerifyBy) -> Judged:
        report = verify_by(policy)
        own = _for_platform_of(report.image, others)
        return Judged(own, verify_by(own)) if own else Judged(policy, report)

    return judge


def _for_platform_of(image: Image, policies: list[Policy]) -> Policy | None:
    """The policy for the image's own platform; None where there is none."""
    if image.indexes and not image.chosen:
        return next((policy for policy in policies if image.indexes[0].choose(policy.platform)), None)
    if image.config:
        return next((policy for policy in policies if image.config.platform == policy.platform), None)
    return None
