"""The causes of findings about the layers: their descriptors, and their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .usual_cause import UsualCause

_LAYER_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/layer.md"
_DESCRIPTOR_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/descriptor.md"
_LIFECYCLE: Final = "https://github.com/buildpacks/lifecycle/issues/1662"

LAYERS: Final[Mapping[str, UsualCause]] = {
    "no-layers": UsualCause(
        "The Dockerfile is FROM scratch and copies nothing, or an artifact tool pushed an empty image.",
        "https://docs.docker.com/build/building/base-images/",
    ),
    "layer-type-unsupported": UsualCause(
        "Docker's containerd image store keeps the zstd layers of the base image and labels them with Docker's zstd "
        "type, which containerd before 2.0 does not know.",
        "https://github.com/containerd/containerd/pull/9859",
    ),
    "layer-type-doubtful": UsualCause(
        "The base image or the build uses zstd, and no source says whether the runtime unpacks it.",
        "https://docs.docker.com/build/exporters/#compression",
    ),
    "diff-ids-count": UsualCause(
        "A build tool added a layer to the manifest or to the config, and not to the other.",
        "https://github.com/containerd/containerd/blob/main/core/unpack/unpacker.go",
    ),
    "diff-id-wrong": UsualCause(
        "A build tool wrote the digest of the compressed bytes as the diff_id, or another layer's digest into the "
        "manifest.",
        _LIFECYCLE,
    ),
    "layer-descriptor-invalid": UsualCause(
        "A script assembled the manifest, and wrote a wrong digest for a layer.", _DESCRIPTOR_SPEC
    ),
    "layer-missing": UsualCause(
        "The push was interrupted, or a tool copied the manifest before all of its layers.",
        "https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests",
    ),
    "layer-size-zero": UsualCause(
        "A script assembled the manifest, and left the size of a layer out.", _DESCRIPTOR_SPEC
    ),
    "layer-size-mismatch": UsualCause(
        "A script assembled the manifest, and wrote the size of another version of the layer.", _DESCRIPTOR_SPEC
    ),
    "layer-foreign": UsualCause(
        "The base image is a Windows image, or an old tool left a layer at its vendor's address.", _LAYER_SPEC
    ),
    "too-many-layers": UsualCause(
        "The Dockerfile, together with its base images, has more than 125 steps that make a layer.",
        "https://github.com/moby/moby/blob/master/daemon/internal/layer/layer_store.go",
    ),
    "layers-not-mountable": UsualCause(
        "The image has more layers than overlayfs can mount with one page of options.",
        "https://github.com/moby/buildkit/pull/4815",
    ),
    "layer-digest-mismatch": UsualCause(
        "A mirror or a proxy delivers damaged bytes, or a script changed a layer after the push.", _DESCRIPTOR_SPEC
    ),
    "layer-truncated": UsualCause(
        "The build tool or its disk ended in the middle of a layer, and the rest was pushed as it was.", _LAYER_SPEC
    ),
    "layer-corrupt": UsualCause(
        "A build tool wrote data after the compressed stream, or a disk or a cache damaged the layer.", _LAYER_SPEC
    ),
    "layer-too-large": UsualCause(
        "The build copied a data set, a sparse file or a whole disk into the image.",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html",
    ),
    "tar-invalid": UsualCause(
        "A tool other than docker wrote the layer: wrong headers, or entries that the engine cannot create.",
        _LAYER_SPEC,
    ),
    "path-duplicated": UsualCause(
        "A tool such as Bazel or nix added the same path twice to one layer.",
        "https://github.com/moby/go-archive/blob/main/diff.go",
    ),
    "xattr-invalid": UsualCause(
        "A tool copied extended attributes of the build machine, such as those of SELinux or macOS, into the layer.",
        "https://man7.org/linux/man-pages/man7/xattr.7.html",
    ),
    "hardlink-target-missing": UsualCause(
        "A tool split an archive into layers, and left a hard link without the file that it links to.", _LAYER_SPEC
    ),
    "parent-folder-missing": UsualCause(
        "A tool such as Bazel or nix2container wrote no entries for the folders of its files, or wrote them last.",
        "https://github.com/nlewo/nix2container/issues/54",
    ),
}
