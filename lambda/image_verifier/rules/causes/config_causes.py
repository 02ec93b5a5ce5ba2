"""The causes of findings about the config: the platform, the command, the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .usual_cause import UsualCause

_CONFIG_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/config.md"
_DESCRIPTOR_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/descriptor.md"
_DOCKERFILE: Final = "https://docs.docker.com/reference/dockerfile/"

CONFIGS: Final[Mapping[str, UsualCause]] = {
    "config-descriptor-invalid": UsualCause(
        "A script assembled the manifest, and wrote a wrong digest or no size for the config.", _DESCRIPTOR_SPEC
    ),
    "config-missing": UsualCause(
        "The push was interrupted, or a tool copied the manifest without its config.",
        "https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests",
    ),
    "config-too-large": UsualCause("The build wrote a file into a label or an environment variable.", _CONFIG_SPEC),
    "config-digest-mismatch": UsualCause(
        "A script changed the config after the manifest was written, or a mirror delivers damaged bytes.",
        _DESCRIPTOR_SPEC,
    ),
    "config-size-mismatch": UsualCause(
        "A script assembled the manifest, and wrote the size of another version of the config.", _DESCRIPTOR_SPEC
    ),
    "config-foreign": UsualCause("A tool or a script wrote `urls` into the config's descriptor.", _DESCRIPTOR_SPEC),
    "config-unreadable": UsualCause(
        "A build tool or a script wrote a member of the config with a wrong JSON type.", _CONFIG_SPEC
    ),
    "rootfs-missing": UsualCause(
        "A script or an early version of a build tool wrote the config without its rootfs.", _CONFIG_SPEC
    ),
    "rootfs-type-unknown": UsualCause(
        "A build tool wrote another rootfs type than `layers`, the only one that the specification knows.", _CONFIG_SPEC
    ),
    "platform-doubtful": UsualCause(
        "AWS does not document whether the runtime supports this platform.",
        "https://github.com/aws/apprunner-roadmap/issues/79",
    ),
    "platform-mismatch": UsualCause(
        "The image was built on a machine of another architecture without --platform, often a Mac with an Apple "
        "processor, and CDK pushed the copy that it found on that machine.",
        "https://docs.docker.com/build/building/multi-platform/",
    ),
    "platform-unknown": UsualCause(
        "A tool that does not set the architecture wrote the config, such as a script around docker import.",
        _CONFIG_SPEC,
    ),
    "history-too-long": UsualCause(
        "A build tool wrote a history entry without a layer and did not mark it as empty.",
        "https://github.com/moby/moby/blob/master/daemon/internal/image/store.go",
    ),
    "descriptor-for-another-platform": UsualCause(
        "A tool copied the platform of another image into the descriptors of the manifest.", _DESCRIPTOR_SPEC
    ),
    "no-command": UsualCause(
        "The Dockerfile has neither CMD nor ENTRYPOINT, and neither has its base image.", f"{_DOCKERFILE}#cmd"
    ),
    "env-invalid": UsualCause(
        "A build tool or a script passed a value without a name, such as the empty line of an env file.",
        f"{_DOCKERFILE}#env",
    ),
    "argument-invalid": UsualCause(
        "A build tool or a script wrote a NUL character into the command, often from UTF-16 text.",
        "https://man7.org/linux/man-pages/man2/execve.2.html",
    ),
    "working-dir-relative": UsualCause(
        "A build tool other than docker copied a relative WORKDIR into the config; docker makes it absolute.",
        f"{_DOCKERFILE}#workdir",
    ),
}
