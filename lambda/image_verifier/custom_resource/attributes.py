"""The resource's attributes, which `Fn::GetAtt` reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..report import Report
from .physical_id import VerifiedImage
from .properties import Properties
from .reason import one_line
from .schema import Attribute

# The most characters of the attribute `Warnings`.
_MAX_WARNINGS: Final = 1000
# An empty output would look like a mistake.
NO_WARNINGS: Final = "none"


def attributes(properties: Properties, image: VerifiedImage, warnings: str) -> Mapping[str, str]:
    """The attributes of a resource that has verified this image."""
    return {
        Attribute.IMAGE_URI: properties.uri(image.digest),
        # Users of this attribute select what follows the colon.
        Attribute.IMAGE_DIGEST: image.digest or "sha256:unknown",
        Attribute.IMAGE_TAG: properties.tag,
        Attribute.SIZE_IN_BYTES: str(image.size),
        Attribute.MEDIA_TYPE: image.media_type,
        Attribute.PLATFORM: str(properties.policy.platform),
        Attribute.LAYER_COUNT: str(image.layers),
        Attribute.WARNINGS: warnings,
    }


def warnings(report: Report) -> str:
    """The findings of an image that passes, one line each, as many as there is room for."""
    lines: list[str] = []
    for number, finding in enumerate(report.findings):
        rest = f"and {len(report.findings) - number} more in the verifier's log"
        line = one_line(finding)
        if sum(map(len, lines)) + len(line) + len(rest) + len(lines) + 1 > _MAX_WARNINGS:
            return "\n".join([*lines, rest])
        lines.append(line)
    return "\n".join(lines) or NO_WARNINGS
