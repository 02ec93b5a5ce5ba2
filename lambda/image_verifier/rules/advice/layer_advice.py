"""Advice for findings about the layers: their descriptors, and their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .row import Advice, Then

_DOCKERFILE: Final = "https://docs.docker.com/reference/dockerfile/"
_LAYER_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/layer.md"
_CONFIG_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/config.md"
_DESCRIPTOR_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/descriptor.md"
_LIFECYCLE: Final = "https://github.com/buildpacks/lifecycle/issues/1662"
_BUILDER: Final = (
    "Build the image with another tool, or another version of the tool: it wrote a wrong config. "
    "buildpacks lifecycle 0.21.11 and 0.21.15 do."
)
_TAR_WRITER: Final = "Build the layer with docker build, or with another version of the tool that wrote it."
_CHECK_TOOL: Final = "Check the images of new tool versions with safe-image check --layers before you deploy them."
_PUSH_AGAIN: Final = "Build the image anew, and push it with docker, crane or skopeo."
_DIGESTS: Final = "Push with docker, crane or skopeo, which compute digest and size from the bytes that they send."
_FEWER_LAYERS: Final = "Join RUN and COPY steps in the Dockerfile, or build in two stages."

LAYERS: Final[Mapping[str, Advice]] = {
    "no-layers": Advice(
        "The Dockerfile is FROM scratch and copies nothing, or an artifact tool pushed an empty image.",
        "Copy the program into the last stage of the Dockerfile.",
        "Start the image once in the pipeline, before the deploy.",
        "https://docs.docker.com/build/building/base-images/",
        Then.REBUILD,
    ),
    "layer-type-unsupported": Advice(
        "Docker's containerd image store keeps the zstd layers of the base image and labels them with Docker's zstd "
        "type, which containerd before 2.0 does not know.",
        "Build with OCI media types, which every engine knows: docker buildx build --output=type=image,push=true,"
        "oci-mediatypes=true --provenance=false --sbom=false",
        "Build with SafeDockerImageAsset, whose images have OCI media types.",
        "https://github.com/containerd/containerd/pull/9859",
    ),
    "layer-type-doubtful": Advice(
        "The base image or the build uses zstd, and no source says whether the runtime unpacks it.",
        "Build with gzip layers to be sure: docker buildx build --output=type=image,push=true,compression=gzip,"
        "force-compression=true,oci-mediatypes=true",
        "Set compression='gzip' on SafeDockerImageAsset, which is its default for Lambda and SageMaker.",
        "https://docs.docker.com/build/exporters/#compression",
    ),
    "diff-ids-count": Advice(
        "A build tool added a layer to the manifest or to the config, and not to the other.",
        _BUILDER,
        _CHECK_TOOL,
        "https://github.com/containerd/containerd/blob/main/core/unpack/unpacker.go",
    ),
    "diff-id-wrong": Advice(
        "A build tool wrote the digest of the compressed bytes, or that of another layer, as the diff_id.",
        _BUILDER,
        _CHECK_TOOL,
        _LIFECYCLE,
    ),
    "layer-descriptor-invalid": Advice(
        "A script assembled the manifest, and wrote a wrong digest for a layer.",
        _PUSH_AGAIN,
        _DIGESTS,
        _DESCRIPTOR_SPEC,
    ),
    "layer-missing": Advice(
        "The push was interrupted, or a tool copied the manifest before all of its layers.",
        _PUSH_AGAIN,
        "Push with docker, crane or skopeo, which upload all layers before the manifest.",
        "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchCheckLayerAvailability.html",
    ),
    "layer-size-zero": Advice(
        "A script assembled the manifest, and left the size of a layer out.",
        _PUSH_AGAIN,
        _DIGESTS,
        _DESCRIPTOR_SPEC,
    ),
    "layer-size-mismatch": Advice(
        "A script assembled the manifest, and wrote the size of another version of the layer.",
        _PUSH_AGAIN,
        _DIGESTS,
        _DESCRIPTOR_SPEC,
    ),
    "layer-foreign": Advice(
        "The base image is a Windows image, or an old tool left a layer at its vendor's address.",
        "Use a base image whose layers are in the registry, or allow the runtime to reach the layer's address.",
        "Copy base images into your own registry with crane copy --allow-nondistributable-artifacts.",
        _LAYER_SPEC,
        Then.REBUILD,
    ),
    "too-many-layers": Advice(
        "The Dockerfile, together with its base images, has more than 125 steps that make a layer.",
        _FEWER_LAYERS,
        "Join RUN steps with &&, and copy whole folders instead of single files.",
        "https://github.com/moby/moby/blob/master/daemon/internal/layer/layer_store.go",
        Then.REBUILD,
    ),
    "layers-not-mountable": Advice(
        "The image has more layers than overlayfs can mount with one page of options.",
        _FEWER_LAYERS,
        "Join RUN steps with &&, and copy whole folders instead of single files.",
        "https://www.kernel.org/doc/html/latest/filesystems/overlayfs.html",
        Then.REBUILD,
    ),
    "layer-digest-mismatch": Advice(
        "A mirror or a proxy delivers damaged bytes, or a script changed a layer after the push.",
        _PUSH_AGAIN,
        _DIGESTS,
        _DESCRIPTOR_SPEC,
    ),
    "layer-truncated": Advice(
        "The build tool or its disk ended in the middle of a layer, and the rest was pushed as it was.",
        _PUSH_AGAIN,
        "Fail the pipeline where the build fails or its disk is full.",
        _LAYER_SPEC,
    ),
    "layer-corrupt": Advice(
        "A build tool wrote data after the compressed stream, or a disk or a cache damaged the layer.",
        "Build the image anew without the build cache: docker build --no-cache.",
        _CHECK_TOOL,
        _LAYER_SPEC,
    ),
    "layer-too-large": Advice(
        "The build copied a data set, a sparse file or a whole disk into the image.",
        "Remove the large files from the build, or fetch them when the container starts.",
        "Exclude data with .dockerignore, and set max_size.",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html",
        Then.REBUILD,
    ),
    "tar-invalid": Advice(
        "A tool other than docker wrote the layer: wrong headers, or entries that the engine cannot create.",
        _TAR_WRITER,
        _CHECK_TOOL,
        _LAYER_SPEC,
    ),
    "path-duplicated": Advice(
        "A tool such as Bazel or nix added the same path twice to one layer.",
        _TAR_WRITER,
        _CHECK_TOOL,
        "https://github.com/moby/go-archive/blob/main/diff.go",
    ),
    "xattr-invalid": Advice(
        "A tool copied extended attributes of the build machine, such as those of SELinux or macOS, into the layer.",
        _TAR_WRITER,
        "Exclude extended attributes when you write a layer: tar --no-xattrs.",
        "https://man7.org/linux/man-pages/man7/xattr.7.html",
    ),
    "hardlink-target-missing": Advice(
        "A tool split an archive into layers, and left a hard link without the file that it links to.",
        _TAR_WRITER,
        "Replace hard links with copies or symbolic links: tar --hard-dereference.",
        _LAYER_SPEC,
    ),
    "parent-folder-missing": Advice(
        "A tool such as Bazel or nix2container wrote files without entries for their folders.",
        _TAR_WRITER,
        "Let the tool write an entry for each folder, before the files in it.",
        "https://github.com/nlewo/nix2container/issues/54",
    ),
}
