"""Untagging: the tag of a refused image is removed, so that the next deploy pushes the image again.

CDK treats a tag that exists as published and never repairs it: https://github.com/aws/aws-cdk/issues/33264. Only the
refused tag is removed, only from the refused digest, and only where
- `on_failure` is `untag`, and the resource is being created: never in an Update, never in a rollback;
- none of the runtimes can pull the image, whatever else is wrong with it;
- no verification of this stack has recorded the digest as a good one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import boto3

from .. import aws
from ..faults import Fault
from ..report import Report, Severity
from ..retry import RetryBudget
from ..rules.catalog import CATALOG, Stage
from .physical_id import records_of
from .properties import Properties
from .schema import RESOURCE_TYPE

# Two calls may each take 20 seconds without an answer, and the refusal must not be late because of them.
_NEEDED_SECONDS: Final = 45.0
_KEPT: Final = "The tag was not removed, although on_failure is 'untag':"


@dataclass(frozen=True)
class Untagging:
    """The result of removing the tag of a refused image.

    :param removed: whether it was removed.
    :param message: a sentence about it.
    """

    removed: bool
    message: str


def untag(report: Report, properties: Properties, stack_id: str, retry_budget: RetryBudget) -> Untagging:
    """Remove the tag of an image that was refused when its resource was created.

    :param report: the findings.
    :param properties: the image.
    :param stack_id: the ARN of the stack that verifies it.
    :param retry_budget: for how long calls are retried.
    """
    top = report.image.top
    if top is None:
        return Untagging(False, f"{_KEPT} it references nothing.")
    if not cannot_be_pulled(report):
        return Untagging(False, f"{_KEPT} the image can be pulled, so something else may run it.")
    if retry_budget.seconds_left < _NEEDED_SECONDS:
        return Untagging(False, f"{_KEPT} the verifier does not have enough time left.")
    try:
        if top.digest in _verified_by(stack_id, retry_budget):
            return Untagging(False, f"{_KEPT} this stack has verified {top.digest} before, and may run it.")
        client = boto3.client("ecr", region_name=properties.names.region, config=aws.CLIENT_CONFIG)
        failure = remove(client, properties.repository_arn, properties.tag, top.digest, retry_budget)
    except Fault as fault:
        return Untagging(False, f"{_KEPT} {fault.message} {fault.advice}")
    if failure:
        return Untagging(False, f"{_KEPT} ecr:BatchDeleteImage failed with {failure}")
    return Untagging(True, f"The tag {properties.tag} was removed from {top.digest}, because on_failure is 'untag'.")


def cannot_be_pulled(report: Report) -> bool:
    """Whether the errors keep every runtime from pulling the image."""
    unpullable = {
        name
        for finding in report.errors
        if finding.severity is Severity.ERROR and CATALOG[finding.id].stage is Stage.PULL
        for name in finding.runs_on
    }
    return unpullable >= set(report.runs_on)


def _verified_by(stack_id: str, retry_budget: RetryBudget) -> set[str]:
    """The digests that the stack's verifications have recorded; an update has not deleted replaced ones yet."""
    return {
        record.digest
        for resource in _resources(stack_id, retry_budget)
        if resource["ResourceType"] == RESOURCE_TYPE
        for record in records_of(resource.get("PhysicalResourceId", ""))
    }


def _resources(stack_id: str, retry_budget: RetryBudget) -> Iterator[Any]:
    client = boto3.client("cloudformation", region_name=stack_id.split(":")[3], config=aws.CLIENT_CONFIG)
    more: dict[str, str] = {}
    while True:
        page = aws.call(client, "list_stack_resources", stack_id, retry_budget, StackName=stack_id, **more)
        yield from page["StackResourceSummaries"]
        if not page.get("NextToken"):
            return
        more = {"NextToken": page["NextToken"]}


def remove(client: Any, arn: str, tag: str, digest: str, retry_budget: RetryBudget) -> str:
    """Remove a tag, if it still references this digest.

    An image is deleted together with its last tag. With both the tag and the digest in the call, ECR removes nothing if
    the tag references another digest: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html

    :param client: boto3's client of ECR, made with `aws.CLIENT_CONFIG`.
    :param arn: the repository's ARN.
    :param tag: the tag.
    :param digest: the digest that the tag must reference.
    :param retry_budget: for how long the call is retried.
    :returns: why it failed; empty where it did not.
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
