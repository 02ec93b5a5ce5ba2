"""Advice for findings about the layers: their descriptors, and their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .row import Advice, Then

# https://github.com/paketo-buildpacks/builder-noble-java-tiny/issues/293 reports 0.21.15.
_BUILDER: Final = (
    "Build the image with another tool or version{push}: config and layers differ, as with buildpacks lifecycle "
    "0.21.11 and 0.21.15."
)
_TAR_WRITER: Final = "Build the image with docker build, or with another version of the tool that wrote it{push}."
_CHECK_TOOL: Final = "Check the images of new tool versions with safe-image check --layers before you deploy them."
_PUSH_AGAIN: Final = "Build the image anew{push}."
_DIGESTS: Final = "Push with docker, crane or skopeo, which compute digest and size from the bytes that they send."
_FEWER_LAYERS: Final = "Join RUN and COPY steps in the Dockerfile, or build in two stages."

LAYERS: Final[Mapping[str, Advice]] = {
    "no-layers": Advice(
        "Copy the program into the last stage of the Dockerfile.",
        "Start the image once in the pipeline, before the deploy.",
        Then.REBUILD,
    ),
    "layer-type-unsupported": Advice(
        "Build with OCI media types, which every engine knows:\n"
        "$ OUT=type=image,push=true,oci-mediatypes=true; "
        "docker buildx build . -t REPOSITORY:TAG --output=$OUT --provenance=false --sbom=false",
        "Build with SafeDockerImageAsset, whose images have OCI media types.",
    ),
    "layer-type-doubtful": Advice(
        "Build with gzip layers to be sure:\n"
        "$ OUT=type=image,push=true,compression=gzip,force-compression=true,oci-mediatypes=true; "
        "docker buildx build . -t REPOSITORY:TAG --output=$OUT",
        "Set compression='gzip' on SafeDockerImageAsset, which is its default for Lambda and SageMaker.",
    ),
    "diff-ids-count": Advice(
        _BUILDER,
        _CHECK_TOOL,
    ),
    "diff-id-wrong": Advice(
        _BUILDER,
        _CHECK_TOOL,
    ),
    "layer-descriptor-invalid": Advice(
        _PUSH_AGAIN,
        _DIGESTS,
    ),
    "layer-missing": Advice(
        _PUSH_AGAIN,
        "Push with docker, crane or skopeo, which upload all layers before the manifest.",
    ),
    "layer-size-zero": Advice(
        _PUSH_AGAIN,
        _DIGESTS,
    ),
    "layer-size-mismatch": Advice(
        _PUSH_AGAIN,
        _DIGESTS,
    ),
    "layer-foreign": Advice(
        "Use a base image whose layers are in the registry, or allow the runtime to reach the layer's address.",
        "Copy base images into your own registry with crane copy --allow-nondistributable-artifacts.",
        Then.REBUILD,
    ),
    "too-many-layers": Advice(
        _FEWER_LAYERS,
        "Join RUN steps with &&, and copy whole folders instead of single files.",
        Then.REBUILD,
    ),
    "layers-not-mountable": Advice(
        _FEWER_LAYERS,
        "Join RUN steps with &&, and copy whole folders instead of single files.",
        Then.REBUILD,
    ),
    "layer-digest-mismatch": Advice(
        _PUSH_AGAIN,
        _DIGESTS,
    ),
    "layer-truncated": Advice(
        _PUSH_AGAIN,
        "Fail the pipeline where the build fails or its disk is full.",
    ),
    "layer-corrupt": Advice(
        "Build the image anew without the build cache:\n$ docker buildx build . -t REPOSITORY:TAG --push --no-cache",
        _CHECK_TOOL,
    ),
    "layer-too-large": Advice(
        "Remove the large files from the build, or fetch them when the container starts.",
        "Exclude data with .dockerignore, and set max_size.",
        Then.REBUILD,
    ),
    "tar-invalid": Advice(
        _TAR_WRITER,
        _CHECK_TOOL,
    ),
    "path-duplicated": Advice(
        _TAR_WRITER,
        _CHECK_TOOL,
    ),
    "xattr-invalid": Advice(
        _TAR_WRITER,
        "Exclude extended attributes when you write a layer: tar --no-xattrs.",
    ),
    "hardlink-target-missing": Advice(
        _TAR_WRITER,
        "Replace hard links with copies or symbolic links: tar --hard-dereference.",
    ),
    "parent-folder-missing": Advice(
        _TAR_WRITER,
        "Let the tool write an entry for each folder, before the files in it.",
    ),
}
