"""Whether the tag points at an image, and at what instead: an attestation, a signature, a chart, a cache."""

from __future__ import annotations

from collections.abc import Iterator

from ..image import media_types
from ..image.model import Config, Document, Image
from ..report import Finding
from ..rules.artifacts import ARTIFACTS, BUILD_CACHE
from ..rules.engine_messages import engine_message
from ..rules.engines import Engine
from ..rules.runtimes import Runtime
from .schema_1 import signature_problem
from .subject import Subject, finding


def _artifact(image: Image) -> str:
    """The kind of a document that no engine accepts as an image, as far as its types show it."""
    if image.manifest is None:
        media_type = image.document.media_type if image.document else ""
        is_layer = media_types.is_containerd_layer(media_type, docker_zstd=True)
        return BUILD_CACHE if is_layer else "no image"
    types = (
        image.manifest.artifact_type,
        image.manifest.config.media_type,
        *(layer.media_type for layer in image.layers),
    )
    return next((ARTIFACTS[t] for t in types if t in ARTIFACTS), f"an artifact of type {types[0] or types[1]}")


def is_an_image(subject: Subject) -> Iterator[Finding]:
    """The manifest is an image's: it has a config that the engine knows, and layers that it knows.

    `artifactType` and annotations only help to name what it is; no engine reads them.
    """
    image = subject.image
    if image.document is None or image.document.media_type in media_types.SCHEMA_1:
        return
    if image.unreadable and image.unreadable[0] != "config":
        return
    if image.manifest is None:
        if not media_types.is_index(image.document.media_type):
            yield _not_an_image(image, _no_manifest_error(image.document, subject.engine))
        return
    engine = subject.engine
    if accepts(image, engine):
        return
    if not image.layers and image.manifest.config.media_type in media_types.CONFIGS:
        yield _without_layers(image.config, engine)
        return
    error = _engine_error(image, engine, subject.runtime)
    types = {layer.media_type for layer in image.layers}
    if media_types.DOCKER_LAYER_ZSTD in types and image.manifest.config.media_type in media_types.CONFIGS:
        # It is an image, but all of its layer types are younger than the engine, as with a base of only zstd layers.
        yield finding(
            "layer-type-unsupported",
            f"No layer has a type that {subject.runtime.title} can unpack: all are {' or '.join(sorted(types))}.",
            expected="layers of the types OCI gzip, OCI zstd or Docker gzip",
            found=media_types.DOCKER_LAYER_ZSTD,
            runtime_error=error,
            layer=next(layer.digest for layer in image.layers if layer.media_type == media_types.DOCKER_LAYER_ZSTD),
        )
        return
    yield _not_an_image(image, error)


def accepts(image: Image, engine: Engine) -> bool:
    """Whether the engine accepts the manifest as an image's at all; where it does not, `is_an_image` reports why."""
    manifest, top = image.manifest, image.top
    if not manifest or not top or not engine.knows_config(manifest.config.media_type, top.media_type):
        return False
    layers = [layer.media_type for layer in image.layers]
    return any(engine.counts(t) and (engine.known_layers_only or engine.reads(t)) for t in layers)


def _without_layers(config: Config | None, engine: Engine) -> Finding:
    if config and config.diff_ids:
        return finding(
            "diff-ids-count",
            f"The manifest has no layers, but the config has {len(config.diff_ids)} diff_ids.",
            engine.words,
            "no layers",
            expected=f"{len(config.diff_ids)} layers",
            found="no layers",
        )
    program = (*config.entrypoint, *config.command, "")[0] if config else ""
    return finding("no-layers", "The image has no layers, so there is nothing to run.", engine.words, program=program)


def _not_an_image(image: Image, runtime_error: str) -> Finding:
    artifact = _artifact(image)
    name = "tag" if "@" not in image.reference else "digest"
    return finding(
        "not-an-image",
        f"The {name} points at {artifact}, not at an image.",
        expected="an image's manifest: a config and layers of a file system",
        found=artifact,
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
            return engine_message("not-an-image", engine.words, media_type=wrong)
        kind = "plugin" if config.media_type == media_types.DOCKER_PLUGIN else "unknown"
        return engine_message("not-an-image", engine.words, "schema 2", media_type=config.media_type, kind=kind)
    # containerd unpacked nothing during the pull, so it tries once more: up to 1.6.24 with all layers, later with
    # those that it knows: https://github.com/containerd/containerd/blob/main/client/image.go, Unpack
    if image.chosen and image.chosen[-1].platform is None and image.config and not _for_platform(image, image.config):
        index = image.indexes[-1].document.digest
        return engine_message("not-an-image", engine.words, "no platform", digest=index, platform=image.platform)
    counted = layers if engine.extracts_unknown else [d for d in layers if engine.counts(d.media_type)]
    if not layers or len(counted) == len(diff_ids) == 0:
        return ""
    # Of a manifest whose config it does not know, it fetches everything but the layers that it knows.
    variant = "not fetched" if counted and engine.counts(counted[0].media_type) else "no processor"
    return engine_message(
        "not-an-image",
        engine.words,
        variant if len(counted) == len(diff_ids) else "other layers",
        diff_id=diff_ids[0] if diff_ids else "",
        media_type=counted[0].media_type if counted else "",
        digest=counted[0].digest if counted else "",
    )


def _for_platform(image: Image, config: Config) -> bool:
    """Whether containerd, which looks into the config where the index has no platform, finds the required one."""
    return config.platform in image.platform.accepts()


def _no_manifest_error(document: Document, engine: Engine) -> str:
    values = {"media_type": document.media_type, "digest": document.digest}
    if engine.family != "dockerd":
        return engine_message(
            "not-an-image", engine.words, "no manifest" if engine.family == "containerd" else "", **values
        )
    # A readable signature would lead dockerd to the fields of schema 1, which no other document has.
    problem, why = signature_problem(document)
    return engine_message("not-an-image", engine.words, problem, why=why)
