"""One push: the image is read and judged, and a refusal is followed up."""

from __future__ import annotations

from .. import aws
from ..audit.repository import Repository
from ..custom_resource import log
from ..custom_resource.log import LogEntry
from ..custom_resource.properties import Properties
from ..policy import Policy
from ..report import Report
from ..report_json import report_as_json
from ..retry import RetryBudget
from ..sources.ecr_image import EcrImage
from ..verify import verify
from .pushes import Push
from .refusals import Refusal, follow_up
from .settings import Settings
from .users import NO_USERS, users_of
from .verdicts import judge


def judge_push(push: Push, settings: Settings, retry_budget: RetryBudget) -> tuple[str, int]:
    """Judge a push, and follow up on a refusal.

    The image is the one that the tag references now: where the tag has moved since the push, that image counts.

    :param push: the push.
    :param settings: the guard's settings.
    :param retry_budget: for how long calls are retried.
    :returns: the verdict, and the compressed size in bytes. The verdict is `pass`, `fail`, or empty where the image was
        not judged, or where another event of the same push announces it.
    :raises Fault: if it is not known whether the image is good, or a refusal cannot be announced.
    """
    arn = f"arn:{settings.partition}:ecr:{push.region}:{push.account}:repository/{push.repository}"
    uri = f"{push.account}.dkr.ecr.{push.region}.{settings.url_suffix}/{push.repository}"

    def verify_by(policy: Policy) -> Report:
        source = EcrImage(
            aws.client("ecr", push.region),
            repository_arn=arn,
            repository_uri=uri,
            tag=push.tag,
            retry_budget=retry_budget,
        )
        return verify(source, policy, ends_at=retry_budget.ends_at)

    rule = settings.rule_for(push.repository)
    repository = Repository(settings.partition, push.region, push.account, push.repository)
    users = NO_USERS if rule else users_of(repository, push.tag, settings, retry_budget)
    judgement = judge(push.tag, rule, verify_by, verify_layers=settings.verify_layers, users=users)
    if judgement.report is None or judgement.policy is None:
        log.note(f"{uri}:{push.tag} was not judged: {judgement.remark}.")
        return "", 0
    properties = Properties(arn, uri, push.tag, "", "tag", judgement.policy)
    if not judgement.refused:
        log.note(f"{uri}:{push.tag} passes ({judgement.judged_by}).")
        return "pass", judgement.report.image.size
    text = follow_up(Refusal(push, judgement, properties, settings, retry_budget), verify_by)
    if text is None:
        log.note(f"{uri}:{push.tag} is refused, which another event of this push announces.")
        return "", 0
    log.write(LogEntry(text, report_as_json(judgement.report, properties.names)).lines())
    return "fail", judgement.report.image.size
