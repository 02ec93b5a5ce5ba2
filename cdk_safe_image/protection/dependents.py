"""The resources that reference an image, and the stack in which it is verified for each of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from aws_cdk import Stack
from image_verifier.custom_resource.schema import RESOURCE_TYPE

from ..consumers import consumer_at, images_of
from ..needed_resources import needed_by_verifications
from ..synthesis.identity import address, is_same
from ..synthesis.nesting import common_stack, top_level
from ..synthesis.snapshot import StageSnapshot, TemplateResource
from ..synthesis.stack_order import StackOrder
from .copies import copy_image
from .scoped_images import Dependent, ScopedImage, existing_verification


def place_verifications(
    image: ScopedImage, dependents: Sequence[Dependent], order: StackOrder
) -> Iterator[tuple[ScopedImage, list[Dependent]]]:
    """An image, and its copies in stacks that cannot wait for its own stack, each with the resources that wait for it.

    :param image: the image.
    :param dependents: the resources that reference it.
    :param order: gets the dependencies between stacks that this makes.
    """
    own, home = top_level(image.stack), image.stack
    waiting: list[Dependent] = []
    blocked: dict[str, list[Dependent]] = {}
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
            verification = existing_verification(copy, stack, image.tag)
            yield replace(image, asset=copy, stack=stack, verification=verification, origin=image.asset), its


def find_dependents(snapshot: StageSnapshot, images: Sequence[ScopedImage]) -> dict[ScopedImage, list[Dependent]]:
    """The resources that reference each image.

    :param snapshot: the complete stage.
    :param images: the images.
    """
    dependents: dict[ScopedImage, list[Dependent]] = {image: [] for image in images}
    if not images:
        return dependents
    tags = {image.tag for image in images}
    candidates = [it for it in snapshot.template_resources if it.type != RESOURCE_TYPE and _contains(it.text, tags)]
    tags_in = {it: _contains(it.text_without_labels, tags) for it in candidates}
    referencing = [resource for resource, found in tags_in.items() if found]
    needed = needed_by_verifications(snapshot)
    for resource, construct in snapshot.constructs_of(referencing).items():
        if address(construct) in needed:
            continue
        for image in images:
            if image.tag in tags_in[resource] and image in _nearest(image.tag, images, resource.stack):
                consumer = consumer_at(construct) if _runs(resource, image.tag) else None
                dependents[image].append(Dependent(construct, consumer, resource.stack))
    return dependents


def _contains(text: str, tags: Collection[str]) -> list[str]:
    return [tag for tag in tags if tag in text]


def _nearest(tag: str, images: Sequence[ScopedImage], stack: Stack) -> list[ScopedImage]:
    """The images with a tag whose verification a resource waits for: those of its own stack, if there are any."""
    same = [image for image in images if image.tag == tag]
    root = top_level(stack)
    return (
        [image for image in same if is_same(image.stack, stack)]
        or [image for image in same if is_same(top_level(image.stack), root)]
        or same[:1]
    )


def _runs(resource: TemplateResource, tag: str) -> bool:
    return any(tag in image for image in images_of(json.loads(resource.text)))
