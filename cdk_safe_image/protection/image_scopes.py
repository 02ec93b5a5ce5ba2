"""The images that do not verify themselves: each gets its verification at the end, and what names it waits."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

from aws_cdk import Annotations, CfnResource, Stack, Stage
from aws_cdk import aws_ecr_assets as ecr_assets
from constructs import Construct, IConstruct
from image_verifier.image import media_types
from image_verifier.rules.runtimes import RUNTIMES

from .. import build
from ..asset import SafeDockerImageAsset, warn_of_attestation
from ..consumers import TYPES, Consumer, consumer_at, images_of
from ..options import Options, runtime_names, with_defaults
from ..stack_resources import StackResources, VerificationHolder, top_level
from ..synthesis.snapshot import StageSnapshot, TemplateResource, as_json
from ..verification import RESOURCE_TYPE, ImageVerification

_Asset = ecr_assets.DockerImageAsset | ecr_assets.TarballImageAsset
_ID: Final = "SafeImages"
_PLATFORMS: Final = {
    "linux/amd64": ecr_assets.Platform.LINUX_AMD64,
    "linux/arm64": ecr_assets.Platform.LINUX_ARM64,
}
# What a URI of ECR has, in every partition; and that of a repository that the app makes, as its attribute.
_ECR: Final = (".dkr.ecr.", '"RepositoryUri"')


class Unverified(str, Enum):
    """What is said of an image that nothing verifies."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class ScopeSettings:
    """What is asked of the images below a scope.

    :param options: as they were written, without a platform, which is each image's own.
    :param meaning: what they come to, by which two of the same are recognised.
    :param reports: None where images are protected, and not only reported.
    """

    options: Options = field(default=Options(), compare=False)
    meaning: tuple[Any, ...] = ()
    reports: Unverified | None = None


class ImageScope(Construct):
    """What is asked of all images below its scope; of several above an image, the nearest decides."""

    def __init__(self, scope: Construct, *, coverage: ScopeSettings) -> None:
        """
        :param scope: for whose images it is.
        :param coverage: what is asked of them.
        """
        super().__init__(scope, _ID)
        self.coverage = coverage

    @staticmethod
    def at(scope: IConstruct) -> ImageScope | None:
        """The one of this very scope."""
        there = scope.node.try_find_child(_ID)
        return there if isinstance(there, ImageScope) else None

    @classmethod
    def above(cls, construct: IConstruct) -> ImageScope | None:
        """The nearest above a construct."""
        return next((cover for scope in reversed(construct.node.scopes) if (cover := cls.at(scope))), None)


@dataclass(frozen=True)
class Build:
    """How an image is built by ours.

    :param platform: such as `linux/amd64`.
    :param outputs: as they are meant.
    :param has_own_outputs: whether the user wrote them.
    """

    platform: str
    outputs: tuple[str, ...]
    has_own_outputs: bool


def default_platform(options: Options, consumers: Iterable[Consumer] = ()) -> ecr_assets.Platform:
    """The platform of an image that says none.

    It is what its consumers agree on, or else the default of its scope, or else the first that its runtimes take.

    :param options: of its scope; runtimes that there are not are told elsewhere.
    :param consumers: what will run the image.
    """
    said = {consumer.platform for consumer in consumers if consumer.platform in _PLATFORMS}
    if len(said) == 1:
        return _PLATFORMS[said.pop() or ""]
    takes = [RUNTIMES[name].platforms for name in runtime_names(options.runs_on) if name in RUNTIMES]
    names = [name for name in _PLATFORMS if all(name in platforms for platforms in takes)]
    return options.platform or _PLATFORMS[names[0] if names else "linux/amd64"]


def finish(made: StageSnapshot) -> None:
    """Verify or report each image of a stage that nothing verifies.

    :param made: all of the stage.
    """
    images = list(_images(made))
    _check_stages_within(made)
    protected = [image for image in images if not image.coverage.reports]
    uses = _uses(made, protected)
    for image in protected:
        image.verify(uses[image])
    for image in images:
        if image.coverage.reports and image.verified is None:
            _tell(image.coverage.reports, image.asset, f"Nothing verifies the image {image.asset.node.path}")
    _tell_of_others(made, images)


@dataclass(frozen=True)
class _Use:
    """A resource that names an image.

    :param runs: whether it runs the image, too.
    """

    resource: CfnResource
    runs: bool


@dataclass(frozen=True, eq=False)
class _Image:
    """An image that does not verify itself.

    :param verified: what verifies it all the same.
    """

    asset: _Asset
    stack: Stack
    tag: str
    coverage: ScopeSettings
    verified: ImageVerification | None
    build: Build | None

    def verify(self, uses: Sequence[_Use]) -> None:
        """Let it be verified before what names it."""
        consumers = [consumer for use in uses if use.runs and (consumer := consumer_at(use.resource))]
        verification = self.verified or self._verification(consumers)
        for use in uses:
            verification.wait(use.resource, runs=use.runs)

    def _verification(self, consumers: Sequence[Consumer]) -> ImageVerification:
        options = with_defaults(self.asset, self.coverage.options)
        names = runtime_names(options.runs_on) or tuple(dict.fromkeys(name for c in consumers for name in c.runs_on))
        platform = default_platform(options, consumers)
        if self.build:
            platform = ecr_assets.Platform.custom(self.build.platform)
        # What cannot run an image of this platform at all is told where it uses the image.
        runs_on: Any = [name for name in names if platform.platform in RUNTIMES[name].platforms]
        self._check_build(runs_on)
        is_built = isinstance(self.asset, ecr_assets.DockerImageAsset)
        return ImageVerification(
            VerificationHolder(self.asset),
            "Verification",
            repository=self.asset.repository,
            tag=self.tag,
            # As of SafeDockerImageAsset; what is loaded from an archive has a name of its own.
            local_image=f"cdkasset-{self.asset.asset_hash}" if is_built else None,
            **replace(options, runs_on=runs_on or None, platform=platform).keywords,
        )

    def _check_build(self, runs_on: Iterable[str]) -> None:
        path = self.asset.node.path
        if self.build is None:
            if isinstance(self.asset, ecr_assets.DockerImageAsset):
                Annotations.of(self.asset).add_warning_v2(
                    "cdk-safe-image:build-not-set",
                    f"The image {path} is verified, but its platform is not pinned: another property injector for "
                    "DockerImageAsset is nearer to it than that of SafeImages. Add that one before SafeImages, to the "
                    "same scope or above.",
                )
            return
        if self.build.has_own_outputs:
            warn_of_attestation(self.asset, self.build.outputs)
            return
        for name in runs_on:
            # What our build makes, and another would not.
            refused = media_types.OCI_MANIFEST in RUNTIMES[name].refused_manifests
            if refused and list(self.build.outputs) != build.default_outputs([name]):
                title = RUNTIMES[name].title
                Annotations.of(self.asset).add_error(
                    f"The image {path} is built as an OCI image, which {title} refuses: make it with "
                    f"SafeDockerImageAsset and runs_on={name!r}, or protect its own scope with that runs_on."
                )


def _assets(made: StageSnapshot) -> list[_Asset]:
    """The images that do not verify themselves, those of stages within this one included."""
    found: list[_Asset] = [*made.of(ecr_assets.DockerImageAsset), *made.of(ecr_assets.TarballImageAsset)]
    return [asset for asset in found if not isinstance(asset, SafeDockerImageAsset)]


def _check_stages_within(made: StageSnapshot) -> None:
    """Refuse what has been synthesized before, and of which nobody knew.

    An injector makes each stage with images known, as long as no other is nearer to all of them.
    """
    known = {parts.node.scope for parts in made.of(StackResources)}
    for asset in _assets(made):
        stack = Stack.of(asset)
        if stack not in known and stack not in made.stacks and ImageScope.above(asset):
            stage = Stage.of(stack)
            assert stage
            raise ValueError(
                f"SafeImages has not seen the image {asset.node.path}, since no property injector of ours is called "
                f"for one in {stage.node.path}: call SafeImages for that stage, right behind the line that makes it"
            )


def _images(made: StageSnapshot) -> Iterable[_Image]:
    """The images that do not verify themselves and of which something is asked, each once in a stack."""
    seen = set()
    for asset in _assets(made):
        stack = Stack.of(asset)
        if stack not in made.stacks or (cover := ImageScope.above(asset)) is None:
            continue
        tag = asset.image_tag
        if (stack, tag, cover) not in seen:
            parts = StackResources.of(stack)
            built = parts.builds.get(asset.node.path)
            verified = next((there for there in parts.verifications if there.is_of(asset.repository, tag)), None)
            yield _Image(asset, stack, tag, cover.coverage, verified, built)
        seen.add((stack, tag, cover))


def _uses(made: StageSnapshot, images: Sequence[_Image]) -> dict[_Image, list[_Use]]:
    """What names each image."""
    uses: dict[_Image, list[_Use]] = {image: [] for image in images}
    if not images:
        return uses
    tags = {image.tag for image in images}
    said = {
        mention: [tag for tag in tags if tag in mention.text]
        for mention in made.mentions
        if mention.type != RESOURCE_TYPE
    }
    for mention, resource in made.behind([mention for mention, names in said.items() if names]).items():
        for image in images:
            if image.tag in said[mention] and image in _nearest(image.tag, images, mention.stack):
                uses[image].append(_Use(resource, _runs(mention, image.tag)))
    return uses


def _nearest(tag: str, images: Sequence[_Image], stack: Stack) -> list[_Image]:
    """The images of a tag whose verification a resource waits for: those of its own stack, where there are any."""
    same = [image for image in images if image.tag == tag]
    root = top_level(stack)
    return (
        [image for image in same if image.stack is stack]
        or [image for image in same if top_level(image.stack) is root]
        or same[:1]
    )


def _tell_of_others(made: StageSnapshot, images: Sequence[_Image]) -> None:
    """Tell of resources that run an image of ECR which CDK does not build and nothing verifies."""
    verifications = [verification for parts in made.of(StackResources) for verification in parts.verifications]
    known = {image.tag for image in images}
    # What refers to a verification, and what names its image by itself, as other stacks do.
    known |= {mention.logical_id for mention in made.mentions if mention.type == RESOURCE_TYPE}
    known |= {as_json(Stack.of(verification).resolve(verification.plain_uri)) for verification in verifications}
    unknown = [mention for mention in made.mentions if mention.type in TYPES and _runs_unknown(mention, known)]
    for resource in made.behind(unknown).values():
        cover, consumer = ImageScope.above(resource), consumer_at(resource)
        if cover and consumer:
            what = f"Nothing verifies the image of ECR that {consumer.path} runs"
            _tell(cover.coverage.reports or Unverified.WARNING, resource, what)


def _runs(mention: TemplateResource, tag: str) -> bool:
    return any(tag in image for image in images_of(json.loads(mention.text)))


def _runs_unknown(mention: TemplateResource, known: Collection[str]) -> bool:
    """Whether a resource runs an image of ECR that no known name is in."""
    return any(mark in mention.text for mark in _ECR) and any(
        any(mark in image for mark in _ECR) and not any(name in image for name in known)
        for image in images_of(json.loads(mention.text))
    )


def _tell(level: Unverified, construct: IConstruct, what: str) -> None:
    message = f"{what}: use SafeDockerImageAsset, SafeImages.protect, or ImageVerification for what CDK does not build."
    if level is Unverified.ERROR:
        Annotations.of(construct).add_error(message)
    else:
        Annotations.of(construct).add_warning_v2("cdk-safe-image:image-not-verified", message)
