"""Advice for findings about the tag, the index and the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .row import Advice, Then

_CDK_NEVER_REPAIRS: Final = "https://github.com/aws/aws-cdk/issues/33264"
_PUT_IMAGE: Final = "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html"
_MANIFEST_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/manifest.md"
_INDEX_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/image-index.md"
_DESCRIPTOR_SPEC: Final = "https://github.com/opencontainers/image-spec/blob/main/descriptor.md"
_OTHER_PUSHER: Final = "Push with docker, crane or skopeo, which compute digest and size from the bytes that they send."
_PUSH_AGAIN: Final = "Build the image anew, and push it with docker, crane or skopeo."

MANIFESTS: Final[Mapping[str, Advice]] = {
    "image-missing": Advice(
        "The deploy ran before the push, a lifecycle rule or `cdk gc` removed the image, or the tag is misspelt.",
        "Push the image, or reference a tag that the repository has:",
        "Push before each deploy, and exclude deployed tags from the repository's lifecycle rules.",
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html",
        Then.DEPLOY,
    ),
    "image-archived": Advice(
        "A lifecycle rule archived the image, because nothing had pulled it for a while.",
        "Restore the image:",
        "Exclude deployed tags from the lifecycle rules that archive images.",
        "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_UpdateImageStorageClass.html",
        Then.DEPLOY,
    ),
    "manifest-missing": Advice(
        "A tool copied the index without its manifests, or somebody deleted the image that the index references.",
        "Copy or push all manifests of the index again, for example with crane copy or docker buildx imagetools.",
        "Copy whole indexes with crane copy or skopeo copy --all, and delete an index before its manifests.",
        "https://github.com/google/go-containerregistry/blob/main/cmd/crane/doc/crane_copy.md",
    ),
    "manifest-unreadable": Advice(
        "A script or a proxy wrote the manifest by hand, or changed it on its way to the registry.",
        _PUSH_AGAIN,
        "Let a build tool write manifests; do not edit their JSON.",
        _MANIFEST_SPEC,
    ),
    "manifest-digest-mismatch": Advice(
        "A mirror, a proxy or a script changed the document after its digest was computed, often its white space.",
        _PUSH_AGAIN,
        _OTHER_PUSHER,
        _DESCRIPTOR_SPEC,
    ),
    "manifest-size-mismatch": Advice(
        "A script that assembled the index wrote a wrong size, often that of a re-formatted document.",
        _PUSH_AGAIN,
        "Assemble indexes with docker buildx imagetools create or crane index append.",
        _DESCRIPTOR_SPEC,
    ),
    "index-descriptor-type": Advice(
        "A tool converted the manifest between Docker's and OCI's media types, and left the index as it was.",
        _PUSH_AGAIN,
        "Convert the whole image with skopeo copy --all --format, not single documents.",
        _INDEX_SPEC,
    ),
    "manifest-too-large": Advice(
        "The build tool put data into annotations, or the image has thousands of layers.",
        "Remove large annotations and labels from the build, or build fewer layers.",
        "Keep data in layers, and annotations to a few hundred bytes.",
        "https://github.com/containerd/containerd/blob/main/core/remotes/docker/resolver.go",
        Then.REBUILD,
    ),
    "manifest-type-mismatch": Advice(
        "A script pushed the manifest with another Content-Type than the mediaType in the document.",
        _PUSH_AGAIN,
        "Push with docker, crane or skopeo, which send the document's own media type.",
        _MANIFEST_SPEC,
    ),
    "platform-missing": Advice(
        "The image was built on a machine of another architecture, such as a Mac with an Apple processor.",
        "Build it for {platform}: docker build --platform {platform}, or platform= of the asset.",
        "Set the platform in the code: SafeDockerImageAsset always does.",
        "https://docs.docker.com/build/building/multi-platform/",
    ),
    "index-incomplete": Advice(
        "A tool copied only some platforms of an image, and kept the index of all.",
        "Copy the whole index again, with crane copy or skopeo copy --all.",
        "Copy whole indexes, or push an index of the platforms that you need.",
        "https://github.com/containers/skopeo/blob/main/docs/skopeo-copy.1.md",
    ),
    "manifest-type-refused": Advice(
        "BuildKit and podman write OCI manifests, but the runtime accepts only Docker schema 2.",
        "Build a Docker schema 2 manifest with gzip layers: docker buildx build --output=type=image,push=true,"
        "oci-mediatypes=false,compression=gzip,force-compression=true --provenance=false --sbom=false",
        "Set runs_on='sagemaker' on SafeDockerImageAsset, which then builds schema 2.",
        "https://github.com/aws/amazon-sagemaker-feedback/issues/180",
    ),
    "platform-variants": Advice(
        "A tool added manifests of several processor variants, such as amd64/v2 and amd64/v3, to one index.",
        "Push an index that holds one manifest for {platform}, or reference the digest of the manifest that you want.",
        "Build one manifest for each platform, without variants of amd64.",
        "https://github.com/moby/moby/blob/master/daemon/internal/distribution/pull_v2.go",
    ),
    "index-not-taken": Advice(
        "docker buildx adds a provenance attestation by default, and so pushes an index instead of a single image.",
        "Build one platform and no attestation: docker buildx build --platform {platform} --provenance=false "
        "--sbom=false (in docker/build-push-action, provenance: false and sbom: false).",
        "Build images for this runtime with SafeDockerImageAsset, or keep these options in the pipeline.",
        "https://docs.docker.com/build/metadata/attestations/",
    ),
    "schema-1": Advice(
        "Docker before 1.10 or an old mirror pushed the image, years ago.",
        "Build the image again with a current Docker, which writes schema 2 or OCI manifests.",
        "Rebuild images regularly, and remove old ones with a lifecycle rule.",
        "https://docs.docker.com/engine/deprecated/#pushing-and-pulling-with-image-manifest-v2-schema-1",
    ),
    "not-an-image": Advice(
        "Docker before 28.2 pushes the image, its attestation and their index to the same tag; in a repository with "
        "immutable tags the attestation can win, and CDK never repairs a tag that exists.",
        "Build without attestation: docker buildx build --provenance=false --sbom=false (in docker/build-push-action,"
        " provenance: false and sbom: false).",
        "Build with SafeDockerImageAsset, whose builds have no attestation, and upgrade to Docker 28.2 or later.",
        _CDK_NEVER_REPAIRS,
    ),
}
