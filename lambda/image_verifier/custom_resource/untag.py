"""Untagging: a rejected tag is removed, so that the next deploy pushes again, where that can hurt nobody.

CDK takes a tag that exists for published and never repairs it: https://github.com/aws/aws-cdk/issues/33264. What is
removed is the very tag on the very digest that was rejected, and only where
- it was asked for, and the resource is being made: never in an Update, never on the way back of a rollback;
- none of the runtimes can pull the image, whatever else is wrong with it or was asked of it;
- no verification of this stack remembers the digest as a good one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .. import aws
from ..faults import Fault
from ..report import Report, Severity
from ..retry import RetryBudget
from ..rules.catalog import CATALOG, Stage
from .physical_id import records_of
from .properties import Properties
from .schema import RESOURCE_TYPE

# Two calls may each take 20 seconds where nobody answers, and the refusal must not be late for them.
_NEEDED: Final = 45.0
_KEPT: Final = "The tag was not removed, though on_failure is 'untag':"


@dataclass(frozen=True)
class Untagging:
    """What became of the rejected tag.

    :param removed: whether it is gone.
    :param said: what is told of it.
    """

    removed: bool
    said: str


def untag(report: Report, properties: Properties, stack_id: str, retry_budget: RetryBudget) -> Untagging:
    """Remove the tag of an image that was refused when its resource was made.

    :param report: the refusal.
    :param properties: which image it was.
    :param stack_id: the stack that verifies it.
    :param retry_budget: for how long calls are retried.
    """
    import boto3

    top = report.image.top
    if top is None:
        return Untagging(False, f"{_KEPT} there is nothing under it.")
    if not cannot_be_pulled(report):
        return Untagging(False, f"{_KEPT} the image can be pulled, so that something else may run it.")
    if retry_budget.seconds_left < _NEEDED:
        return Untagging(False, f"{_KEPT} the verifier has no time left for it.")
    try:
        if top.digest in _verified_by(stack_id, retry_budget):
            return Untagging(False, f"{_KEPT} this stack has verified {top.digest} before, and may run it.")
        client = boto3.client("ecr", region_name=properties.names.region, config=aws.CLIENT_CONFIG)
        failure = remove(client, properties.repository_arn, properties.tag, top.digest, retry_budget)
    except Fault as fault:
        return Untagging(False, f"{_KEPT} {fault.message} {fault.advice}")
    if failure:
        return Untagging(False, f"{_KEPT} ecr:BatchDeleteImage failed with {failure}")
    return Untagging(True, f"The tag {properties.tag} was removed from {top.digest}, as on_failure asks.")


def cannot_be_pulled(report: Report) -> bool:
    """Whether something refuses the image that keeps every one of its runtimes from pulling it."""
    unpullable = {
        name
        for finding in report.errors
        if finding.severity is Severity.ERROR and CATALOG[finding.id].stage is Stage.PULL
        for name in finding.runs_on
    }
    return unpullable >= set(report.runs_on)


def _verified_by(stack_id: str, retry_budget: RetryBudget) -> set[str]:
    """The digests that the stack's verifications remember; those that an update replaces are still there."""
    return {
        record.digest
        for resource in _resources(stack_id, retry_budget)
        if resource["ResourceType"] == RESOURCE_TYPE
        for record in records_of(resource.get("PhysicalResourceId", ""))
    }


def _resources(stack_id: str, retry_budget: RetryBudget) -> Iterator[Any]:
    import boto3

    client = boto3.client("cloudformation", region_name=stack_id.split(":")[3], config=aws.CLIENT_CONFIG)
    more: dict[str, str] = {}
    while True:
        page = aws.call(client, "list_stack_resources", stack_id, retry_budget, StackName=stack_id, **more)
        yield from page["StackResourceSummaries"]
        if not page.get("NextToken"):
            return
        more = {"NextToken": page["NextToken"]}


def remove(client: Any, arn: str, tag: str, digest: str, retry_budget: RetryBudget) -> str:
    """Remove a tag, if it still is on that digest; why it failed, or nothing.

    The image itself goes with its last tag, and with both named ECR removes nothing where they do not belong
    together: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html

    :param client: boto3's client of ECR, made with `aws.CLIENT_CONFIG`.
    :param arn: the repository's ARN.
    :param tag: the tag.
    :param digest: what the tag is to point at.
    :param retry_budget: for how long the call is retried.
    """
    account, name = arn.split(":", 5)[4], arn.partition("/")[2]
    answer = aws.call(
        client,
        "batch_delete_image",
        arn,
        retry_budget,
        registryId=account,
        repositoryName=name,
        imageIds=[{"imageDigest": digest, "imageTag": tag}],
    )
    failures: Sequence[Any] = answer.get("failures", ())
    return "; ".join(f"{f.get('failureCode', '')}: {f.get('failureReason', '')}" for f in failures)
