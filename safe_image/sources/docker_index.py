"""The image that Docker pushes in place of an index when the index's other images are missing.

https://github.com/moby/moby/blob/master/daemon/containerd/image_push.go, getPushDescriptor
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from image_verifier.image import media_types
from image_verifier.image.go_json import GoJsonError, decode
from image_verifier.image.model import MAX_INDEX_DEPTH, Descriptor, Document, Index, Manifest, Platform
from image_verifier.image.schemas import OCI_INDEX, Unreadable

from .oci_layout import OciLayout

# BuildKit's mark of an attestation, which is not an image:
# https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md
_ATTESTATION: Final = "vnd.docker.reference.type"


def pushed_image(layout: OciLayout, platform: Platform) -> Descriptor | None:
    """The image that Docker pushes in place of the index at the top of a layout.

    :param layout: the layout.
    :param platform: the platform of the machine that pushes.
    :returns: None where Docker pushes the top itself: it is not an index, or lacks nothing, or Docker cannot push it.
    """
    top = layout.resolve().document
    if top is None or not media_types.is_index(top.media_type):
        return None
    found = list(_manifests(layout, top, MAX_INDEX_DEPTH))
    present = [descriptor for descriptor, _, is_whole in found if is_whole]
    images = tuple(descriptor for descriptor, is_attestation, is_whole in found if is_whole and not is_attestation)
    if len(present) == len(found) or not images:
        return None
    return images[0] if len(images) == 1 else Index(top, "", images).choose(platform)


def _manifests(layout: OciLayout, index: Document, depth: int) -> Iterator[tuple[Descriptor, bool, bool]]:
    """Each manifest below an index, whether it is an attestation, and whether all of its content is present."""
    try:
        children = decode(index.content, OCI_INDEX)["manifests"]
    except GoJsonError:
        return
    for child in children:
        descriptor = Descriptor.of(child)
        document = layout.manifest(descriptor)
        if media_types.is_manifest(descriptor.media_type):
            is_whole = document is not None and _is_whole(layout, replace(document, media_type=descriptor.media_type))
            yield descriptor, _ATTESTATION in child["annotations"], is_whole
        elif media_types.is_index(descriptor.media_type) and document and depth:
            yield from _manifests(layout, document, depth - 1)


def _is_whole(layout: OciLayout, document: Document) -> bool:
    try:
        manifest = Manifest.parse(document)
    except Unreadable:
        return False
    return all(blob.available for blob in layout.availability((manifest.config, *manifest.layers)).values())
