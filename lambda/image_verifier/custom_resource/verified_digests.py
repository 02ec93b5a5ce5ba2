"""The digests that the verifications of a stack have recorded as good ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import aws
from ..retry import RetryBudget
from .physical_id import records_of
from .schema import RESOURCE_TYPE


def verified_digests(client: Any, stack: str, retry_budget: RetryBudget) -> set[str]:
    """The digests that a stack has verified; an update has not deleted replaced verifications yet.

    :param client: boto3's client of CloudFormation, made with `aws.CLIENT_CONFIG`.
    :param stack: the stack's name or ARN.
    :param retry_budget: for how long calls are retried.
    :raises Fault: if the stack's resources cannot be listed.
    """
    return {
        record.digest
        for resource in _resources(client, stack, retry_budget)
        if resource["ResourceType"] == RESOURCE_TYPE
        for record in records_of(resource.get("PhysicalResourceId", ""))
    }


def _resources(client: Any, stack: str, retry_budget: RetryBudget) -> Iterator[Any]:
    tokens = ("NextToken", "NextToken")
    for page in aws.pages(client, "list_stack_resources", stack, lambda: retry_budget, tokens, StackName=stack):
        yield from page["StackResourceSummaries"]
