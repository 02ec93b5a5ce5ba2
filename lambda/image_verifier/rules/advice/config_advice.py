"""Advice for findings about the config: the platform, the command, the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .row import Advice, Then

_BUILDER: Final = "Build the image with another tool or version{push}."
_UPGRADE_BUILDER: Final = "Pin the build tool to a version that is known to work, and check its images in the pipeline."
_PUSH_AGAIN: Final = "Build the image anew{push}."
_PUSHER: Final = "Push with docker, crane or skopeo, which upload the config before the manifest."

CONFIGS: Final[Mapping[str, Advice]] = {
    "config-descriptor-invalid": Advice(
        _PUSH_AGAIN,
        "Let a build tool write manifests; do not edit their JSON.",
    ),
    "config-missing": Advice(
        _PUSH_AGAIN,
        _PUSHER,
    ),
    "config-too-large": Advice(
        "Move large values from LABEL and ENV of the Dockerfile into files.",
        "Keep the config to names and short values.",
        Then.REBUILD,
    ),
    "config-digest-mismatch": Advice(
        _PUSH_AGAIN,
        "Change an image with crane mutate, which writes the digests anew.",
    ),
    "config-size-mismatch": Advice(
        _PUSH_AGAIN,
        "Change an image with crane mutate, which writes the sizes anew.",
    ),
    "config-foreign": Advice(
        "Push the image with docker, crane or skopeo, which write no `urls` for a config.",
        "Let a build tool write manifests; do not edit their JSON.",
    ),
    "config-unreadable": Advice(
        _BUILDER,
        _UPGRADE_BUILDER,
    ),
    "rootfs-missing": Advice(
        _BUILDER,
        _UPGRADE_BUILDER,
    ),
    "rootfs-type-unknown": Advice(
        _BUILDER,
        _UPGRADE_BUILDER,
    ),
    "platform-doubtful": Advice(
        "Change the platform to {expected}, or test the image on the runtime and acknowledge the finding.",
        "Build for linux/amd64 unless the runtime documents another platform.",
        Then.REBUILD,
    ),
    "platform-mismatch": Advice(
        "Remove --platform from the last FROM of the Dockerfile, and build for {platform}:\n"
        "$ docker buildx build . -t REPOSITORY:TAG --push --platform {platform}",
        "Set the platform in the code, as SafeDockerImageAsset does, and use FROM --platform=$BUILDPLATFORM only in "
        "stages that compile for another platform.",
    ),
    "platform-unknown": Advice(
        "Build for {platform}:\n$ docker buildx build . -t REPOSITORY:TAG --push --platform {platform}",
        "Build with a tool that writes the architecture, as docker build does.",
        Then.REBUILD,
    ),
    "history-too-long": Advice(
        _BUILDER,
        _UPGRADE_BUILDER,
    ),
    "descriptor-for-another-platform": Advice(
        "Build the image with another tool or version{push}: descriptors in a manifest need no platform.",
        _UPGRADE_BUILDER,
    ),
    "no-command": Advice(
        "Add CMD or ENTRYPOINT to the Dockerfile.",
        "Set the command in the Dockerfile, so that the image runs without a task definition.",
        Then.REBUILD,
    ),
    "env-invalid": Advice(
        "Give each entry of Env a name and a value, as ENV NAME=value does in a Dockerfile.",
        "Set environment variables with ENV in the Dockerfile.",
        Then.REBUILD,
    ),
    "argument-invalid": Advice(
        "Remove the NUL characters from ENTRYPOINT and CMD.",
        "Save Dockerfiles and build scripts as UTF-8.",
        Then.REBUILD,
    ),
    "working-dir-relative": Advice(
        "Set an absolute path with WORKDIR in the Dockerfile.",
        "Use absolute paths with WORKDIR.",
        Then.REBUILD,
    ),
}
