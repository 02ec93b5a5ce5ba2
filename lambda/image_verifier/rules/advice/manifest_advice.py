"""Advice for findings about the tag, the index and the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .row import Advice, Then

_OTHER_PUSHER: Final = "Push with docker, crane or skopeo, which compute digest and size from the bytes that they send."
_PUSH_AGAIN: Final = "Build the image anew{push}."

MANIFESTS: Final[Mapping[str, Advice]] = {
    "image-missing": Advice(
        "Push the image, or reference a tag that the repository has:",
        "Push before each deploy, and exclude deployed tags from the repository's lifecycle rules.",
        Then.DEPLOY,
    ),
    "image-archived": Advice(
        "Restore the image:",
        "Exclude deployed tags from the lifecycle rules that archive images.",
        Then.DEPLOY,
    ),
    "manifest-missing": Advice(
        "Copy or push all manifests of the index again, for example with crane copy or docker buildx imagetools.",
        "Copy whole indexes with crane copy or skopeo copy --all, and delete an index before its manifests.",
    ),
    "manifest-unreadable": Advice(
        _PUSH_AGAIN,
        "Let a build tool write manifests; do not edit their JSON.",
    ),
    "manifest-digest-mismatch": Advice(
        _PUSH_AGAIN,
        _OTHER_PUSHER,
    ),
    "manifest-size-mismatch": Advice(
        _PUSH_AGAIN,
        "Assemble indexes with docker buildx imagetools create or crane index append.",
    ),
    "index-descriptor-type": Advice(
        _PUSH_AGAIN,
        "Convert the whole image with skopeo copy --all --format, not single documents.",
    ),
    "manifest-too-large": Advice(
        "Remove large annotations and labels from the build, or build fewer layers.",
        "Keep data in layers, and annotations to a few hundred bytes.",
        Then.REBUILD,
    ),
    "manifest-type-mismatch": Advice(
        _PUSH_AGAIN,
        "Push with docker, crane or skopeo, which send the document's own media type.",
    ),
    "platform-missing": Advice(
        "Build for {platform}:\n$ docker buildx build . -t REPOSITORY:TAG --push --platform {platform}",
        "Set the platform in the code: SafeDockerImageAsset always does.",
    ),
    "index-incomplete": Advice(
        "Copy the whole index again, with crane copy or skopeo copy --all.",
        "Copy whole indexes, or push an index of the platforms that you need.",
    ),
    "manifest-foreign": Advice(
        "Push the index with docker, crane or skopeo, which write no `urls` for a manifest.",
        "Let a build tool write indexes; do not edit their JSON.",
    ),
    "manifest-type-refused": Advice(
        "Build a Docker schema 2 manifest with gzip layers:\n"
        "$ OUT=type=image,push=true,oci-mediatypes=false; OUT=$OUT,compression=gzip,force-compression=true; "
        "docker buildx build . -t REPOSITORY:TAG --output=$OUT --provenance=false --sbom=false",
        "Build with runs_on='sagemaker' of SafeDockerImageAsset, which then writes schema 2.",
    ),
    "platform-variants": Advice(
        "Push an index that holds one manifest for {platform}, or reference the digest of the manifest that you want.",
        "Build one manifest for each platform, without variants of amd64.",
    ),
    "index-not-taken": Advice(
        "Build one platform without attestation (in docker/build-push-action: provenance: false, sbom: false):\n"
        "$ docker buildx build . -t REPOSITORY:TAG --push --platform {platform} --provenance=false --sbom=false",
        "Build images for this runtime with SafeDockerImageAsset, or keep these options in the pipeline.",
    ),
    "schema-1": Advice(
        "Build the image anew{push}. A current Docker writes schema 2 or OCI manifests.",
        "Rebuild images regularly, and remove old ones with a lifecycle rule.",
    ),
    "not-an-image": Advice(
        "Build without attestation (in docker/build-push-action: provenance: false, sbom: false):\n"
        "$ docker buildx build . -t REPOSITORY:TAG --push --provenance=false --sbom=false",
        "Build with SafeDockerImageAsset, whose builds have no attestation, and upgrade to Docker 28.2 or later.",
    ),
}
