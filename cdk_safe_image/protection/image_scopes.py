"""The images below a scope: each gets a verification when the stage is complete, and its dependents wait for it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, ClassVar, Final

from aws_cdk import Annotations, CfnResource, Stack
from aws_cdk import aws_ecr_assets as ecr_assets
from constructs import Construct, IConstruct
from image_verifier.custom_resource.schema import RESOURCE_TYPE
from image_verifier.rules.names import BuildOutputs
from image_verifier.rules.runtimes import RUNTIMES

from .. import build
from ..asset import SafeDockerImageAsset, warn_of_attestation
from ..build import BuildRecord
from ..consumer_checks import needs_own_build
from ..consumers import TYPES, Consumer, consumer_at, images_of
from ..options import Options, platform_name, platform_of, runtime_names, with_defaults
from ..stack_resources import StackResources, StackVerification, VerificationHolder
from ..synthesis.facts import path_of, scopes_of, stack_of, stage_of
from ..synthesis.finalizer import StageFinalizer
from ..synthesis.identity import address, is_same
from ..synthesis.nesting import common_stack, top_level
from ..synthesis.snapshot import StageSnapshot, TemplateResource, as_json
from ..synthesis.stack_order import StackOrder
from ..tokens import is_dummy
from ..verification import ImageVerification
from .copies import copy_image

_Asset = ecr_assets.DockerImageAsset | ecr_assets.TarballImageAsset
_ID: Final = "SafeImages"
# Of an image that no known resource runs.
_DEFAULT_RUNTIME: Final = "fargate"
_PLATFORMS: Final = {
    "linux/amd64": ecr_assets.Platform.LINUX_AMD64,
    "linux/arm64": ecr_assets.Platform.LINUX_ARM64,
}
# Marks of an ECR URI, in every partition: the host name, and the attribute of a repository that the app makes.
_ECR_MARKS: Final = (".dkr.ecr.", '"RepositoryUri"')


# The verifications of an image that CDK builds, and of one that something else pushes.
_BUILT: Final = "SafeDockerImageAsset or SafeImages.protect"
_PUSHED: Final = "ImageVerification"


class Unverified(str, Enum):
    """How an unverified image is reported at synth: as an error or as a warning."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class ScopeSettings:
    """The settings for the images below a scope.

    :param options: the user's options, without a platform, since each image has its own.
    :param identity: what the options resolve to. Settings with the same identity are equal.
    :param report: how unverified images are reported; None if the images are protected instead.
    """

    options: Options = field(default=Options(), compare=False)
    identity: tuple[Any, ...] = ()
    report: Unverified | None = None


class ImageScope(Construct):
    """Applies settings to all images below its scope. For each image, the nearest scope above it counts."""

    # By the address of the scope.
    _of_scopes: ClassVar[dict[str, ImageScope]] = {}

    def __init__(self, scope: Construct, *, settings: ScopeSettings) -> None:
        """
        :param scope: the scope.
        :param settings: the settings for its images.
        """
        super().__init__(scope, _ID)
        self._of_scopes[address(scope)] = self
        self.settings = settings

    @staticmethod
    def at(scope: IConstruct) -> ImageScope | None:
        """The image scope of exactly this construct; None if it has none."""
        return ImageScope._of_scopes.get(address(scope))

    @classmethod
    def above(cls, construct: IConstruct) -> ImageScope | None:
        """The nearest image scope above a construct; None if there is none."""
        return next((found for scope in reversed(scopes_of(construct)) if (found := cls.at(scope))), None)


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


def verify_or_report(snapshot: StageSnapshot) -> None:
    """Verify or report each unverified image of a stage.

    :param snapshot: the complete stage.
    """
    snapshot = _complete(snapshot)
    images = list(_images(snapshot))
    _check_nested_stages(snapshot)
    protected = [image for image in images if not image.settings.report]
    dependents = _dependents(snapshot, protected)
    order = StackOrder(snapshot)
    for image in protected:
        for placed, waiting in _placed(image, dependents[image], order):
            placed.verify(waiting)
    for image in images:
        if image.settings.report and image.verification is None:
            problem = f"The image {path_of(image.asset)} is not verified"
            _report(image.settings.report, image.asset, problem, _BUILT)
    _report_other_images(snapshot, images)


def _complete(snapshot: StageSnapshot) -> StageSnapshot:
    """A snapshot with the images that constructs make inside a `Lazy`, such as those of AgentCore's `Runtime`.

    They are made when a template is resolved for the first time, and register themselves through the injector.
    """
    finalizer = StageFinalizer.of(snapshot.stage)
    while snapshot.template_resources and finalizer.is_requested_again(verify_or_report):
        snapshot = StageSnapshot(snapshot.stage)
    return snapshot


@dataclass(frozen=True)
class _Dependent:
    """A resource that references an image.

    :param consumer: the same resource as a consumer; None if it does not run the image.
    :param stack: its stack, which may be a nested one.
    """

    resource: CfnResource
    consumer: Consumer | None
    stack: Stack


@dataclass(frozen=True, eq=False)
class _Image:
    """An image that is not a `SafeDockerImageAsset`.

    :param verification: a verification that the user made for it.
    :param build: how its build was set; None if it was not.
    :param origin: the asset that the user made, if this one is a copy of it.
    """

    asset: _Asset
    stack: Stack
    tag: str
    settings: ScopeSettings
    verification: StackVerification | None
    build: BuildRecord | None
    origin: _Asset | None = None

    def verify(self, dependents: Sequence[_Dependent]) -> None:
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
            repository=self.asset.repository,
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


def _assets(snapshot: StageSnapshot) -> list[_Asset]:
    """The assets that do not verify themselves, those of nested stages included."""
    found: list[_Asset] = [*snapshot.of(ecr_assets.DockerImageAsset), *snapshot.of(ecr_assets.TarballImageAsset)]
    return [asset for asset in found if not isinstance(asset, SafeDockerImageAsset)]


def _check_nested_stages(snapshot: StageSnapshot) -> None:
    """Refuse images of nested stages, which CDK synthesized already, if the injector of `SafeImages` missed them.

    The injector registers each stage with images, unless another injector is nearer to all of them.
    """
    known = {address(stack_of(stack_resources)) for stack_resources in snapshot.of(StackResources)}
    known |= set(map(address, snapshot.stacks))
    for asset in _assets(snapshot):
        stack = stack_of(asset)
        if address(stack) not in known and ImageScope.above(asset):
            stage = stage_of(stack)
            assert stage
            raise ValueError(
                f"SafeImages missed the image {path_of(asset)}, because another property injector is nearer to the "
                f"images of {path_of(stage)}: call SafeImages for that stage, right after the line that makes it"
            )


def _images(snapshot: StageSnapshot) -> Iterable[_Image]:
    """The images that do not verify themselves and that are below an image scope, each once per stack."""
    seen = set()
    stacks = set(map(address, snapshot.stacks))
    for asset in _assets(snapshot):
        stack = stack_of(asset)
        if address(stack) not in stacks or (scope := ImageScope.above(asset)) is None:
            continue
        tag = asset.image_tag
        key = (address(stack), tag, address(scope))
        if key not in seen:
            record = StackResources.of(stack).builds.get(path_of(asset))
            yield _Image(asset, stack, tag, scope.settings, _existing_verification(asset, stack, tag), record)
        seen.add(key)


def _existing_verification(asset: _Asset, stack: Stack, tag: str) -> StackVerification | None:
    verifications = StackResources.of(stack).verifications
    return next((it for it in verifications if it.verifies(asset.repository, tag)), None)


def _placed(
    image: _Image, dependents: Sequence[_Dependent], order: StackOrder
) -> Iterator[tuple[_Image, list[_Dependent]]]:
    """An image, and its copies in stacks that cannot wait for its own stack, each with the resources that wait for it.

    :param order: gets the dependencies between stacks that this makes.
    """
    own, home = top_level(image.stack), image.stack
    waiting: list[_Dependent] = []
    blocked: dict[str, list[_Dependent]] = {}
    for dependent in dependents:
        stack = top_level(dependent.stack)
        if is_same(stack, own):
            home = common_stack(home, dependent.stack)
            waiting.append(dependent)
        elif not order.depends(own, stack):
            order.add(stack, own)
            waiting.append(dependent)
        else:
            blocked.setdefault(address(stack), []).append(dependent)
    # A stack that runs an image of a nested stack need not wait for all of that stack, which may even depend on it.
    yield replace(image, stack=home), waiting
    for its in blocked.values():
        stack = top_level(its[0].stack)
        copy = copy_image(image.asset, image.build, stack, its[0].resource)
        if copy is not None:
            verification = _existing_verification(copy, stack, image.tag)
            yield replace(image, asset=copy, stack=stack, verification=verification, origin=image.asset), its


def _dependents(snapshot: StageSnapshot, images: Sequence[_Image]) -> dict[_Image, list[_Dependent]]:
    """The resources that reference each image."""
    dependents: dict[_Image, list[_Dependent]] = {image: [] for image in images}
    if not images:
        return dependents
    tags = {image.tag for image in images}
    tags_in = {
        resource: [tag for tag in tags if tag in resource.text]
        for resource in snapshot.template_resources
        if resource.type != RESOURCE_TYPE
    }
    referencing = [resource for resource, found in tags_in.items() if found]
    for resource, construct in snapshot.constructs_of(referencing).items():
        for image in images:
            if image.tag in tags_in[resource] and image in _nearest(image.tag, images, resource.stack):
                consumer = consumer_at(construct) if _runs(resource, image.tag) else None
                dependents[image].append(_Dependent(construct, consumer, resource.stack))
    return dependents


def _nearest(tag: str, images: Sequence[_Image], stack: Stack) -> list[_Image]:
    """The images with a tag whose verification a resource waits for: those of its own stack, if there are any."""
    same = [image for image in images if image.tag == tag]
    root = top_level(stack)
    return (
        [image for image in same if is_same(image.stack, stack)]
        or [image for image in same if is_same(top_level(image.stack), root)]
        or same[:1]
    )


def _report_other_images(snapshot: StageSnapshot, images: Sequence[_Image]) -> None:
    """Report the resources that run an unverified image of ECR which CDK does not build."""
    resources = snapshot.template_resources
    known = {image.tag for image in images}
    # References to a verification, and the plain URIs that other stacks contain.
    known |= {resource.logical_id for resource in resources if resource.type == RESOURCE_TYPE}
    for stack_resources in snapshot.of(StackResources):
        uris = [verification.unverified_uri for verification in stack_resources.verifications]
        known.update(map(as_json, stack_of(stack_resources).resolve(uris)))
    unverified = [resource for resource in resources if resource.type in TYPES and _runs_unknown(resource, known)]
    for construct in snapshot.constructs_of(unverified).values():
        scope, consumer = ImageScope.above(construct), consumer_at(construct)
        if scope and consumer:
            level = scope.settings.report or Unverified.WARNING
            _report(level, construct, f"The ECR image that {consumer.path} runs is not verified", _PUSHED)


def _runs(resource: TemplateResource, tag: str) -> bool:
    return any(tag in image for image in images_of(json.loads(resource.text)))


def _runs_unknown(resource: TemplateResource, known: Collection[str]) -> bool:
    """Whether a resource runs an image of ECR whose URI contains no known name."""
    return any(mark in resource.text for mark in _ECR_MARKS) and any(
        any(mark in image for mark in _ECR_MARKS) and not any(name in image for name in known)
        for image in images_of(json.loads(resource.text))
    )


def _report(level: Unverified, construct: IConstruct, problem: str, use: str) -> None:
    message = f"{problem}: use {use}."
    if level is Unverified.ERROR:
        Annotations.of(construct).add_error(message)
    else:
        Annotations.of(construct).add_warning_v2("cdk-safe-image:image-not-verified", message)
