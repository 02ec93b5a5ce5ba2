"""Advice for findings about the config: the platform, the command, the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .row import Advice, Then

_CONFIG_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/config.md"
_DESCRIPTOR_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/descriptor.md"
_DOCKERFILE: Final = "https://docs.docker.com/reference/dockerfile/"
_BUILDER: Final = (
    "Build the image with another tool, or another version of the tool: it wrote a wrong config. "
    "buildpacks lifecycle 0.21.11 and 0.21.15 do."
)
_UPGRADE_BUILDER: Final = "Pin the build tool to a version that is known to work, and check its images in the pipeline."
_PUSH_AGAIN: Final = "Build the image anew, and push it with docker, crane or skopeo."
_PUSHER: Final = "Push with docker, crane or skopeo, which upload the config before the manifest."

CONFIGS: Final[Mapping[str, Advice]] = {
    "config-descriptor-invalid": Advice(
        "A script assembled the manifest, and wrote a wrong digest or no size for the config.",
        _PUSH_AGAIN,
        "Let a build tool write manifests; do not edit their JSON.",
        _DESCRIPTOR_SPEC,
    ),
    "config-missing": Advice(
        "The push was interrupted, or a tool copied the manifest without its config.",
        _PUSH_AGAIN,
        _PUSHER,
        "https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests",
    ),
    "config-too-large": Advice(
        "The build wrote a file into a label or an environment variable.",
        "Move large values from LABEL and ENV of the Dockerfile into files.",
        "Keep the config to names and short values.",
        _CONFIG_SPEC,
        Then.REBUILD,
    ),
    "config-digest-mismatch": Advice(
        "A script changed the config after the manifest was written, or a mirror delivers damaged bytes.",
        _PUSH_AGAIN,
        "Change an image with crane mutate, which writes the digests anew.",
        _DESCRIPTOR_SPEC,
    ),
    "config-size-mismatch": Advice(
        "A script assembled the manifest, and wrote the size of another version of the config.",
        _PUSH_AGAIN,
        "Change an image with crane mutate, which writes the sizes anew.",
        _DESCRIPTOR_SPEC,
    ),
    "config-foreign": Advice(
        "A tool or a script wrote `urls` into the config's descriptor.",
        "Push the image with docker, crane or skopeo, which write no `urls` for a config.",
        "Let a build tool write manifests; do not edit their JSON.",
        _DESCRIPTOR_SPEC,
    ),
    "config-unreadable": Advice(
        "A build tool or a script wrote a member of the config with a wrong JSON type.",
        _BUILDER,
        _UPGRADE_BUILDER,
        _CONFIG_SPEC,
    ),
    "rootfs-missing": Advice(
        "A script or an early version of a build tool wrote the config without its rootfs.",
        _BUILDER,
        _UPGRADE_BUILDER,
        _CONFIG_SPEC,
    ),
    "rootfs-type-unknown": Advice(
        "A build tool wrote another rootfs type than `layers`, the only one that the specification knows.",
        _BUILDER,
        _UPGRADE_BUILDER,
        _CONFIG_SPEC,
    ),
    "platform-doubtful": Advice(
        "AWS does not document whether the runtime supports this platform.",
        "Build for {expected}, or test the image on the runtime and acknowledge the finding.",
        "Build for linux/amd64 unless the runtime documents another platform.",
        "https://github.com/aws/apprunner-roadmap/issues/79",
        Then.REBUILD,
    ),
    "platform-mismatch": Advice(
        "The image was built on a machine of another architecture without --platform, often a Mac with an Apple "
        "processor, and CDK pushed the copy that it found on that machine.",
        "Build for {platform}: docker build --platform {platform}, or platform= of the asset; and remove --platform "
        "from the last FROM of the Dockerfile.",
        "Set the platform in the code, as SafeDockerImageAsset does, and use FROM --platform=$BUILDPLATFORM only in "
        "stages that compile for another platform.",
        "https://docs.docker.com/build/building/multi-platform/",
    ),
    "platform-unknown": Advice(
        "A tool that does not set the architecture wrote the config, such as a script around docker import.",
        "Build for {platform}: docker build --platform {platform}.",
        "Build with a tool that writes the architecture, as docker build does.",
        _CONFIG_SPEC,
        Then.REBUILD,
    ),
    "history-too-long": Advice(
        "A build tool wrote a history entry without a layer and did not mark it as empty.",
        _BUILDER,
        _UPGRADE_BUILDER,
        "https://github.com/moby/moby/blob/master/daemon/internal/image/store.go",
    ),
    "descriptor-for-another-platform": Advice(
        "A tool copied the platform of another image into the descriptors of the manifest.",
        "Build the image with another tool, or another version of the tool: descriptors in a manifest need no "
        "platform.",
        _UPGRADE_BUILDER,
        _DESCRIPTOR_SPEC,
    ),
    "no-command": Advice(
        "The Dockerfile has neither CMD nor ENTRYPOINT, and neither has its base image.",
        "Add CMD or ENTRYPOINT to the Dockerfile.",
        "Set the command in the Dockerfile, so that the image runs without a task definition.",
        f"{_DOCKERFILE}#cmd",
        Then.REBUILD,
    ),
    "env-invalid": Advice(
        "A build tool or a script passed a value without a name, such as the empty line of an env file.",
        "Give each entry of Env a name and a value, as ENV NAME=value does in a Dockerfile.",
        "Set environment variables with ENV in the Dockerfile.",
        f"{_DOCKERFILE}#env",
        Then.REBUILD,
    ),
    "argument-invalid": Advice(
        "A build tool or a script wrote a NUL character into the command, often from UTF-16 text.",
        "Remove the NUL characters from ENTRYPOINT and CMD.",
        "Save Dockerfiles and build scripts as UTF-8.",
        "https://man7.org/linux/man-pages/man2/execve.2.html",
        Then.REBUILD,
    ),
    "working-dir-relative": Advice(
        "A build tool other than docker copied a relative WORKDIR into the config; docker makes it absolute.",
        "Set an absolute path with WORKDIR in the Dockerfile.",
        "Use absolute paths with WORKDIR.",
        f"{_DOCKERFILE}#workdir",
        Then.REBUILD,
    ),
}
