"""Whether a consumer can run the image that it references: its region, its platform and its runtimes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from aws_cdk import Stack, Token
from constructs import IConstruct
from image_verifier.image import media_types
from image_verifier.policy import Policy
from image_verifier.rules.runtimes import RUNTIMES

from .consumers import Consumer

# Runtimes whose consumers run one architecture, or for which no source says that they run arm64.
_ONE_ARCHITECTURE: Final = frozenset({"fargate", "lambda", "app-runner", "agentcore", "sagemaker"})
_PLATFORM_ARGUMENTS: Final = {
    "linux/amd64": "ecr_assets.Platform.LINUX_AMD64",
    "linux/arm64": "ecr_assets.Platform.LINUX_ARM64",
}


@dataclass(frozen=True)
class ConsumedImage:
    """The facts about an image that the checks need.

    :param path: path of the construct that the user made.
    :param region: the region of its repository; may be a token.
    :param policy: the policy by which it is verified.
    :param is_built: whether CDK builds it.
    :param has_own_runtimes: whether the user set the runtimes.
    :param has_own_platform: whether the user set the platform, or something in the app says it.
    """

    path: str
    region: str
    policy: Policy
    is_built: bool = False
    has_own_runtimes: bool = True
    has_own_platform: bool = True


@dataclass(frozen=True)
class Mismatch:
    """Why a consumer cannot run an image, or may be unable to.

    :param message: what is wrong, and what to use instead.
    :param warning_id: id of the warning; None for an error.
    """

    message: str
    warning_id: str | None = None


def find_mismatch(scope: IConstruct, consumer: Consumer, image: ConsumedImage) -> Mismatch | None:
    """The first reason why a consumer cannot run an image. Runtimes are checked when all consumers are known.

    :param scope: the consumer's resource.
    :param consumer: the same resource as a consumer.
    :param image: the image that it references.
    """
    return _region(scope, consumer, image) or _platform(consumer, image)


def _region(scope: IConstruct, consumer: Consumer, image: ConsumedImage) -> Mismatch | None:
    if not consumer.own_region:
        return None
    region = Stack.of(scope).region
    if region == image.region or Token.is_unresolved(region) or Token.is_unresolved(image.region):
        return None
    return Mismatch(
        f"{consumer.path} is in {region}, but the image {image.path} is in {image.region}, and Lambda only runs "
        f"images of its own region. Make the image in a stack of {region}, or verify a replica there."
    )


def _platform(consumer: Consumer, image: ConsumedImage) -> Mismatch | None:
    platform = str(image.policy.platform)
    if consumer.platform is None or consumer.platform == platform:
        return None
    remedies = [f"{consumer.remedies[platform]} for {consumer.path}"] if platform in consumer.remedies else []
    if consumer.platform.startswith("windows"):
        return Mismatch(
            f"{consumer.path} runs on {consumer.platform} ({consumer.stated_by}), but the image {image.path} is for "
            f"{platform} and cannot start there. Images for Windows cannot be verified: set {', or '.join(remedies)}, "
            f"or {leave_out(consumer.path)}."
        )
    if consumer.platform in _PLATFORM_ARGUMENTS:
        remedies.insert(0, f"platform={_PLATFORM_ARGUMENTS[consumer.platform]} for the image")
    return Mismatch(
        f"{consumer.path} runs on {consumer.platform} ({consumer.stated_by}), but the image {image.path} is for "
        f"{platform} and cannot start there. Set {', or '.join(remedies)}."
    )


def leave_out(path: str) -> str:
    """The way to leave an image of one construct out of the protection.

    :param path: path of the construct.
    """
    return (
        f"leave it out: DockerImageAsset instead of SafeDockerImageAsset, and with SafeImages.protect also "
        f"SafeImages.report(…, unverified='warning') for {path}"
    )


def can_be_arm64(consumer: Consumer) -> bool:
    """Whether a consumer does not say its platform, and its instances may have either architecture.

    :param consumer: the consumer.
    """
    return consumer.platform is None and not _ONE_ARCHITECTURE.issuperset(consumer.runs_on)


def needs_own_build(runtime: str) -> bool:
    """Whether a runtime refuses the OCI images that are built for the others.

    :param runtime: name of the runtime.
    """
    return media_types.OCI_MANIFEST in RUNTIMES[runtime].refused_manifests


def find_missing_runtimes(consumer: Consumer, image: ConsumedImage, others: Iterable[Consumer]) -> Mismatch | None:
    """The runtimes of a consumer for which the image is not verified.

    :param consumer: the consumer.
    :param image: the image that it references.
    :param others: all consumers of the image. Their runtimes are proposed if the user set none.
    """
    verified = image.policy.runs_on
    missing = [name for name in consumer.runs_on if name not in verified]
    if not missing:
        return None
    titles = " and ".join(RUNTIMES[name].title for name in missing)
    known = verified if image.has_own_runtimes else tuple(name for other in others for name in other.runs_on)
    names = ", ".join(repr(name) for name in dict.fromkeys((*known, *missing)))
    rebuilt = [RUNTIMES[name].title for name in missing if needs_own_build(name)]
    if image.is_built and rebuilt:
        return Mismatch(
            f"{consumer.path} runs the image {image.path} on {rebuilt[0]}, which refuses an OCI image, and the image "
            f"is built as one. Set runs_on=[{names}] for the image."
        )
    return Mismatch(
        f"{consumer.path} runs the image {image.path} on {titles}, for which the image is not verified. "
        f"Set runs_on=[{names}] for the image.",
        warning_id="cdk-safe-image:not-verified-for-runtime",
    )
