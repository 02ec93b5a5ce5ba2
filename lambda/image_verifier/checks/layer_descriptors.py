"""The layers, as far as the manifest, the config and the registry describe them without their bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..image import media_types
from ..image.model import Descriptor, Image, is_digest
from ..report import Finding, Severity
from ..rules.engines import Engine
from .manifest import foreign_url, size_error
from .subject import Subject, finding

_DIGEST: Final = re.compile(r"[a-z0-9]+([.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+", re.ASCII)
_HEX_DIGITS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_COMPRESSED: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_UNPACKABLE_TYPES: Final = "layers of the types OCI gzip, OCI zstd or Docker gzip"


def counted(image: Image, engine: Engine) -> list[Descriptor]:
    """The layers that the engine counts, bottom first."""
    known = {media_type for media_type in _types(image) if engine.counts(media_type)}
    return [layer for layer in image.layers if layer.media_type in known]


def _types(image: Image) -> set[str]:
    """The layers' types: an engine is asked for each once, since 125 layers have one or two."""
    return {layer.media_type for layer in image.layers}


def _first_digests(layers: list[Descriptor]) -> str:
    names = ", ".join(layer.digest[:19] for layer in layers[:3])
    return names if len(layers) <= 3 else f"{names} and {len(layers) - 3} more"


def have_types_that_unpack(subject: Subject) -> Iterator[Finding]:
    """Every layer's type is one that the runtime unpacks."""
    yield from _types_that_an_engine_refuses(subject, subject.engine)
    yield from _types_that_the_runtime_refuses(subject)


def _types_that_an_engine_refuses(subject: Subject, engine: Engine) -> Iterator[Finding]:
    image = subject.image
    diff_ids = image.config.diff_ids if image.config else ()
    known = counted(image, engine)
    # Layers that the engine skips do no harm where the config does not count them either.
    harmless = len(known) == len(diff_ids)
    wrong = {t for t in _types(image) if (not engine.reads(t) if engine.counts(t) else not harmless)}
    refused: dict[str, list[Descriptor]] = {}
    for layer in image.layers:
        if layer.media_type in wrong:
            refused.setdefault(layer.media_type, []).append(layer)
    first = {layer.media_type: i for i, layer in reversed(list(enumerate(known)))}
    for media_type, layers in refused.items():
        variant = ""
        if engine.family == "containerd" and len(known) != len(diff_ids):
            variant = "not counted"
        elif engine.family == "containerd" and media_types.is_encrypted(media_type):
            variant = "encrypted"
        yield finding(
            "layer-type-unsupported",
            f"{_share(layers, image)} {media_type or '(none)'}, which {subject.runtime.title} cannot unpack: "
            f"{_first_digests(layers)}.",
            engine.words,
            variant,
            expected=_UNPACKABLE_TYPES,
            found=media_type,
            layer=layers[0].digest,
            media_type=media_type,
            digest=layers[0].digest,
            diff_id=diff_ids[first[media_type]] if len(known) == len(diff_ids) else "",
            counted=len(known),
            diff_ids=len(diff_ids),
        )


def _types_that_the_runtime_refuses(subject: Subject) -> Iterator[Finding]:
    image, runtime = subject.image, subject.runtime
    by_type: dict[str, list[Descriptor]] = {}
    for layer in image.layers:
        by_type.setdefault(layer.media_type, []).append(layer)
    for media_type, message in runtime.refused_layers.items():
        layers = by_type.get(media_type)
        if layers:
            yield finding(
                "layer-type-unsupported",
                f"{_share(layers, image)} {media_type}, which {runtime.title} refuses.",
                found=media_type,
                runtime_error=message.format(digest=layers[0].digest),
                layer=layers[0].digest,
            )
    for media_type, layers in by_type.items():
        # Their bytes show whether they are encrypted: an engine that does not know the type reads them as a tar.
        unknown = media_types.is_encrypted(media_type) and subject.engine.reads(media_type)
        if unknown and not subject.policy.verify_layers:
            yield finding(
                "layer-type-doubtful",
                f"{_share(layers, image)} {media_type}. {runtime.title} does not decrypt layers, and unpacks these "
                "only if they are not encrypted after all; pass --layers, or set verify_layers, to read them.",
                severity=Severity.WARNING,
                found=media_type,
                layer=layers[0].digest,
            )
    for media_type, why in runtime.doubtful_layers.items():
        layers = by_type.get(media_type)
        if layers:
            yield finding(
                "layer-type-doubtful",
                f"{_share(layers, image)} {media_type}, which may not be unpacked: {why}.",
                severity=Severity.WARNING,
                found=media_type,
                layer=layers[0].digest,
            )


def _share(layers: list[Descriptor], image: Image) -> str:
    return f"{len(layers)} of {len(image.layers)} layers {'has' if len(layers) == 1 else 'have'} the type"


def are_for_the_platform(subject: Subject) -> Iterator[Finding]:
    """No descriptor in the manifest is for another platform: containerd skips such a descriptor.

    https://github.com/containerd/containerd/blob/main/core/images/handlers.go, FilterPlatforms
    """
    image = subject.image
    if image.manifest is None or subject.engine.family != "containerd":
        return
    config, accepted = image.manifest.config, subject.policy.platform.accepts()
    skipped = [d for d in image.layers if d.platform and d.platform not in accepted]
    for descriptor in [*skipped, *([config] if config.platform and config.platform not in accepted else [])]:
        is_config = descriptor is config
        yield finding(
            "descriptor-for-another-platform",
            f"The manifest's descriptor of the {'config' if is_config else 'layer'} {descriptor.digest} is for "
            f"{descriptor.platform}, so {subject.runtime.title} skips it.",
            "containerd",
            "config" if is_config else "",
            expected="no platform in the descriptor",
            found=str(descriptor.platform),
            layer="" if is_config else descriptor.digest,
            digest=descriptor.digest,
            counted=len(image.layers) - len(skipped),
            diff_ids=len(image.config.diff_ids) if image.config else 0,
        )


def are_as_many_as_diff_ids(subject: Subject) -> Iterator[Finding]:
    """The layers are as many as the config's diff_ids."""
    config, layers = subject.image.config, subject.image.layers
    if config is None or not config.has_rootfs or len(layers) == len(config.diff_ids):
        return
    engine = subject.engine
    known, diff_ids = counted(subject.image, engine), config.diff_ids
    if len(known) != len(diff_ids):
        yield finding(
            "diff-ids-count",
            f"The manifest has {len(layers)} layers, but the config has {len(diff_ids)} diff_ids.",
            engine.words,
            expected=f"{len(layers)} diff_ids",
            found=f"{len(diff_ids)} diff_ids",
            counted=len(known),
            diff_ids=len(diff_ids),
        )


def agree_with_their_diff_ids(subject: Subject) -> Iterator[Finding]:
    """No diff_id is wrong, as far as the digests and the diff_ids show it without the bytes."""
    image = subject.image
    engine = subject.engine
    known = counted(image, engine)
    diff_ids = image.config.diff_ids if image.config else ()
    if len(known) != len(diff_ids):
        return
    seen: dict[tuple[str, str], str] = {}
    reads_of = {media_type: engine.reads(media_type) or "" for media_type in _types(image)}
    for layer, diff_id in zip(known, diff_ids, strict=True):
        reads = reads_of[layer.media_type]
        why = _impossible(image, layer, diff_id, reads)
        other = seen.setdefault((layer.digest, reads), diff_id)
        if not why and other != diff_id:
            why = f"the same blob has the diff_id {other} elsewhere in this image"
        if why:
            yield finding(
                "diff-id-wrong",
                f"The diff_id {diff_id} of layer {layer.digest[:19]} cannot be right: {why}.",
                engine.words,
                "compressed" if reads == "raw" and _is_compressed(image, layer) else "",
                found=diff_id,
                layer=layer.digest,
                digest=layer.digest,
                media_type=layer.media_type,
                diff_id=diff_id,
                # containerd prints the one that it expected, not the one that it calculated.
                calculated=diff_id,
            )


def _is_compressed(image: Image, layer: Descriptor) -> bool:
    return image.first_bytes.get(layer.digest, b"").startswith(_COMPRESSED)


def _impossible(image: Image, layer: Descriptor, diff_id: str, reads: str) -> str:
    """Why this cannot be the layer's diff_id; empty where it can. Incidents: buildpacks/lifecycle #1662, 0.21.15."""
    if not is_digest(diff_id):
        return "it is not a sha256 digest"
    if reads == "raw" and diff_id != layer.digest:
        return "the layer's type is a plain tar, whose diff_id is its digest"
    # Either a plain tar with the wrong type, which every engine accepts, or the digest of the compressed bytes in
    # place of the diff_id. The first bytes decide.
    if reads == "sniffed" and diff_id == layer.digest and _is_compressed(image, layer):
        return "it is the digest of the compressed bytes"
    return ""


def doubtful(image: Image) -> list[Descriptor]:
    """The layers whose first bytes `agree_with_their_diff_ids` needs.

    These are the layers of a compressed type whose digest is a diff_id, and the layers that are read as they are and
    whose digest is not a diff_id.
    """
    if image.config is None:
        return []
    diff_ids = set(image.config.diff_ids)
    compressed = {t for t in _types(image) if media_types.declared_compression(t) != "none"}
    raw = {t for t in _types(image) if media_types.containerd_reads(t) == "raw"}
    return [
        layer
        for layer in dict.fromkeys(image.layers)
        if layer.media_type in (compressed if layer.digest in diff_ids else raw)
    ]


def are_there(subject: Subject) -> Iterator[Finding]:
    """Every layer's descriptor is valid, and the registry holds the blob with the size in the descriptor."""
    for layer in dict.fromkeys(subject.image.layers):
        yield from _problem_of(subject, layer)
        url = foreign_url(layer)
        if url and subject.engine.family == "containerd":
            yield finding(
                "layer-foreign",
                f"The layer {layer.digest} is fetched from {url}, not from the registry.",
                severity=Severity.WARNING,
                expected="a layer that the registry holds",
                found=url,
                layer=layer.digest,
            )


def _problem_of(subject: Subject, layer: Descriptor) -> Iterator[Finding]:
    """The first error of a layer's descriptor or its blob, if it has one."""
    blob, words = subject.image.blobs.get(layer.digest), subject.words
    if not is_digest(layer.digest):
        yield finding(
            "layer-descriptor-invalid",
            f"A layer's descriptor is invalid: its digest is {layer.digest!r}.",
            words,
            expected="a sha256 digest",
            found=layer.digest,
            layer=layer.digest,
            digest=layer.digest,
            media_type=layer.media_type,
            why=_digest_error(layer.digest),
        )
    elif blob and not blob.available:
        yield finding(
            "layer-missing",
            f"The registry does not serve the layer {layer.digest}: its state is {blob.state}.",
            words,
            expected="AVAILABLE",
            found=blob.state,
            layer=layer.digest,
            digest=layer.digest,
            media_type=layer.media_type,
        )
    elif subject.engine.exact_sizes and layer.size == 0:
        yield finding(
            "layer-size-zero",
            f"The size of the layer {layer.digest} in the manifest's descriptor is 0.",
            runtime_error=size_error("layer-size-zero", layer, 0, subject.engine),
            layer=layer.digest,
        )
    elif subject.engine.exact_sizes and blob and blob.size is not None and blob.size != layer.size:
        yield size_mismatch(layer, blob.size, subject.engine)


def size_mismatch(layer: Descriptor, actual: int, engine: Engine) -> Finding:
    """The finding for a layer whose size is not the one in its descriptor.

    :param actual: the blob's size in bytes.
    :param engine: the engine that is quoted.
    """
    return finding(
        "layer-size-mismatch",
        f"The size of the layer {layer.digest} in the manifest's descriptor is {layer.size} bytes, but the layer is "
        f"{actual} bytes.",
        expected=f"{layer.size} bytes",
        found=f"{actual} bytes",
        runtime_error=size_error("layer-size-mismatch", layer, actual, engine),
        layer=layer.digest,
    )


def _digest_error(digest: str) -> str:
    """The error of Go's digest package: https://github.com/opencontainers/go-digest/blob/master/digest.go, Validate"""
    algorithm, _, value = digest.partition(":")
    if not _DIGEST.fullmatch(digest):
        return "invalid checksum digest format"
    if algorithm not in _HEX_DIGITS:
        return "unsupported digest algorithm"
    return "invalid checksum digest " + ("length" if len(value) != _HEX_DIGITS[algorithm] else "format")


def are_not_too_many(subject: Subject) -> Iterator[Finding]:
    """The engine's storage accepts as many layers as the image has."""
    count = len(subject.image.layers)
    most = subject.engine.max_layers
    if most is not None and count > most:
        yield finding(
            "too-many-layers",
            f"The image has {count} layers, but {subject.runtime.title} accepts at most {most}.",
            subject.words,
            expected=f"at most {most} layers",
            found=f"{count} layers",
        )


def can_be_mounted(subject: Subject) -> Iterator[Finding]:
    """The layers can be mounted over each other, whatever numbers the host has given them."""
    engine = subject.engine
    if engine.mountable_layers is None or engine.surely_mountable_layers is None:
        return
    count = len(counted(subject.image, engine))
    if count > engine.surely_mountable_layers:
        never = count > engine.mountable_layers
        most = engine.mountable_layers if never else engine.surely_mountable_layers
        who = subject.runtime.title if never else "a host that has unpacked very many layers before"
        yield finding(
            "layers-not-mountable",
            f"The image has {count} layers, but {who} can mount at most {most} over each other.",
            engine.words,
            "" if never else "options",
            severity=Severity.ERROR if never else Severity.WARNING,
            expected=f"at most {most} layers",
            found=f"{count} layers",
        )
