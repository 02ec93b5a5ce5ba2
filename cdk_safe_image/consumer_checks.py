"""Whether a consumer can run the image that it references: its region, its platform and its runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aws_cdk import Stack, Token
from constructs import IConstruct
from image_verifier.policy import Policy
from image_verifier.rules.runtimes import RUNTIMES

from .consumers import Consumer

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
    """

    path: str
    region: str
    policy: Policy


@dataclass(frozen=True)
class Mismatch:
    """Why a consumer cannot run an image, or may be unable to.

    :param message: what is wrong, and what to use instead.
    :param warning_id: id of the warning; None for an error.
    """

    message: str
    warning_id: str | None = None


def find_mismatch(scope: IConstruct, consumer: Consumer, image: ConsumedImage) -> Mismatch | None:
    """The first reason why a consumer cannot run an image.

    :param scope: the consumer's resource.
    :param consumer: the same resource as a consumer.
    :param image: the image that it references.
    """
    return _region(scope, consumer, image) or _platform(consumer, image) or _runtimes(consumer, image)


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
    if consumer.platform in _PLATFORM_ARGUMENTS:
        remedies.insert(0, f"platform={_PLATFORM_ARGUMENTS[consumer.platform]} for the image")
    return Mismatch(
        f"{consumer.path} runs on {consumer.platform} ({consumer.stated_by}), but the image {image.path} is for "
        f"{platform} and cannot start there. Set {', or '.join(remedies)}."
    )


def _runtimes(consumer: Consumer, image: ConsumedImage) -> Mismatch | None:
    verified = image.policy.runs_on
    missing = [name for name in consumer.runs_on if name not in verified]
    if not missing:
        return None
    titles = " and ".join(RUNTIMES[name].title for name in missing)
    names = ", ".join(repr(name) for name in dict.fromkeys((*verified, *missing)))
    return Mismatch(
        f"{consumer.path} runs the image {image.path} on {titles}, for which the image is not verified. "
        f"Set runs_on=[{names}] for the image.",
        warning_id="cdk-safe-image:not-verified-for-runtime",
    )
