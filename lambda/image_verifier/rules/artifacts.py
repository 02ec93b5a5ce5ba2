"""The things that a tag may point at instead of an image, by the media types in the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..image import media_types

ATTESTATION: Final = "a build attestation (provenance or SBOM)"
BUILD_CACHE: Final = "a BuildKit build cache"

# By what `config.mediaType`, `artifactType` or a layer's type contains.
ARTIFACTS: Final[Mapping[str, str]] = {
    media_types.IN_TOTO: ATTESTATION,
    # BuildKit 0.32 and later: https://github.com/moby/buildkit/pull/6914
    "application/vnd.docker.attestation.manifest.v1+json": ATTESTATION,
    "application/vnd.dev.cosign.simplesigning.v1+json": "a cosign signature",
    "application/vnd.dev.cosign.artifact.sig.v1+json": "a cosign signature",
    "application/vnd.dev.sigstore.bundle.v0.3+json": "a sigstore bundle",
    "application/vnd.cncf.notary.signature": "a notation signature",
    "application/vnd.cncf.helm.config.v1+json": "a Helm chart",
    "application/vnd.cncf.helm.chart.content.v1.tar+gzip": "a Helm chart",
    "application/vnd.buildkit.cacheconfig.v0": BUILD_CACHE,
    "application/vnd.amazon.soci.index.v1+json": "a SOCI index",
    "application/vnd.amazon.soci.index.v2+json": "a SOCI index",
    "application/vnd.wasm.config.v0+json": "a WebAssembly artifact",
    "application/vnd.cncf.model.config.v1+json": "a model artifact",
    "application/spdx+json": "an SBOM",
    "application/vnd.cyclonedx+json": "an SBOM",
}
