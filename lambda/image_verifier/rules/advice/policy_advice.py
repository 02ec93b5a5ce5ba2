"""Advice for findings about the size, and about the conditions that a policy requires."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .row import Advice, Then

POLICIES: Final[Mapping[str, Advice]] = {
    "image-too-small": Advice(
        "Correct the files that the build copies: see .dockerignore and the last stage. If the image is right, lower "
        "min_size.",
        "Start the image once in the pipeline, before the deploy.",
        Then.REBUILD,
    ),
    "image-too-large": Advice(
        "Remove unneeded files from the build. If the image is right, raise max_size.",
        "Build in stages, and exclude data with .dockerignore.",
        Then.REBUILD,
    ),
    "image-grew": Advice(
        "Compare the two images with safe-image diff, and remove unneeded files; or allow more growth.",
        "Build in stages, and exclude data with .dockerignore.",
        Then.REBUILD,
    ),
    "image-too-large-for-runtime": Advice(
        "Make the image smaller: build in stages, and fetch data when the container starts.",
        "Set max_size below the limit of the runtime.",
        Then.REBUILD,
    ),
    "image-needs-storage": Advice(
        "Give the task definition more ephemeral storage (ephemeral_storage_gib), or make the image smaller.",
        "Set max_size, so that a growing image is refused early.",
        Then.DEPLOY,
    ),
    "user-is-root": Advice(
        "Set USER in the Dockerfile, best to a number: USER 1000, and give that user its files.",
        "Use a base image that runs as another user, such as the nonroot images of distroless.",
        Then.REBUILD,
    ),
    "base-is-latest": Advice(
        "Set the version or the digest of the base image in FROM of the Dockerfile.",
        "Let Renovate or Dependabot update the version in FROM.",
        Then.REBUILD,
    ),
    "base-not-said": Advice(
        "Set the label org.opencontainers.image.base.name to the image in FROM, with LABEL in the Dockerfile.",
        "Keep that label in your Dockerfile template, or build with podman, which writes it.",
        Then.REBUILD,
    ),
    "label-missing": Advice(
        "Set the label with LABEL in the Dockerfile.",
        "Set labels in the Dockerfile, not on the command line of the pipeline.",
        Then.REBUILD,
    ),
    "layers-above-maximum": Advice(
        "Join RUN and COPY steps in the Dockerfile, or build in two stages.",
        "Join RUN steps with &&, and copy whole folders instead of single files.",
        Then.REBUILD,
    ),
}
