"""What a resource remembers of the images that it has verified: its physical ID."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class VerifiedImage:
    """What is remembered of a verified image: enough to answer for it again.

    :param fingerprint: of the properties with which it was verified.
    :param digest: the verified digest; empty where there was no image, and nothing refuses one.
    :param size: its compressed size in bytes.
    :param media_type: what the tag pointed at.
    :param layers: how many layers it has.
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
    """What a physical ID remembers, the newest first."""
    try:
        return [
            VerifiedImage(str(fingerprint), str(digest), int(size), str(media_type), int(layers))
            for fingerprint, digest, size, media_type, layers in json.loads(physical_id)
        ]
    except (ValueError, TypeError):
        # A resource that was refused when it was made has verified nothing.
        return []
