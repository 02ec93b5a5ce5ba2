"""The one rule for every deletion: which rejected tag may be removed from ECR, and the calls that remove it.

`on_failure`, `heal`, `preflight --fix` and `doctor --fix` follow it. A tag is removed only
- from an image, a build's attestation or a build cache, never from somebody's signature or chart;
- if none of the runtimes of any verification that references the image can pull it;
- after the image was read a second time, with the same result;
- by tag and digest, so that ECR removes nothing where the tag has moved.

Each caller adds its own knowledge: the digests that were verified before, and the images that run in the account.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from . import aws
from .image import media_types
from .image.model import Image, Manifest, Platform
from .policy import Policy
from .report import Report, Severity
from .retry import RetryBudget
from .rules.catalog import CATALOG, Stage
from .rules.runtimes import RUNTIMES

# ECR refuses to remove the last tag of a manifest that an index references, since that would delete the manifest:
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageFailure.html
HELD_BY_INDEX: Final = "ImageReferencedByManifestList"
# The reason of `reason_after_second_reading` where there is nothing left to remove.
GONE: Final = "at a second reading, the tag no longer exists"
# The tags that cosign and OCI's referrers fallback make for the signatures and attestations of an image:
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
_REFERRERS_TAG: Final = re.compile(r"sha256-[0-9a-f]{64}(\..+)?")
_CACHE_CONFIG: Final = "application/vnd.buildkit.cacheconfig.v0"
_ATTESTATION: Final = "application/vnd.docker.attestation.manifest.v1+json"


def reason_to_keep(reports: Sequence[Report], tag: str, *, keeps_manifest: bool = False) -> str:
    """Why the tag of a refused image must not be removed, as a clause; empty if it may be removed.

    :param reports: the reports of the same image by the policy of each verification that references it, at least one.
    :param tag: the tag.
    :param keeps_manifest: whether the manifest gets a second tag, so that nothing is deleted. Then the image must be
        refused by every verification, and may be one that can be pulled.
    """
    image = reports[0].image
    if image.top is None:
        return "it references nothing"
    if is_referrers_tag(tag):
        return "a tag of this form belongs to the signature or attestation of another image"
    if not is_disposable(image):
        findings = (finding for report in reports for finding in report.findings)
        found = next(
            (f.found for f in findings if f.id == "not-an-image"), "something that is not known to be an image"
        )
        return f"it points at {found}, which may be there on purpose"
    if any(report.verdict == "pass" for report in reports):
        return "one of its verifications accepts the image"
    if not keeps_manifest and not all(cannot_be_pulled(report) for report in reports):
        return "the image can be pulled, so something else may run it"
    proven = [_without_mismatches(report) for report in reports]
    if any(report.verdict == "pass" or not (keeps_manifest or cannot_be_pulled(report)) for report in proven):
        return "its bytes do not match their digest, which the network may have changed, and no push replaces a blob"
    return ""


def is_referrers_tag(tag: str) -> bool:
    """Whether a tag of this form belongs to the signature or attestation of another image."""
    return _REFERRERS_TAG.fullmatch(tag) is not None


def _without_mismatches(report: Report) -> Report:
    """The report without what a proxy or a broken connection can make of a good image."""
    return replace(report, findings=tuple(f for f in report.findings if not f.id.endswith("-digest-mismatch")))


def cannot_be_pulled(report: Report) -> bool:
    """Whether the errors keep every runtime from pulling the image."""
    unpullable = {
        name
        for finding in report.errors
        if finding.severity is Severity.ERROR and CATALOG[finding.id] is Stage.PULL
        for name in finding.runs_on
    }
    return unpullable >= set(report.runs_on)


def reason_after_second_reading(
    verify_by: Callable[[Policy], Report],
    policies: Sequence[Policy],
    tag: str,
    digest: str,
    *,
    keeps_manifest: bool = False,
) -> str:
    """Read a condemned image again: why its tag must be kept after all, as a clause; empty if it may be removed.

    :param verify_by: reads the image anew, and judges it by a policy.
    :param policies: the policies of all verifications that reference the image, at least one.
    :param tag: the tag.
    :param digest: the digest that was condemned.
    :param keeps_manifest: as for `reason_to_keep`.
    :raises Fault: if the image cannot be read.
    """
    reports = []
    for policy in policies:
        reports.append(_read_again(verify_by, policy))
        top, status = reports[-1].image.top, reports[-1].image.status
        if top is None:
            return GONE if status == "ACTIVE" else "at a second reading, it references an archived image"
        if top.digest != digest:
            return "at a second reading, it references another image"
    reason = reason_to_keep(reports, tag, keeps_manifest=keeps_manifest)
    return f"at a second reading, {reason}" if reason else ""


def _read_again(verify_by: Callable[[Policy], Report], policy: Policy) -> Report:
    """The report by a policy. Layers are read again only where nothing else condemns the image."""
    report = verify_by(replace(policy, verify_layers=False))
    return verify_by(policy) if policy.verify_layers and not cannot_be_pulled(report) else report


def policies_of_every_runtime(*, verify_layers: bool) -> tuple[Policy, ...]:
    """The policies by which an image is condemned only if no runtime at all can pull it, on any platform.

    :param verify_layers: whether the layers' bytes may condemn it.
    """
    platforms = dict.fromkeys(platform for runtime in RUNTIMES.values() for platform in runtime.platforms)
    return tuple(
        Policy(
            tuple(runtime.name for runtime in RUNTIMES.values() if platform in runtime.platforms),
            Platform.parse(platform),
            verify_layers=verify_layers,
        )
        for platform in platforms
    )


def is_disposable(image: Image) -> bool:
    """Whether something is an image, the attestation of a build or a build cache, which a build makes again."""
    if image.manifest:
        return _is_built(image.manifest)
    document = image.document
    if image.unreadable or document is None:
        return False
    is_cache = media_types.is_containerd_layer(document.media_type, docker_zstd=True)
    # An index of signatures and other referrers has no platforms.
    is_of_images = any(child.platform for index in image.indexes for child in index.manifests)
    return is_cache or is_of_images or document.media_type in media_types.SCHEMA_1


def _is_built(manifest: Manifest) -> bool:
    config, layers = manifest.config.media_type, {layer.media_type for layer in manifest.layers}
    if layers == {media_types.IN_TOTO}:
        # Attestations of other tools have a config or an artifact type of their own.
        return manifest.artifact_type == _ATTESTATION or (config in media_types.CONFIGS and not manifest.artifact_type)
    if config == _CACHE_CONFIG:
        return True
    if manifest.artifact_type or config not in media_types.CONFIGS:
        return False
    # A cosign signature has the config of an image.
    return not layers or any(media_types.is_containerd_layer(layer, docker_zstd=True) for layer in layers)


def remove_tag(client: Any, arn: str, tag: str, digest: str, retry_budget: RetryBudget) -> str:
    """Remove a tag, if it still references this digest.

    An image is deleted together with its last tag. With both the tag and the digest in the call, ECR removes nothing if
    the tag references another digest: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html

    :param client: boto3's client of ECR, made with `aws.CLIENT_CONFIG`.
    :param arn: the repository's ARN.
    :param tag: the tag.
    :param digest: the digest that the tag must reference.
    :param retry_budget: for how long the call is retried.
    :returns: why it failed, such as `ImageNotFound: …`; empty where it did not.
    :raises Fault: if the call fails.
    """
    ids = [{"imageDigest": digest, "imageTag": tag}]
    answer = aws.call(client, "batch_delete_image", arn, retry_budget, imageIds=ids, **repository_parameters(arn))
    failures: Sequence[Any] = answer.get("failures", ())
    return "; ".join(f"{f.get('failureCode', '')}: {f.get('failureReason', '')}" for f in failures)


def repository_parameters(arn: str) -> dict[str, str]:
    """The parameters of a call to ECR that say which repository it is about."""
    return {"registryId": arn.split(":", 5)[4], "repositoryName": arn.partition("/")[2]}
