"""The physical ID of the resource, which records the images that it has verified."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class VerifiedImage:
    """The record of a verified image: enough to respond for it again.

    :param fingerprint: of the properties with which it was verified.
    :param digest: the verified digest; empty where there was no image, and the policy never refuses.
    :param size: its compressed size in bytes.
    :param media_type: the media type of the manifest or index that the tag referenced.
    :param layers: its number of layers.
    """

    fingerprint: str
    digest: str
    size: int
    media_type: str
    layers: int


def physical_id(records: Sequence[VerifiedImage]) -> str:
    """The physical ID, at most 1 KB: the image that is verified now, and the one before it.

    :param records: the newest first.
    """
    kept: list[VerifiedImage] = []
    for record in records:
        if record.fingerprint not in {r.fingerprint for r in kept}:
            kept.append(record)
    return json.dumps([list(astuple(r)) for r in kept[:2]], separators=(",", ":"))


def records_of(physical_id: str) -> list[VerifiedImage]:
    """The records in a physical ID, the newest first."""
    try:
        return [
            VerifiedImage(str(fingerprint), str(digest), int(size), str(media_type), int(layers))
            for fingerprint, digest, size, media_type, layers in json.loads(physical_id)
        ]
    except (ValueError, TypeError):
        # A resource that was refused when it was created has verified nothing.
        return []
