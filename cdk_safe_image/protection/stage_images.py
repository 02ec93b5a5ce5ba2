"""All images of a stage: each one below an image scope is verified or reported when the stage is complete."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from aws_cdk import Annotations
from aws_cdk import aws_ecr_assets as ecr_assets
from constructs import IConstruct
from image_verifier.custom_resource.schema import RESOURCE_TYPE

from ..asset import SafeDockerImageAsset
from ..consumers import TYPES, consumer_at, images_of
from ..stack_resources import StackResources
from ..synthesis.facts import path_of, scopes_of, stack_of, stage_of
from ..synthesis.finalizer import StageFinalizer
from ..synthesis.identity import address
from ..synthesis.snapshot import StageSnapshot, TemplateResource, as_json, referenced_ids
from ..synthesis.stack_order import StackOrder
from .dependents import find_dependents, place_verifications
from .image_scopes import ImageScope, Unverified
from .scoped_images import Asset, ScopedImage, existing_verification

# Marks of an ECR URI, in every partition: the host name, and the attribute of a repository that the app makes.
_ECR_MARKS: Final = (".dkr.ecr.", '"RepositoryUri"')
# The verifications of an image that CDK builds, and of one that something else pushes.
_BUILT: Final = "SafeDockerImageAsset or SafeImages.protect"
_PUSHED: Final = "ImageVerification"


def verify_or_report(snapshot: StageSnapshot) -> None:
    """Verify or report each unverified image of a stage.

    :param snapshot: the complete stage.
    """
    snapshot = _complete(snapshot)
    images = list(_images(snapshot))
    _check_nested_stages(snapshot)
    protected = [image for image in images if not image.settings.report]
    dependents = find_dependents(snapshot, protected)
    order = StackOrder(snapshot)
    for image in protected:
        for placed, waiting in place_verifications(image, dependents[image], order):
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


def _assets(snapshot: StageSnapshot) -> list[Asset]:
    """The assets that do not verify themselves, those of nested stages included."""
    found: list[Asset] = [*snapshot.of(ecr_assets.DockerImageAsset), *snapshot.of(ecr_assets.TarballImageAsset)]
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


def _images(snapshot: StageSnapshot) -> Iterable[ScopedImage]:
    """The images that do not verify themselves and that are below an image scope.

    An image is verified once in each stack, but reported at each construct that makes it, since each must be replaced.
    """
    seen = set()
    stacks = set(map(address, snapshot.stacks))
    for asset in _assets(snapshot):
        stack = stack_of(asset)
        if address(stack) not in stacks:
            continue
        if record := StackResources.build_of(stack, path_of(asset)):
            scopes_of.set(asset, [*scopes_of(record.scope), asset])
        if (scope := ImageScope.above(asset)) is None:
            continue
        tag = asset.image_tag
        key = (address(stack), tag, address(scope))
        if key not in seen or scope.settings.report:
            yield ScopedImage(asset, stack, tag, scope.settings, existing_verification(asset, stack, tag), record)
        seen.add(key)


def _report_other_images(snapshot: StageSnapshot, images: Sequence[ScopedImage]) -> None:
    """Report the resources that run an unverified image of ECR which CDK does not build."""
    resources = snapshot.template_resources
    known = {image.tag for image in images}
    # References to a verification, and the plain URIs that other stacks contain.
    known |= {resource.logical_id for resource in resources if resource.type == RESOURCE_TYPE}
    for stack_resources in snapshot.of(StackResources):
        uris = [verification.unverified_uri for verification in stack_resources.verifications]
        known.update(map(as_json, stack_of(stack_resources).resolve(uris)))
    consumers = (resource for resource in resources if resource.type in TYPES)
    unverified = {it: unknown for it in consumers if (unknown := _unknown_images(it, known))}
    for resource, construct in snapshot.constructs_of(unverified).items():
        scope, consumer = ImageScope.above(construct), consumer_at(construct)
        if scope and consumer:
            names = list(dict.fromkeys(map(_name_of, unverified[resource])))
            several, are = ("s", "are") if len(names) > 1 else ("", "is")
            problem = f"{consumer.path} runs the ECR image{several} {' and '.join(names)}, which {are} not verified"
            _report(scope.settings.report or Unverified.WARNING, construct, problem, _PUSHED)


def _unknown_images(resource: TemplateResource, known: Collection[str]) -> list[str]:
    """The images of ECR that a resource runs whose URI contains no known name, as JSON."""
    if not _is_in_ecr(resource.text):
        return []
    images = filter(_is_in_ecr, images_of(json.loads(resource.text)))
    return [image for image in images if not any(name in image for name in known)]


def _is_in_ecr(text: str) -> bool:
    return any(mark in text for mark in _ECR_MARKS)


def _name_of(image: str) -> str:
    """The name of an image for messages, such as `shop:1.4`, or `shop:${Tag}` with a parameter's logical ID."""
    uri = _as_text(json.loads(image))
    return uri.partition("/")[2] or uri


def _as_text(value: Any) -> str:
    match value:
        case {"Fn::Join": [separator, [*parts]]}:
            return str(separator).join(map(_as_text, parts))
        case {"Fn::Sub": str(text) | [str(text), *_]}:
            return text
    return value if isinstance(value, str) else f"${{{next(referenced_ids(value), '…')}}}"


def _report(level: Unverified, construct: IConstruct, problem: str, use: str) -> None:
    message = f"{problem}: use {use}."
    if level is Unverified.ERROR:
        Annotations.of(construct).add_error(message)
    else:
        Annotations.of(construct).add_warning_v2("cdk-safe-image:image-not-verified", message)
