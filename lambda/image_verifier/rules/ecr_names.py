"""The names of an image in ECR that was not built by this deploy, for the commands of its remedies."""

from __future__ import annotations

import re
from typing import Final

from ..image.ecr_hosts import ECR_HOST
from ..image.references import Reference
from .names import Names

# CDK's bootstrap repository, whose images have a copy on the machine that built them.
_CDK_ASSETS: Final = re.compile(r"cdk-[a-z0-9]+-container-assets-.+")


def names_in_ecr(text: str, platform: str) -> Names:
    """The names of an image in ECR.

    :param text: its reference, as the user passed it.
    :param platform: the platform that the image must be for.
    :raises ValueError: if it is not a reference to an image in ECR.
    """
    reference = Reference.parse(text)
    host = ECR_HOST.fullmatch(reference.registry)
    if host is None:
        raise ValueError(f"{text!r} is not an image in ECR")
    cdk = _CDK_ASSETS.fullmatch(reference.repository) and reference.tag
    return Names(
        reference=text,
        region=host["region"],
        registry_id=host["account"],
        repository=reference.repository,
        tag=reference.tag,
        digest=reference.digest,
        local_image=f"cdkasset-{reference.tag}" if cdk else "",
        platform=platform,
    )
