"""How each finding is fixed: advice and commands, filled in with the image's own names.

The steps are data by the finding's id. A line that begins with `$ ` is a command to run as it stands.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ..report import Finding


@dataclass(frozen=True)
class Names:
    """The names that fill in the commands; a command whose names are empty is left out.

    :param reference: the image as the user wrote it.
    :param region: the region of the ECR repository.
    :param registry_id: the account that owns the ECR repository.
    :param repository: the name of the ECR repository.
    :param tag: the image's tag.
    :param digest: the image's digest, where it has no tag.
    :param local_image: the name under which CDK keeps the built image on the machine that built it.
    :param platform: the platform that the image must be for.
    :param untagged: whether the tag has been removed already.
    """

    reference: str = ""
    region: str = ""
    registry_id: str = ""
    repository: str = ""
    tag: str = ""
    digest: str = ""
    local_image: str = ""
    platform: str = "linux/amd64"
    untagged: bool = False

    @property
    def image_id(self) -> str:
        """The image as the AWS CLI names it."""
        return f"imageTag={self.tag}" if self.tag else f"imageDigest={self.digest}"


Step = Callable[[Names], Iterable[str]]


def _ecr(names: Names, command: str, *arguments: str) -> Iterable[str]:
    if names.repository:
        words = ("--region", names.region, "--registry-id", names.registry_id, "--repository-name", names.repository)
        yield f"$ aws ecr {command} {shlex.join((*words, *arguments))}"


def _delete_from_ecr(names: Names) -> Iterable[str]:
    # CDK treats a tag that exists as published and never repairs it:
    # https://github.com/aws/aws-cdk/issues/33264
    return () if names.untagged else _ecr(names, "batch-delete-image", "--image-ids", names.image_id)


def _delete_local(names: Names) -> Iterable[str]:
    # CDK pushes an image of this name again without building it.
    if names.local_image:
        yield f"$ docker image rm {shlex.quote(names.local_image)}"


def _rebuild(names: Names) -> Iterable[str]:
    if names.local_image:
        yield "Then deploy again: CDK builds and pushes the image anew."
    else:
        yield "Then build and push the image again."


def _restore(names: Names) -> Iterable[str]:
    return _ecr(names, "update-image-storage-class", "--image-id", names.image_id, "--target-storage-class", "STANDARD")


def _list_images(names: Names) -> Iterable[str]:
    return _ecr(names, "list-images", "--filter", "tagStatus=TAGGED")


def _say(text: str) -> Step:
    return lambda names: (text.format(platform=names.platform),)


_OUTPUT: Final = "--output=type=docker,attestation-inline=false,oci-mediatypes=true"
_NO_ATTESTATION: Final = _say(
    "Build without an attestation: AWS CDK CLI 2.179.0 or later with Docker 28.2.0 or later (or 25.0.16), or "
    f"docker build {_OUTPUT}"
)
_OCI_LAYERS: Final = _say(f"Build with OCI layer types, which every runtime knows: docker build {_OUTPUT}")
_SCHEMA_2: Final = _say(
    "Build a Docker schema 2 manifest with gzip layers: docker build --output=type=docker,oci-mediatypes=false,"
    "compression=gzip,force-compression=true,attestation-inline=false"
)
_ONE_PLATFORM: Final = _say(
    "Build one platform and no attestation: docker build --platform {platform} --provenance=false --sbom=false"
)
_PLATFORM: Final = _say("Build for the platform: docker build --platform {platform}, or platform= of the asset.")
_ANOTHER_BUILDER: Final = _say(
    "The tool that built the image wrote a wrong config; buildpacks lifecycle 0.21.11 and 0.21.15 do. "
    "Take another version of it."
)

_ANOTHER_TOOL: Final = _say(
    "The tool that made the layer wrote it wrongly: build with docker build, or take another version."
)

_AGAIN: Final[tuple[Step, ...]] = (_delete_from_ecr, _delete_local, _rebuild)

_REMEDIES: Final[dict[str, tuple[Step, ...]]] = {
    "image-missing": (
        _say("Push the image first, or name a tag that the repository has:"),
        _list_images,
    ),
    "image-archived": (_restore,),
    "not-an-image": (_NO_ATTESTATION, *_AGAIN),
    "no-layers": (_say("Build an image that has files in it."), *_AGAIN),
    "index-not-taken": (_ONE_PLATFORM, *_AGAIN),
    "manifest-type-refused": (_SCHEMA_2, *_AGAIN),
    "rootfs-type-unknown": (_ANOTHER_BUILDER, *_AGAIN),
    "platform-doubtful": (_PLATFORM,),
    "platform-missing": (_PLATFORM, *_AGAIN),
    "platform-mismatch": (_PLATFORM, *_AGAIN),
    "platform-unknown": (_PLATFORM,),
    "layer-type-unsupported": (_OCI_LAYERS, *_AGAIN),
    "layer-type-doubtful": (
        _say(
            "Build with gzip layers to be sure: docker build --output=type=docker,compression=gzip,"
            "force-compression=true,attestation-inline=false,oci-mediatypes=true"
        ),
    ),
    "layer-foreign": (_say("Build on a base image whose layers the registry holds."),),
    "diff-ids-count": (_ANOTHER_BUILDER, *_AGAIN),
    "diff-id-wrong": (_ANOTHER_BUILDER, *_AGAIN),
    "no-command": (_say("Give the image a CMD or an ENTRYPOINT in its Dockerfile."), *_AGAIN),
    "env-invalid": (
        _say("Give every entry of Env a name and a value, as ENV NAME=value does in a Dockerfile."),
        *_AGAIN,
    ),
    "argument-invalid": (_say("Write the command's words without NUL characters."), *_AGAIN),
    "working-dir-relative": (_say("Write an absolute path after WORKDIR in the Dockerfile."), *_AGAIN),
    "too-many-layers": (_say("Join RUN and COPY steps in the Dockerfile, or build in two stages."), *_AGAIN),
    "platform-variants": (
        _say("Push an index that holds one manifest for {platform}, or name the digest of the one that is meant."),
    ),
    "history-too-long": (_ANOTHER_BUILDER, *_AGAIN),
    "tar-invalid": (_ANOTHER_TOOL, *_AGAIN),
    "path-duplicated": (_ANOTHER_TOOL, *_AGAIN),
    "xattr-invalid": (_ANOTHER_TOOL, *_AGAIN),
    "hardlink-target-missing": (_ANOTHER_TOOL, *_AGAIN),
    "parent-folder-missing": (_ANOTHER_TOOL, *_AGAIN),
    "entrypoint-missing": (
        _say(
            "Write after ENTRYPOINT or CMD what the image has, or copy it there: the last stage of a Dockerfile has "
            "of the others only what COPY --from brings."
        ),
        *_AGAIN,
    ),
    "entrypoint-not-executable": (
        _say("Let the image's user execute it: COPY --chmod=755 in the Dockerfile, or chmod +x before the build."),
        *_AGAIN,
    ),
    "entrypoint-unreadable": (_say("Let the image's user read it: COPY --chmod=755 in the Dockerfile."), *_AGAIN),
    "entrypoint-format-invalid": (
        _say("Begin the script with a line such as #!/bin/sh, and with nothing before it, no byte order mark either."),
        *_AGAIN,
    ),
    "entrypoint-wrong-machine": (
        _say(
            "Build for the platform: docker build --platform {platform}; and where the Dockerfile copies or fetches "
            "a program, take the one for that platform."
        ),
        *_AGAIN,
    ),
    "interpreter-missing": (
        _say(
            "Put it into the image, or name another that is there. Of a script, look for Windows line ends (\\r); of a "
            "program, whether it was built for another C library, as one of Debian's is on Alpine."
        ),
        *_AGAIN,
    ),
    "user-missing": (
        _say(
            "Make it before USER in the Dockerfile (RUN useradd …), or write a number, which needs no entry: USER 1000."
        ),
        *_AGAIN,
    ),
    "working-dir-invalid": (_say("Name a folder after WORKDIR in the Dockerfile, or nothing yet."), *_AGAIN),
    "mount-point-invalid": (
        _say("Keep what lies there elsewhere, or leave the path out of VOLUME in the Dockerfile."),
        *_AGAIN,
    ),
    "layers-not-mountable": (_say("Join RUN and COPY steps in the Dockerfile, or build in two stages."), *_AGAIN),
    "image-too-small": (
        _say(
            "Look at what the build copies: a .dockerignore or a missing stage often explains it. "
            "If the image is right, lower min_size."
        ),
        *_AGAIN,
    ),
    "image-too-large": (
        _say("Look at what the build copies, or raise max_size if the image is right."),
        *_AGAIN,
    ),
    "image-grew": (_say("Look at what the build copies beside the image before it, or let it grow more."), *_AGAIN),
    "image-too-large-for-runtime": (_say("Make the image smaller."), *_AGAIN),
    "image-needs-storage": (_say("Give the task definition a larger ephemeral storage (ephemeral_storage_gib)."),),
    "user-is-root": (
        _say("Name a user after USER in the Dockerfile, best by its number: USER 1000, and give it its files."),
        *_AGAIN,
    ),
    "base-is-latest": (_say("Write the base's version after FROM in the Dockerfile, or its digest."), *_AGAIN),
    "base-not-said": (
        # https://github.com/moby/buildkit/issues/6202; buildah and podman do write it.
        _say(
            "Say it in the Dockerfile, since docker build does not: ARG BASE=python:3.13-slim, FROM $BASE, ARG BASE, "
            "LABEL org.opencontainers.image.base.name=$BASE"
        ),
        *_AGAIN,
    ),
    "label-missing": (_say("Write it after LABEL in the Dockerfile."), *_AGAIN),
    "layers-above-maximum": (_say("Join RUN and COPY steps in the Dockerfile, or build in two stages."), *_AGAIN),
    "schema-1": (_say("Build or push the image again with a tool of this decade; Docker since 1.10 writes schema 2."),),
}


def remedy(finding: Finding, names: Names) -> tuple[str, ...]:
    """How to fix a finding: one line for each step, commands filled in.

    :param finding: the finding. Where nothing more is known, the image is to be pushed again.
    :param names: the image's own names.
    """
    steps = _REMEDIES.get(finding.id, _AGAIN)
    return tuple(line for step in steps for line in step(names))
