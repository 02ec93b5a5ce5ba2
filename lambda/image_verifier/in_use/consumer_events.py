"""The events of ECS and Lambda after which a consumer uses another image.

A task's event has the digests of its images. For a service or a function, that one alone is read: all events of a batch
about the same consumer cost one reading.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html,
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html and
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-eventbridge-function-state.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from .. import aws
from ..retry import RetryBudget
from ..running.ecs_uses import uses_of_services, uses_of_task, uses_of_tasks
from ..running.image_use import Consumer, ConsumerKind, ImageUse
from ..running.lambda_uses import uses_of_function

TASK: Final = "ECS Task State Change"
DEPLOYMENT: Final = "ECS Deployment State Change"
SERVICE_ACTION: Final = "ECS Service Action"
LAMBDA: Final = "aws.lambda"
# The part of the remaining time for which the calls about one of many consumers are retried.
_SHARE: Final = 0.1
_FUNCTION: Final = re.compile(r"arn:[a-z-]+:lambda:[a-z0-9-]+:\d{12}:function:[\w-]+(?P<version>:[\w$-]+)?")


def parse(event_text: str) -> Consumer | list[ImageUse]:
    """The consumer to read after an event, or the uses that the event itself contains.

    :param event_text: the event, as JSON.
    :raises ValueError: if it is not an event of ECS or Lambda that names a consumer.
    """
    event = json.loads(event_text)
    detail = event.get("detail") if isinstance(event, dict) else None
    if not isinstance(detail, dict):
        raise ValueError("it is not an event")
    kind = event.get("detail-type")
    if kind == TASK and isinstance(detail.get("taskArn"), str) and isinstance(detail.get("clusterArn"), str):
        return list(uses_of_task(detail, detail["clusterArn"]))
    if kind in (DEPLOYMENT, SERVICE_ACTION):
        return _service(str(next(iter(event.get("resources") or ()), "")), detail)
    if event.get("source") == LAMBDA:
        return _function(event, detail)
    raise ValueError(f"it is not an event of ECS or Lambda that names a consumer: {kind!r}")


def uses_of(consumer: Consumer, region: str, retry_budget: RetryBudget) -> list[ImageUse]:
    """The images that a consumer uses now; none if it has ended.

    :param consumer: the consumer.
    :param region: its region.
    :param retry_budget: for how long all calls of a batch of consumers are retried. This one gets a part of it: one
        that cannot be read leaves time for the others.
    :raises Fault: if it cannot be read.
    """
    share = retry_budget.part(_SHARE)
    if consumer.kind is ConsumerKind.FUNCTION:
        return uses_of_function(aws.client("lambda", region), consumer.name, share)
    read = uses_of_services if consumer.kind is ConsumerKind.SERVICE else uses_of_tasks
    return read(aws.client("ecs", region), consumer.cluster, [consumer.name], share)


def _function(event: Mapping[str, Any], detail: Mapping[str, Any]) -> Consumer:
    # Lambda's page says that the event has the function's ARN, and does not show where.
    texts = [*(event.get("resources") or ()), *detail.values()]
    for match in (_FUNCTION.fullmatch(text) for text in texts if isinstance(text, str)):
        if match:
            return Consumer(ConsumerKind.FUNCTION, match[0] if match["version"] else f"{match[0]}:$LATEST")
    raise ValueError("it does not name a function")


def _service(arn: str, detail: Mapping[str, Any]) -> Consumer:
    before, _, after = arn.partition(":service/")
    cluster, _, name = after.rpartition("/")
    # An ARN of the old format does not name the cluster, which only a service's action has beside it.
    known = detail.get("clusterArn") or (f"{before}:cluster/{cluster}" if cluster else "")
    if not known or not name:
        raise ValueError(f"its resources do not name a service and its cluster: {arn!r}")
    return Consumer(ConsumerKind.SERVICE, name, known)
