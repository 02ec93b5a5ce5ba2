"""The verdict on an image: by its repository's rule, else by its consumers, else by whether any runtime can pull it.

All consumers that name the tag must be able to run the image. Those of other tags of the repository say less: it is
refused only if none of them can run it. Where no consumer is known, it is refused only if no runtime can pull it, on
any platform that it is for: what starts in it may be set where it is used. Unless a consumer names the tag, something
that is not an image, or is for other platforms than the runtimes', is not judged: a chart, an image for Windows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..deletion import cannot_be_pulled, is_disposable, is_referrers_tag, policies_of_every_runtime
from ..image.model import Image, Platform
from ..policy import Policy
from ..report import Report
from ..rules.artifacts import BUILD_CACHE
from ..rules.catalog import CATALOG, Stage
from .settings import RepositoryRule
from .users import NO_USERS, Users

VerifyBy = Callable[[Policy], Report]

_ANY: Final = "all runtimes"
# The platform of an attestation: https://docs.docker.com/build/metadata/attestations/attestation-storage/
_UNKNOWN: Final = Platform("unknown", "unknown")


@dataclass(frozen=True)
class Judgement:
    """The verdict on a pushed image.

    :param report: the findings; None where the image was not read.
    :param policy: the policy of the report.
    :param judged_by: the rule that counts; empty where the image was not judged.
    :param refused: whether it is refused.
    :param remark: why it was not judged, as a clause; empty where it was.
    """

    report: Report | None = None
    policy: Policy | None = None
    judged_by: str = ""
    refused: bool = False
    remark: str = ""

    @property
    def shown(self) -> Report:
        """The report for people. Where all runtimes refuse an image, the words of the first one suffice."""
        assert self.report
        if self.judged_by != _ANY:
            return self.report
        name = self.report.runs_on[0]
        its = (f for f in self.report.errors if name in f.runs_on and CATALOG[f.id] is Stage.PULL)
        return replace(self.report, findings=tuple(replace(finding, runs_on=(name,)) for finding in its))


def judge(
    tag: str, rule: RepositoryRule | None, verify_by: VerifyBy, *, verify_layers: bool, users: Users = NO_USERS
) -> Judgement:
    """Judge the image that a tag references.

    :param tag: the tag.
    :param rule: the rule of its repository; None where there is none.
    :param verify_by: reads the image, and judges it by a policy.
    :param verify_layers: whether the layers of an image without a rule are read.
    :param users: the consumers of an image without a rule.
    :raises Fault: if it is not known whether the image is good.
    """
    if is_referrers_tag(tag):
        return Judgement(remark="a tag of this form belongs to the signature or attestation of another image")
    policies = (rule.policy,) if rule else policies_of_every_runtime(verify_layers=verify_layers)
    first = verify_by(policies[0])
    if first.image.top is None and first.image.status == "ACTIVE":
        return Judgement(remark="the image was deleted after the push")
    if any(finding.found == BUILD_CACHE for finding in first.findings):
        return Judgement(remark="it is a build cache")
    if rule:
        return Judgement(first, rule.policy, f"the rule for {rule.pattern}", first.verdict == "fail")
    if users.uses and users.of_tag:
        return _judged_for_users(users, verify_by, verify_layers=verify_layers)
    if not first.image.unreadable and not is_disposable(first.image):
        return Judgement(remark="it is not an image")
    platforms = _platforms(first.image)
    judging = [policy for policy in policies if not platforms or policy.platform in platforms]
    if not judging:
        named = ", ".join(sorted(map(str, platforms)))
        return Judgement(remark=f"it is for {named}, and none of the runtimes has this platform")
    if users.uses:
        return _judged_for_users(users, verify_by, verify_layers=verify_layers)
    return _judged_for_any_runtime(judging, policies[0], first, verify_by)


def _judged_for_users(users: Users, verify_by: VerifyBy, *, verify_layers: bool) -> Judgement:
    """The verdict by the runtimes and platforms of the image's consumers; the report is the one that decides."""
    verdict = Judgement()
    for policies in users.policies(verify_layers=verify_layers):
        verdict = _judged_for_one_of(policies, f"what uses it: {users.description}", verify_by)
        # One consumer of the tag that cannot run it refuses it, one of another tag that can run it accepts it.
        if verdict.refused == users.of_tag:
            break
    return verdict


def _judged_for_one_of(policies: Sequence[Policy], by: str, verify_by: VerifyBy) -> Judgement:
    verdicts = []
    for policy in policies:
        report = verify_by(policy)
        verdicts.append(Judgement(report, policy, by, report.verdict == "fail"))
        if not verdicts[-1].refused:
            return verdicts[-1]
    return verdicts[0]


def _judged_for_any_runtime(judging: Sequence[Policy], read: Policy, first: Report, verify_by: VerifyBy) -> Judgement:
    """The verdict by the policies of the image's platforms; the report is that of the first policy.

    :param read: the policy of the first report.
    """
    verdicts = []
    for policy in judging:
        report = first if policy is read else verify_by(policy)
        if not cannot_be_pulled(report):
            return Judgement(report, policy, _ANY)
        verdicts.append(Judgement(report, policy, _ANY, refused=True))
    return verdicts[0]


def _platforms(image: Image) -> set[Platform]:
    """The platforms that an image says it is for."""
    named = {child.platform for index in image.indexes for child in index.manifests if child.platform}
    if image.config and image.config.platform.architecture:
        named.add(image.config.platform)
    return named - {_UNKNOWN}
