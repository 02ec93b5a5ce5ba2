"""The causes of findings about the size, and about the conditions that a policy requires."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .usual_cause import UsualCause

_DOCKERFILE: Final = "https://docs.docker.com/reference/dockerfile/"
_CONTEXT: Final = "https://docs.docker.com/build/concepts/context/#dockerignore-files"
_BEST_PRACTICES: Final = "https://docs.docker.com/build/building/best-practices/"

POLICIES: Final[Mapping[str, UsualCause]] = {
    "image-too-small": UsualCause(
        "A .dockerignore excludes the program, or the build stops at an early stage (target=).", _CONTEXT
    ),
    "image-too-large": UsualCause(
        "The build copies its cache, its tools or the whole repository into the image.", _BEST_PRACTICES
    ),
    "image-grew": UsualCause("A new dependency, a cache or a data file entered the image.", _BEST_PRACTICES),
    "image-too-large-for-runtime": UsualCause(
        "The image holds models, data or build tools beside the program.",
        "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html",
    ),
    "image-needs-storage": UsualCause(
        "Fargate counts the compressed and the unpacked image in the task's 20 GiB of storage.",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html",
    ),
    "user-is-root": UsualCause("The Dockerfile has no USER, and the base image runs as root.", f"{_DOCKERFILE}#user"),
    "base-is-latest": UsualCause(
        "FROM references the base image without a version, so each build may get another one.",
        f"{_BEST_PRACTICES}#pin-base-image-versions",
    ),
    "base-not-said": UsualCause(
        "docker build does not write the name of the base image into the image.",
        "https://github.com/moby/buildkit/issues/6202",
    ),
    "label-missing": UsualCause(
        "The Dockerfile does not set the label, or the pipeline no longer passes it.", f"{_DOCKERFILE}#label"
    ),
    "layers-above-maximum": UsualCause(
        "The Dockerfile, together with its base image, has more steps than the policy allows.", f"{_BEST_PRACTICES}#run"
    ),
}
