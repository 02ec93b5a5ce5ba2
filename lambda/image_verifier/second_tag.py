"""The second tag of a rejected image, which keeps it in ECR when its first tag is removed.

A person's command adds it, and so does a guard with that setting. The verifier's role has no permission for it.
"""

from __future__ import annotations

from typing import Any

from . import aws
from .deletion import repository_parameters
from .faults import Fault
from .image import media_types
from .image.references import rejected_tag
from .retry import RetryBudget


def tag_as_rejected(client: Any, arn: str, digest: str, retry_budget: RetryBudget) -> str:
    """Give a stored manifest a second tag, so that another tag of it can be removed and nothing is deleted.

    :param client: boto3's client of ECR, made with `aws.CLIENT_CONFIG`.
    :param arn: the repository's ARN.
    :param digest: the manifest's digest.
    :param retry_budget: for how long calls are retried.
    :returns: the second tag.
    :raises Fault: if the stored bytes cannot be read or tagged, or ECR stores others than these.
    """
    tag = rejected_tag(digest)
    wanted: dict[str, Any] = {"imageIds": [{"imageDigest": digest}], "acceptedMediaTypes": list(media_types.ACCEPTED)}
    read = aws.call(client, "batch_get_image", arn, retry_budget, **wanted, **repository_parameters(arn))
    if not read.get("images"):
        raise Fault(f"ecr:BatchGetImage on {arn} did not return {digest}", aws.UNKNOWN_ADVICE)
    (stored,) = read["images"]
    put: dict[str, Any] = {
        "imageManifest": stored["imageManifest"],
        "imageManifestMediaType": stored["imageManifestMediaType"],
        "imageDigest": digest,
        "imageTag": tag,
    }
    # The manifest has the tag already, from an earlier run that was interrupted.
    known = ("ImageAlreadyExistsException",)
    answer = aws.call(client, "put_image", arn, retry_budget, known, **put, **repository_parameters(arn))
    returned = answer.get("image", {}).get("imageId", {}).get("imageDigest")
    if answer and returned != digest:
        raise Fault(f"ecr:PutImage on {arn} tagged {returned} as {tag}, and not {digest}", aws.UNKNOWN_ADVICE)
    return tag
