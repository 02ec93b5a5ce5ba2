"""One image below an image scope: its platform, its verification, and the resources that wait for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from aws_cdk import Annotations, CfnResource, Stack
from aws_cdk import aws_ecr_assets as ecr_assets
from image_verifier.rules.names import BuildOutputs
from image_verifier.rules.runtimes import RUNTIMES

from .. import build
from ..asset import warn_of_attestation
from ..build import BuildRecord
from ..consumer_checks import needs_own_build
from ..consumers import Consumer
from ..options import Options, platform_name, platform_of, runtime_names, with_defaults
from ..repositories import repository_of
from ..stack_resources import StackResources, StackVerification, VerificationHolder
from ..synthesis.facts import path_of
from ..tokens import is_dummy
from ..verification import ImageVerification
from .image_scopes import ScopeSettings

Asset = ecr_assets.DockerImageAsset | ecr_assets.TarballImageAsset
# Of an image that no known resource runs.
_DEFAULT_RUNTIME: Final = "fargate"
_PLATFORMS: Final = {
    "linux/amd64": ecr_assets.Platform.LINUX_AMD64,
    "linux/arm64": ecr_assets.Platform.LINUX_ARM64,
}


def default_platform(options: Options, consumers: Iterable[Consumer] = ()) -> ecr_assets.Platform:
    """The platform of an image that does not set one.

    It is the platform of the image's consumers if these agree, or else the default of the image's scope, or else the
    first platform that all its runtimes accept.

    :param options: the options of the image's scope. Unknown runtimes are reported elsewhere.
    :param consumers: the resources that will run the image.
    """
    platforms = {consumer.platform for consumer in consumers if consumer.platform in _PLATFORMS}
    if len(platforms) == 1:
        return _PLATFORMS[platforms.pop() or ""]
    runtimes = [RUNTIMES[name] for name in runtime_names(options.runs_on) if name in RUNTIMES]
    accepted = [set(runtime.platforms) - set(runtime.doubtful_platforms) for runtime in runtimes]
    names = [name for name in _PLATFORMS if all(name in platforms for platforms in accepted)]
    return options.platform or _PLATFORMS[names[0] if names else "linux/amd64"]


@dataclass(frozen=True)
class Dependent:
    """A resource that references an image.

    :param consumer: the same resource as a consumer; None if it does not run the image.
    :param stack: its stack, which may be a nested one.
    """

    resource: CfnResource
    consumer: Consumer | None
    stack: Stack


@dataclass(frozen=True, eq=False)
class ScopedImage:
    """An image that is not a `SafeDockerImageAsset`.

    :param verification: a verification that the user made for it.
    :param build: how its build was set; None if it was not.
    :param origin: the asset that the user made, if this one is a copy of it.
    """

    asset: Asset
    stack: Stack
    tag: str
    settings: ScopeSettings
    verification: StackVerification | None
    build: BuildRecord | None
    origin: Asset | None = None

    def verify(self, dependents: Sequence[Dependent]) -> None:
        """Add a verification for which the dependents wait."""
        consumers = [it.consumer for it in dependents if it.consumer]
        verification = self.verification or self._new_verification(consumers)
        if verification is None:
            return
        for dependent in dependents:
            verification.add_dependent(dependent.resource, dependent.consumer)

    def _new_verification(self, consumers: Sequence[Consumer]) -> ImageVerification | None:
        options = with_defaults(self.origin or self.asset, self.settings.options)
        names = runtime_names(options.runs_on) or tuple(dict.fromkeys(name for c in consumers for name in c.runs_on))
        platform = default_platform(options, consumers)
        if self.build:
            platform = platform_of(self.build.platform)
        # A consumer that cannot run this platform at all is reported by its own check.
        name = platform_name(platform)
        runs_on: Any = [runtime for runtime in names if RUNTIMES[runtime].runs(name)]
        if not runs_on and not is_dummy(name) and not RUNTIMES[_DEFAULT_RUNTIME].runs(name):
            self._refuse(name, names or (_DEFAULT_RUNTIME,), consumers)
            return None
        self._check_build(runs_on)
        is_built = isinstance(self.asset, ecr_assets.DockerImageAsset)
        return ImageVerification(
            VerificationHolder(self.asset, self.stack),
            "Verification",
            repository=repository_of(self.asset),
            tag=self.tag,
            # The same name as in SafeDockerImageAsset. An image from an archive keeps its own name.
            local_image=f"cdkasset-{self.asset.asset_hash}" if is_built else None,
            build_outputs=self.build.set_by if self.build else BuildOutputs.UNKNOWN,
            **replace(options, runs_on=runs_on or None, platform=platform).keywords,
        )

    def _refuse(self, platform: str, names: Iterable[str], consumers: Sequence[Consumer]) -> None:
        path = consumers[0].path if consumers else path_of(self.asset)
        titles = " and ".join(RUNTIMES[name].title for name in names)
        Annotations.of(self.asset).add_error(
            f"The image {path_of(self.asset)} is built for {platform}, which {titles} cannot run, so that it cannot "
            f"be verified. Set another platform, or leave it out: SafeImages.report(…, unverified='warning') for {path}"
            ", before the image is made."
        )

    def _check_build(self, runs_on: Iterable[str]) -> None:
        path = path_of(self.asset)
        if self.build is None:
            if isinstance(self.asset, ecr_assets.DockerImageAsset):
                Annotations.of(self.asset).add_warning_v2(
                    "cdk-safe-image:build-not-set",
                    f"The image {path} is verified, but its platform is not pinned, because another property injector "
                    "for DockerImageAsset is nearer to it than the injector of SafeImages. Add the other one before "
                    "SafeImages, to the same scope or above.",
                )
            return
        if self.build.set_by is not BuildOutputs.DEFAULT:
            warn_of_attestation(self.asset, self.build.outputs)
            return
        for name in runs_on:
            # Our default outputs make an OCI image.
            if needs_own_build(name) and list(self.build.outputs) != build.default_outputs([name]):
                title = RUNTIMES[name].title
                Annotations.of(self.asset).add_error(
                    f"The image {path} is built as an OCI image, which {title} refuses: use SafeDockerImageAsset with "
                    f"runs_on={name!r}, or protect its own scope with that runs_on."
                )


def existing_verification(asset: Asset, stack: Stack, tag: str) -> StackVerification | None:
    """The verification that the user made for an image in a stack; None if there is none.

    :param asset: the image.
    :param stack: the stack.
    :param tag: the image's tag.
    """
    verifications = StackResources.of(stack).verifications
    return next((it for it in verifications if it.verifies(asset.repository, tag)), None)
