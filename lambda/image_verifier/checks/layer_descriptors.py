"""The layers, as far as the manifest, the config and the registry tell without their bytes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

from ..image import media_types
from ..image.model import Descriptor, Image, is_digest
from ..policy import Policy
from ..report import Finding, Severity
from ..rules.engine_messages import engine_message
from ..rules.engines import Engine
from ..rules.runtimes import Runtime
from .artifact import is_refused
from .manifest import size_error

_DIGEST: Final = re.compile(r"[a-z0-9]+([.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+", re.ASCII)
_HEX_DIGITS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")


def counted(image: Image, engine: Engine) -> list[Descriptor]:
    """The layers that the engine counts, bottom first."""
    return [layer for layer in image.layers if engine.counts(layer.media_type)]


def _judged(image: Image, runtime: Runtime) -> list[Engine]:
    """The engines that get as far as the layers."""
    return [engine for engine in runtime.engines if not is_refused(image, engine)]


def _few(layers: list[Descriptor]) -> str:
    names = ", ".join(layer.digest[:19] for layer in layers[:3])
    return names if len(layers) <= 3 else f"{names} and {len(layers) - 3} more"


def have_types_that_unpack(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """Every layer's type is one that the runtime unpacks."""
    diff_ids = image.config.diff_ids if image.config else ()
    for engine in _judged(image, runtime):
        known = counted(image, engine)
        wrong: dict[str, list[Descriptor]] = {}
        for layer in image.layers:
            skipped = not engine.counts(layer.media_type)
            # Layers that are left out do no harm where the config does not count them either.
            if (skipped and len(known) != len(diff_ids)) or (not skipped and not engine.reads(layer.media_type)):
                wrong.setdefault(layer.media_type, []).append(layer)
        first = {layer.media_type: i for i, layer in reversed(list(enumerate(known)))}
        for media_type, layers in wrong.items():
            diff_id = diff_ids[first[media_type]] if len(known) == len(diff_ids) else ""
            yield Finding(
                "layer-type-unsupported",
                Severity.ERROR,
                f"{_number(layers)} of {len(image.layers)} typed {media_type or 'nothing'}, which "
                f"{runtime.title} does not unpack: {_few(layers)}.",
                expected="layers typed as OCI gzip or zstd, or as Docker gzip",
                found=media_type,
                runtime_error=_type_error(engine, media_type, diff_id, len(known), len(diff_ids)),
                layer=layers[0].digest,
            )
    for media_types_of, severity in (
        (runtime.refused_layers, Severity.ERROR),
        (runtime.doubtful_layers, Severity.WARNING),
    ):
        for media_type, why in media_types_of.items():
            layers = [layer for layer in image.layers if layer.media_type == media_type]
            if layers and _judged(image, runtime):
                refused = severity is Severity.ERROR
                reason = "it refuses" if refused else why
                yield Finding(
                    "layer-type-unsupported" if refused else "layer-type-doubtful",
                    severity,
                    f"{_number(layers)} of {len(image.layers)} typed {media_type}, which {reason}"
                    if refused
                    else f"{_number(layers)} of {len(image.layers)} typed {media_type}: {reason}.",
                    found=media_type,
                    runtime_error=why.format(digest=layers[0].digest) if refused else "",
                    layer=layers[0].digest,
                )


def _number(layers: list[Descriptor]) -> str:
    return "1 layer" if len(layers) == 1 else f"{len(layers)} layers"


def _type_error(engine: Engine, media_type: str, diff_id: str, counted: int, diff_ids: int) -> str:
    variant = ""
    if engine.family == "containerd" and counted != diff_ids:
        variant = "not counted"
    elif engine.family == "containerd" and media_types.is_encrypted(media_type):
        variant = "encrypted"
    return engine_message(
        "layer-type-unsupported",
        engine.family,
        variant,
        media_type=media_type,
        diff_id=diff_id,
        counted=counted,
        diff_ids=diff_ids,
    )


def are_for_the_platform(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """No descriptor of the manifest is marked as for another platform: containerd leaves such a one out.

    https://github.com/containerd/containerd/blob/main/core/images/handlers.go, FilterPlatforms
    """
    if image.manifest is None or all(engine.family != "containerd" for engine in runtime.engines):
        return
    config, accepted = image.manifest.config, policy.platform.accepts()
    left_out = [d for d in image.layers if d.platform and d.platform not in accepted]
    for descriptor in [*left_out, *([config] if config.platform and config.platform not in accepted else [])]:
        what = "config" if descriptor is config else "layer"
        yield Finding(
            "descriptor-for-another-platform",
            Severity.ERROR,
            f"The manifest marks its {what} {descriptor.digest} as one for {descriptor.platform}, so that "
            f"{runtime.title} leaves it out.",
            expected="no platform in the descriptor",
            found=str(descriptor.platform),
            runtime_error=engine_message(
                "descriptor-for-another-platform",
                "containerd",
                "config" if descriptor is config else "",
                digest=descriptor.digest,
                counted=len(image.layers) - len(left_out),
                diff_ids=len(image.config.diff_ids) if image.config else 0,
            ),
            layer=descriptor.digest if descriptor is not config else "",
        )


def are_as_many_as_diff_ids(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The layers are as many as the config's diff_ids."""
    if image.config is None or not image.config.has_rootfs or len(image.layers) == len(image.config.diff_ids):
        return
    for engine in _judged(image, runtime):
        known, diff_ids = counted(image, engine), image.config.diff_ids
        if len(known) == len(diff_ids):
            continue
        yield Finding(
            "diff-ids-count",
            Severity.ERROR,
            f"The manifest has {len(image.layers)} layers, the config has {len(diff_ids)} diff_ids.",
            expected=f"{len(image.layers)} diff_ids",
            found=f"{len(diff_ids)} diff_ids",
            runtime_error=engine_message("diff-ids-count", engine.family, counted=len(known), diff_ids=len(diff_ids)),
        )


def agree_with_their_diff_ids(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """What digests and diff_ids alone tell of a wrong diff_id, without the bytes."""
    for engine in _judged(image, runtime):
        known = counted(image, engine)
        diff_ids = image.config.diff_ids if image.config else ()
        if len(known) != len(diff_ids):
            continue
        seen: dict[tuple[str, str], str] = {}
        for layer, diff_id in zip(known, diff_ids, strict=True):
            reads = engine.reads(layer.media_type) or ""
            why = _impossible(image, layer, diff_id, reads)
            other = seen.setdefault((layer.digest, reads), diff_id)
            if not why and other != diff_id:
                why = f"the same blob has the diff_id {other} elsewhere in this image"
            if why:
                yield Finding(
                    "diff-id-wrong",
                    Severity.ERROR,
                    f"The diff_id {diff_id} of layer {layer.digest[:19]} cannot be right: {why}.",
                    found=diff_id,
                    runtime_error=engine_message(
                        "diff-id-wrong",
                        engine.family,
                        "compressed" if reads == "raw" and _is_compressed(image, layer) else "",
                        diff_id=diff_id,
                        # containerd names the one that it expected, not the one that it calculated.
                        calculated=diff_id,
                    ),
                    layer=layer.digest,
                )


def _is_compressed(image: Image, layer: Descriptor) -> bool:
    return image.first_bytes.get(layer.digest, b"").startswith(_COMPRESSED)


def _impossible(image: Image, layer: Descriptor, diff_id: str, reads: str) -> str:
    """Why this cannot be the layer's diff_id, or nothing. Incidents: buildpacks/lifecycle #1662, 0.21.15."""
    if not is_digest(diff_id):
        return "it is no sha256 digest"
    if reads == "raw" and diff_id != layer.digest:
        return "the layer is typed as a plain tar, whose diff_id is its digest"
    # Either a plain tar under a wrong label, which every engine takes, or the digest of the compressed bytes in
    # the place of the diff_id. The first bytes tell.
    if reads == "sniffed" and diff_id == layer.digest and _is_compressed(image, layer):
        return "it is the digest of the compressed bytes"
    return ""


def doubtful(image: Image) -> list[Descriptor]:
    """The layers whose first bytes `agree_with_their_diff_ids` needs.

    Those that claim to be compressed and have their digest for a diff_id, and those that are read as they are and
    have not.
    """
    if image.config is None:
        return []
    diff_ids = set(image.config.diff_ids)
    return [
        layer
        for layer in dict.fromkeys(image.layers)
        if (
            media_types.declared_compression(layer.media_type) != "none"
            if layer.digest in diff_ids
            else media_types.containerd_reads(layer.media_type) == "raw"
        )
    ]


def are_there(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """Every layer's descriptor is sound, and the registry holds the blob with the size declared."""
    exact = any(engine.exact_sizes for engine in runtime.engines)
    engines = _judged(image, runtime)
    family = runtime.engines[0].family
    for layer in dict.fromkeys(image.layers) if engines else ():
        blob = image.blobs.get(layer.digest)
        if not is_digest(layer.digest):
            yield Finding(
                "layer-descriptor-invalid",
                Severity.ERROR,
                f"A layer has the digest {layer.digest!r}.",
                expected="a sha256 digest",
                found=layer.digest,
                runtime_error=engine_message(
                    "layer-descriptor-invalid",
                    family,
                    digest=layer.digest,
                    media_type=layer.media_type,
                    why=_digest_error(layer.digest),
                ),
                layer=layer.digest,
            )
        elif blob and not blob.available:
            yield Finding(
                "layer-missing",
                Severity.ERROR,
                f"The registry does not serve the layer {layer.digest}: it is {blob.state}.",
                expected="AVAILABLE",
                found=blob.state,
                runtime_error=engine_message("layer-missing", family, digest=layer.digest, media_type=layer.media_type),
                layer=layer.digest,
            )
        elif exact and layer.size == 0:
            yield Finding(
                "layer-size-zero",
                Severity.ERROR,
                f"The manifest says that the layer {layer.digest} has no bytes.",
                runtime_error=size_error("layer-size-zero", layer, 0, family),
                layer=layer.digest,
            )
        elif exact and blob and blob.size is not None and blob.size != layer.size:
            yield Finding(
                "layer-size-mismatch",
                Severity.ERROR,
                f"The manifest says that the layer {layer.digest} has {layer.size} bytes; it has {blob.size}.",
                expected=f"{layer.size} bytes",
                found=f"{blob.size} bytes",
                runtime_error=size_error("layer-size-mismatch", layer, blob.size, family),
                layer=layer.digest,
            )
        # containerd asks every descriptor's own URLs first, whatever its type:
        # https://github.com/containerd/containerd/blob/main/core/remotes/docker/fetcher.go, Fetch
        url = next((url for url in layer.urls if url.startswith(("http://", "https://"))), "")
        if url and any(engine.family == "containerd" for engine in runtime.engines):
            yield Finding(
                "layer-foreign",
                Severity.WARNING,
                f"The layer {layer.digest} is fetched from {url}, not from the registry.",
                expected="a layer that the registry holds",
                found=url,
                layer=layer.digest,
            )


def _digest_error(digest: str) -> str:
    """What Go's digest package says: https://github.com/opencontainers/go-digest/blob/master/digest.go, Validate"""
    algorithm, _, value = digest.partition(":")
    if not _DIGEST.fullmatch(digest):
        return "invalid checksum digest format"
    if algorithm not in _HEX_DIGITS:
        return "unsupported digest algorithm"
    return "invalid checksum digest " + ("length" if len(value) != _HEX_DIGITS[algorithm] else "format")


def are_not_too_many(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The engine's storage takes as many layers as the image has."""
    bounds = [(engine.max_layers, engine.family) for engine in runtime.engines if engine.max_layers is not None]
    most, family = min(bounds, default=(len(image.layers), ""))
    if len(image.layers) > most:
        yield Finding(
            "too-many-layers",
            Severity.ERROR,
            f"The image has {len(image.layers)} layers, and {runtime.title} takes {most}.",
            expected=f"at most {most} layers",
            found=f"{len(image.layers)} layers",
            runtime_error=engine_message("too-many-layers", family),
        )


def can_be_mounted(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The layers can be mounted over each other, whatever numbers the host has given them."""
    engine = min(_judged(image, runtime), key=lambda engine: engine.mountable_layers or math.inf, default=None)
    if engine is None or engine.mountable_layers is None or engine.surely_mountable_layers is None:
        return
    count = len(counted(image, engine))
    if count > engine.surely_mountable_layers:
        never = count > engine.mountable_layers
        most = engine.mountable_layers if never else engine.surely_mountable_layers
        yield Finding(
            "layers-not-mountable",
            Severity.ERROR if never else Severity.WARNING,
            f"The image has {count} layers, and {runtime.title} mounts at most {most} over each other."
            if never
            else f"The image has {count} layers, and a host that has unpacked very many before mounts at most {most} "
            "over each other.",
            expected=f"at most {most} layers",
            found=f"{count} layers",
            runtime_error=engine_message("layers-not-mountable", engine.family, "" if never else "options"),
        )
