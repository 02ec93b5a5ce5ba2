"""The compressed size: within the policy's bounds, and within the runtime's."""

from __future__ import annotations

from collections.abc import Iterator

from ..report import Finding, Severity
from ..text import readable_size
from .subject import Subject, finding


def is_within_bounds(subject: Subject) -> Iterator[Finding]:
    """The image is neither smaller nor larger than the policy allows."""
    image, policy = subject.image, subject.policy
    size = readable_size(image.size)
    if policy.min_size is not None and image.size < policy.min_size:
        least = readable_size(policy.min_size)
        yield finding(
            "image-too-small",
            f"The image is {size} compressed, but min_size is {least}: something is missing in it.",
            expected=f"at least {least}",
            found=size,
        )
    if policy.max_size is not None and image.size > policy.max_size:
        most = readable_size(policy.max_size)
        yield finding(
            "image-too-large",
            f"The image is {size} compressed, but max_size is {most}.",
            expected=f"at most {most}",
            found=size,
        )
    baseline = policy.baseline
    if baseline is not None and image.size > baseline.max_size:
        growth = readable_size(image.size - baseline.size)
        yield finding(
            "image-grew",
            f"The image is {size} compressed, {growth} more than {baseline.reference}.",
            expected=f"at most {readable_size(baseline.max_size)}",
            found=size,
        )


def fits_the_runtime(subject: Subject) -> Iterator[Finding]:
    """The runtime has room for the image."""
    image, runtime = subject.image, subject.runtime
    size = readable_size(image.size)
    if runtime.max_bytes is not None and image.size > runtime.max_bytes:
        most = readable_size(runtime.max_bytes)
        yield finding(
            "image-too-large-for-runtime",
            f"The image is {size} compressed, but {runtime.title} accepts at most {most} unpacked.",
            expected=f"at most {most}",
            found=size,
        )
    elif runtime.roomy_bytes is not None and image.size > runtime.roomy_bytes:
        yield finding(
            "image-needs-storage",
            f"The image is {size} compressed. Compressed and unpacked together, it needs more storage than "
            f"{runtime.title} gives a task by default.",
            severity=Severity.WARNING,
            expected="a larger ephemeral storage in the task definition",
            found=size,
        )
