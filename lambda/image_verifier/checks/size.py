"""The compressed size: within what was asked for, and within what the runtime has room for."""

from __future__ import annotations

from collections.abc import Iterator

from ..image.model import Image
from ..policy import Policy
from ..report import Finding, Severity
from ..rules.runtimes import Runtime
from ..text import readable_size
from .artifact import is_refused


def is_within_bounds(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The image is neither smaller nor larger than the policy says."""
    if image.manifest is None or any(is_refused(image, engine) for engine in runtime.engines):
        return
    size = readable_size(image.size)
    if policy.min_size is not None and image.size < policy.min_size:
        least = readable_size(policy.min_size)
        yield Finding(
            "image-too-small",
            Severity.ERROR,
            f"The image has {size} compressed, and min_size is {least}: something is missing in it.",
            expected=f"at least {least}",
            found=size,
        )
    if policy.max_size is not None and image.size > policy.max_size:
        most = readable_size(policy.max_size)
        yield Finding(
            "image-too-large",
            Severity.ERROR,
            f"The image has {size} compressed, and max_size is {most}.",
            expected=f"at most {most}",
            found=size,
        )
    grown = policy.baseline
    if grown is not None and image.size > grown.max_size:
        more = readable_size(image.size - grown.size)
        yield Finding(
            "image-grew",
            Severity.ERROR,
            f"The image has {size} compressed, {more} more than {grown.reference}.",
            expected=f"at most {readable_size(grown.max_size)}",
            found=size,
        )


def fits_the_runtime(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The runtime has room for the image."""
    size = readable_size(image.size)
    if runtime.max_bytes is not None and image.size > runtime.max_bytes:
        most = readable_size(runtime.max_bytes)
        yield Finding(
            "image-too-large-for-runtime",
            Severity.ERROR,
            f"The image has {size} compressed, and {runtime.title} takes at most {most} unpacked.",
            expected=f"at most {most}",
            found=size,
        )
    elif runtime.roomy_bytes is not None and image.size > runtime.roomy_bytes:
        yield Finding(
            "image-needs-storage",
            Severity.WARNING,
            f"The image has {size} compressed; together with what it unpacks to, it needs more storage than "
            f"{runtime.title} gives a task by default.",
            expected="a larger ephemeral storage in the task definition",
            found=size,
        )
