"""What lies under the tag, when it is not an image: an attestation, a signature, a chart, a cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..image import media_types
from ..image.model import Document, Image
from ..policy import Policy
from ..report import Finding, Severity
from ..rules.engine_messages import engine_message
from ..rules.engines import Engine
from ..rules.runtimes import Runtime

ATTESTATION: Final = "a build attestation (provenance or SBOM)"

# By what is found in `config.mediaType`, `artifactType` or a layer's type.
_KINDS: Final = {
    media_types.IN_TOTO: ATTESTATION,
    # BuildKit 0.32 and later: https://github.com/moby/buildkit/pull/6914
    "application/vnd.docker.attestation.manifest.v1+json": ATTESTATION,
    "application/vnd.dev.cosign.simplesigning.v1+json": "a cosign signature",
    "application/vnd.dev.cosign.artifact.sig.v1+json": "a cosign signature",
    "application/vnd.dev.sigstore.bundle.v0.3+json": "a sigstore bundle",
    "application/vnd.cncf.notary.signature": "a notation signature",
    "application/vnd.cncf.helm.config.v1+json": "a Helm chart",
    "application/vnd.cncf.helm.chart.content.v1.tar+gzip": "a Helm chart",
    "application/vnd.buildkit.cacheconfig.v0": "a BuildKit build cache",
    "application/vnd.amazon.soci.index.v1+json": "a SOCI index",
    "application/vnd.amazon.soci.index.v2+json": "a SOCI index",
    "application/vnd.wasm.config.v0+json": "a WebAssembly artifact",
    "application/vnd.cncf.model.config.v1+json": "a model artifact",
    "application/spdx+json": "an SBOM",
    "application/vnd.cyclonedx+json": "an SBOM",
}


def kind_of(image: Image) -> str:
    """What a manifest that no engine takes for an image is, as far as its types tell."""
    if image.manifest is None:
        layer = image.document and media_types.is_containerd_layer(image.document.media_type, docker_zstd=True)
        return _KINDS["application/vnd.buildkit.cacheconfig.v0"] if layer else "no image"
    types = (
        image.manifest.artifact_type,
        image.manifest.config.media_type,
        *(layer.media_type for layer in image.layers),
    )
    return next((_KINDS[t] for t in types if t in _KINDS), f"an artifact of type {types[0] or types[1]}")


def is_an_image(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The manifest is an image's: a config that the engine knows, and layers that it knows.

    `artifactType` and annotations only help to say what it is; no engine looks at them.
    """
    if image.document is None or image.document.media_type in media_types.SCHEMA_1:
        return
    if image.unreadable and image.unreadable[0] != "config":
        return
    if image.manifest is None:
        if not media_types.is_index(image.document.media_type):
            yield _not_an_image(image, _no_manifest_error(image.document, runtime.engines[0].family))
        return
    engine = next((e for e in runtime.engines if not _takes(image, e)), None)
    if engine is None:
        return
    if not image.layers and image.manifest.config.media_type in media_types.CONFIGS:
        config = image.config
        if config and config.diff_ids:
            yield Finding(
                "diff-ids-count",
                Severity.ERROR,
                f"The manifest has no layers, the config has {len(config.diff_ids)} diff_ids.",
                expected=f"{len(config.diff_ids)} layers",
                found="no layers",
                runtime_error=engine_message("diff-ids-count", engine.family, "no layers"),
            )
            return
        program = (*config.entrypoint, *config.command, "")[0] if config else ""
        yield Finding(
            "no-layers",
            Severity.ERROR,
            "The image has no layers, so there is nothing to run.",
            runtime_error=engine_message("no-layers", engine.family, program=program),
        )
        return
    error = _engine_error(image, engine, runtime)
    types = {layer.media_type for layer in image.layers}
    if media_types.DOCKER_LAYER_ZSTD in types and image.manifest.config.media_type in media_types.CONFIGS:
        # An image it is, all of whose layers are younger than the engine, as a base of zstd layers alone gives.
        yield Finding(
            "layer-type-unsupported",
            Severity.ERROR,
            f"No layer has a type that {runtime.title} unpacks: all are {' or '.join(sorted(types))}.",
            expected="layers typed as OCI gzip or zstd, or as Docker gzip",
            found=media_types.DOCKER_LAYER_ZSTD,
            runtime_error=error,
            layer=next(layer.digest for layer in image.layers if layer.media_type == media_types.DOCKER_LAYER_ZSTD),
        )
        return
    yield _not_an_image(image, error)


def is_refused(image: Image, engine: Engine) -> bool:
    """Whether `is_an_image` has already said why this engine takes nothing of the image."""
    return image.manifest is None or not _takes(image, engine)


def _takes(image: Image, engine: Engine) -> bool:
    """Whether the engine takes the manifest for an image's at all."""
    manifest, top = image.manifest, image.top
    if not manifest or not top or not engine.knows_config(manifest.config.media_type, top.media_type):
        return False
    layers = [layer.media_type for layer in image.layers]
    return any(engine.counts(t) and (engine.known_layers_only or engine.reads(t)) for t in layers)


def _not_an_image(image: Image, runtime_error: str) -> Finding:
    kind = kind_of(image)
    name = "tag" if "@" not in image.reference else "digest"
    return Finding(
        "not-an-image",
        Severity.ERROR,
        f"The {name} points at {kind}, not at an image.",
        expected="an image's manifest: a config and layers of a file system",
        found=kind,
        runtime_error=runtime_error,
    )


def _engine_error(image: Image, engine: Engine, runtime: Runtime) -> str:
    assert image.manifest
    config, layers = image.manifest.config, image.layers
    diff_ids = image.config.diff_ids if image.config else ()
    refused = next((layer for layer in layers if layer.media_type in runtime.refused_layers), None)
    if refused:
        return runtime.refused_layers[refused.media_type].format(digest=refused.digest)
    if engine.family != "containerd":
        types = (config.media_type, *(layer.media_type for layer in layers))
        wrong = next((t for t in types if not media_types.is_docker_or_oci(t)), None)
        if wrong or engine.family == "any":
            return engine_message("not-an-image", engine.family, media_type=wrong)
        kind = "plugin" if config.media_type == media_types.DOCKER_PLUGIN else "unknown"
        return engine_message("not-an-image", engine.family, "schema 2", media_type=config.media_type, kind=kind)
    # Nothing was unpacked while it was pulled, so containerd tries once more, with all layers up to 1.6.24,
    # later with those that it knows: https://github.com/containerd/containerd/blob/main/client/image.go, Unpack
    counted = layers if engine.extracts_unknown else [d for d in layers if engine.counts(d.media_type)]
    if not layers or len(counted) == len(diff_ids) == 0:
        return ""
    variant = "no processor" if config.media_type in media_types.CONFIGS else "not fetched"
    return engine_message(
        "not-an-image",
        engine.family,
        variant if len(counted) == len(diff_ids) else "other layers",
        diff_id=diff_ids[0] if diff_ids else "",
        media_type=counted[0].media_type if counted else "",
        digest=counted[0].digest if counted else "",
    )


def _no_manifest_error(document: Document, family: str) -> str:
    variant = "no manifest" if family == "containerd" else ""
    return engine_message("not-an-image", family, variant, media_type=document.media_type, digest=document.digest)
