"""The causes of findings about the tag, the index and the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .usual_cause import UsualCause

_CDK_NEVER_REPAIRS: Final = "https://github.com/aws/aws-cdk/issues/33264"
_MANIFEST_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/manifest.md"
_INDEX_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/image-index.md"
_DESCRIPTOR_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/descriptor.md"

MANIFESTS: Final[Mapping[str, UsualCause]] = {
    "image-missing": UsualCause(
        "The deploy ran before the push, a lifecycle rule or `cdk gc` removed the image, or the tag is misspelt.",
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html",
    ),
    "image-archived": UsualCause(
        "A lifecycle rule archived the image, because nothing had pulled it for a while.",
        "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_UpdateImageStorageClass.html",
    ),
    "manifest-missing": UsualCause(
        "A tool copied the index without its manifests, or somebody deleted the image that the index references.",
        "https://github.com/google/go-containerregistry/blob/main/cmd/crane/doc/crane_copy.md",
    ),
    "manifest-unreadable": UsualCause(
        "A script or a proxy wrote the manifest by hand, or changed it on its way to the registry.", _MANIFEST_SPEC
    ),
    "manifest-digest-mismatch": UsualCause(
        "A mirror, a proxy or a script changed the document after its digest was computed, often its white space.",
        _DESCRIPTOR_SPEC,
    ),
    "manifest-size-mismatch": UsualCause(
        "A script that assembled the index wrote a wrong size, often that of a re-formatted document.", _DESCRIPTOR_SPEC
    ),
    "index-descriptor-type": UsualCause(
        "A tool converted the manifest between Docker's and OCI's media types, and left the index as it was.",
        _INDEX_SPEC,
    ),
    "manifest-too-large": UsualCause(
        "The build tool put data into annotations, or the image has thousands of layers.",
        "https://github.com/containerd/containerd/blob/main/core/remotes/docker/resolver.go",
    ),
    "manifest-type-mismatch": UsualCause(
        "A script pushed the manifest with another Content-Type than the mediaType in the document.", _MANIFEST_SPEC
    ),
    "platform-missing": UsualCause(
        "The image was built on a machine of another architecture, such as a Mac with an Apple processor.",
        "https://docs.docker.com/build/building/multi-platform/",
    ),
    "index-incomplete": UsualCause(
        "A tool copied only some platforms of an image, and kept the index of all.",
        "https://github.com/containers/skopeo/blob/main/docs/skopeo-copy.1.md",
    ),
    "manifest-foreign": UsualCause("A tool or a script wrote `urls` into the index's descriptor.", _DESCRIPTOR_SPEC),
    "manifest-type-refused": UsualCause(
        "BuildKit and podman write OCI manifests, but the runtime accepts only Docker schema 2.",
        "https://github.com/aws/amazon-sagemaker-feedback/issues/180",
    ),
    "platform-variants": UsualCause(
        "A tool added manifests of several processor variants, such as amd64/v2 and amd64/v3, to one index.",
        "https://github.com/moby/moby/blob/master/daemon/internal/distribution/pull_v2.go",
    ),
    "index-not-taken": UsualCause(
        "docker buildx adds a provenance attestation by default, and so pushes an index instead of a single image.",
        "https://docs.docker.com/build/metadata/attestations/",
    ),
    "schema-1": UsualCause(
        "Docker before 1.10 or an old mirror pushed the image, years ago.",
        "https://docs.docker.com/engine/deprecated/#pushing-and-pulling-with-image-manifest-v2-schema-1",
    ),
    "not-an-image": UsualCause(
        "Docker before 28.2 pushes the image, its attestation and their index to the same tag; in a repository with "
        "immutable tags the attestation can win, and CDK never repairs a tag that exists.",
        _CDK_NEVER_REPAIRS,
    ),
}
