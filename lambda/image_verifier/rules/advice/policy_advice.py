"""Advice for findings about the size, and about the conditions that a policy requires."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .row import Advice, Then

_DOCKERFILE: Final = "https://docs.docker.com/reference/dockerfile/"
_CONTEXT: Final = "https://docs.docker.com/build/concepts/context/#dockerignore-files"
_BEST_PRACTICES: Final = "https://docs.docker.com/build/building/best-practices/"

POLICIES: Final[Mapping[str, Advice]] = {
    "image-too-small": Advice(
        "A .dockerignore excludes the program, or the build stops at an early stage (target=).",
        "Correct the files that the build copies: see .dockerignore and the last stage. If the image is right, lower "
        "min_size.",
        "Start the image once in the pipeline, before the deploy.",
        _CONTEXT,
        Then.REBUILD,
    ),
    "image-too-large": Advice(
        "The build copies its cache, its tools or the whole repository into the image.",
        "Remove unneeded files from the build. If the image is right, raise max_size.",
        "Build in stages, and exclude data with .dockerignore.",
        _BEST_PRACTICES,
        Then.REBUILD,
    ),
    "image-grew": Advice(
        "A new dependency, a cache or a data file entered the image.",
        "Compare the two images with safe-image diff, and remove unneeded files; or allow more growth.",
        "Build in stages, and exclude data with .dockerignore.",
        _BEST_PRACTICES,
        Then.REBUILD,
    ),
    "image-too-large-for-runtime": Advice(
        "The image holds models, data or build tools beside the program.",
        "Make the image smaller: build in stages, and fetch data when the container starts.",
        "Set max_size below the limit of the runtime.",
        "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html",
        Then.REBUILD,
    ),
    "image-needs-storage": Advice(
        "Fargate counts the compressed and the unpacked image in the task's 20 GiB of storage.",
        "Give the task definition more ephemeral storage (ephemeral_storage_gib), or make the image smaller.",
        "Set max_size, so that a growing image is refused early.",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html",
        Then.DEPLOY,
    ),
    "user-is-root": Advice(
        "The Dockerfile has no USER, and the base image runs as root.",
        "Set USER in the Dockerfile, best to a number: USER 1000, and give that user its files.",
        "Use a base image that runs as another user, such as the nonroot images of distroless.",
        f"{_DOCKERFILE}#user",
        Then.REBUILD,
    ),
    "base-is-latest": Advice(
        "FROM references the base image without a version, so each build may get another one.",
        "Set the version or the digest of the base image in FROM of the Dockerfile.",
        "Let Renovate or Dependabot update the version in FROM.",
        f"{_BEST_PRACTICES}#pin-base-image-versions",
        Then.REBUILD,
    ),
    "base-not-said": Advice(
        # buildah and podman do write it.
        "docker build does not write the name of the base image into the image.",
        "Name it in the Dockerfile: ARG BASE=python:3.13-slim, FROM $BASE, ARG BASE, "
        "LABEL org.opencontainers.image.base.name=$BASE",
        "Keep that label in your Dockerfile template, or build with podman, which writes it.",
        "https://github.com/moby/buildkit/issues/6202",
        Then.REBUILD,
    ),
    "label-missing": Advice(
        "The Dockerfile does not set the label, or the pipeline no longer passes it.",
        "Set the label with LABEL in the Dockerfile.",
        "Set labels in the Dockerfile, not on the command line of the pipeline.",
        f"{_DOCKERFILE}#label",
        Then.REBUILD,
    ),
    "layers-above-maximum": Advice(
        "The Dockerfile, together with its base image, has more steps than the policy allows.",
        "Join RUN and COPY steps in the Dockerfile, or build in two stages.",
        "Join RUN steps with &&, and copy whole folders instead of single files.",
        f"{_BEST_PRACTICES}#run",
        Then.REBUILD,
    ),
}
