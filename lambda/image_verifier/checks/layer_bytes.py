"""The layers' bytes: are they the ones that are named, can the engine unpack them, do they give the diff_ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ..image.model import Descriptor, Image
from ..policy import Policy
from ..report import Finding, Severity
from ..rules.engine_messages import engine_message
from ..rules.engines import Engine
from ..rules.runtimes import Runtime
from ..text import readable_size
from .artifact import is_refused
from .layer_descriptors import agree_with_their_diff_ids, counted
from .manifest import size_error

if TYPE_CHECKING:
    from ..layers.facts import LayerFacts, Reading

_UNEXPECTED_EOF: Final = "unexpected EOF"


def engines(image: Image, runtime: Runtime) -> list[Engine]:
    """The runtime's engines that get as far as the layers' bytes."""
    return [engine for engine in runtime.engines if image.contents and not is_refused(image, engine)]


def _streamed(image: Image, engine: Engine) -> Iterator[tuple[int, Descriptor, LayerFacts | None]]:
    """The layers that the engine counts and that were to be streamed, each once, with their numbers."""
    seen: set[tuple[str, str]] = set()
    layers = counted(image, engine)
    for i, (layer, diff_id) in enumerate(zip(layers, _diff_ids(image, layers), strict=True)):
        key = (layer.digest, diff_id)
        if image.contents and layer.digest in image.contents.layers and key not in seen:
            seen.add(key)
            yield i, layer, image.contents.layers[layer.digest]


def _read(image: Image, engine: Engine) -> Iterator[tuple[int, Descriptor, Reading]]:
    """The layers whose bytes are the ones that are named, as the engine reads them."""
    for i, layer, facts in _streamed(image, engine):
        reading = facts.reading(engine, layer.media_type) if facts and facts.digest in (layer.digest, "") else None
        if reading:
            yield i, layer, reading


def _diff_ids(image: Image, layers: Sequence[Descriptor]) -> Sequence[str]:
    """The diff_id of each of the counted layers; nothing for each where layers and diff_ids do not go together."""
    diff_ids = image.config.diff_ids if image.config else ()
    return diff_ids if len(diff_ids) == len(layers) else ("",) * len(layers)


def _diff_id(image: Image, engine: Engine, i: int) -> str:
    """The diff_id of the layer with this number; nothing where layers and diff_ids do not go together."""
    return _diff_ids(image, counted(image, engine))[i]


def _unpack_error(finding_id: str, image: Image, engine: Engine, i: int, error: str, *, in_tar: bool = True) -> str:
    # What comes behind the tar, containerd reads when it has unmounted the first layer again.
    variant = "first" if engine.family == "containerd" and i == 0 and in_tar else ""
    return error and engine_message(finding_id, engine.family, variant, diff_id=_diff_id(image, engine, i), error=error)


def are_the_named_bytes(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The registry serves every layer, with the digest and the size that the manifest says."""
    for engine in engines(image, runtime):
        for _, layer, facts in _streamed(image, engine):
            blob = image.blobs.get(layer.digest)
            if facts is None:
                yield Finding(
                    "layer-missing",
                    Severity.ERROR,
                    f"The registry does not serve the layer {layer.digest}.",
                    runtime_error=engine_message(
                        "layer-missing", engine.family, digest=layer.digest, media_type=layer.media_type
                    ),
                    layer=layer.digest,
                )
            elif facts.digest and facts.digest != layer.digest:
                yield Finding(
                    "layer-digest-mismatch",
                    Severity.ERROR,
                    f"The bytes of the layer {layer.digest} have the digest {facts.digest}.",
                    expected=layer.digest,
                    found=facts.digest,
                    runtime_error=engine_message(
                        "layer-digest-mismatch",
                        engine.family,
                        name=f"layer-{layer.digest}",
                        digest=layer.digest,
                        actual=facts.digest,
                    ),
                    layer=layer.digest,
                )
            elif engine.exact_sizes and facts.size != layer.size and (blob is None or blob.size is None):
                yield Finding(
                    "layer-size-mismatch",
                    Severity.ERROR,
                    f"The manifest says that the layer {layer.digest} has {layer.size} bytes; it has {facts.size}.",
                    expected=f"{layer.size} bytes",
                    found=f"{facts.size} bytes",
                    runtime_error=size_error("layer-size-mismatch", layer, facts.size, engine.family),
                    layer=layer.digest,
                )


def can_be_unpacked(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The engine reads every layer's stream and its tar to the end, and can make every file in it."""
    for engine in engines(image, runtime):
        for i, layer, reading in _read(image, engine):
            if reading.limit_exceeded:
                yield Finding(
                    "layer-too-large",
                    Severity.ERROR,
                    f"The layer {layer.digest} was not read to its end: {reading.limit_exceeded}.",
                    layer=layer.digest,
                )
            error = reading.stream_error_for(engine)
            if error:
                truncated = error == _UNEXPECTED_EOF
                finding_id = "layer-truncated" if truncated else "layer-corrupt"
                why = "ends before its compressed stream does" if truncated else f"cannot be decompressed: {error}"
                yield Finding(
                    finding_id,
                    Severity.ERROR,
                    f"The layer {layer.digest} {why}.",
                    found=error,
                    runtime_error=_unpack_error(finding_id, image, engine, i, error, in_tar=not reading.complete),
                    layer=layer.digest,
                )
            for problem in reading.unpack_errors_for(engine, first=i == 0):
                yield Finding(
                    problem.id,
                    Severity.ERROR,
                    f"The layer {layer.digest} cannot be unpacked. {problem.message}",
                    runtime_error=_unpack_error(problem.id, image, engine, i, problem.engine_message(engine.family)),
                    layer=layer.digest,
                )


def give_their_diff_ids(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """Every layer unpacks to the bytes of which its diff_id is the digest."""
    explained = {finding.layer for finding in agree_with_their_diff_ids(image, runtime, policy)}
    for engine in engines(image, runtime):
        for i, layer, reading in _read(image, engine):
            expected = _diff_id(image, engine, i)
            unknown = not expected or not reading.diff_id or reading.stream_error_for(engine)
            if not unknown and layer.digest not in explained and reading.diff_id != expected:
                yield Finding(
                    "diff-id-wrong",
                    Severity.ERROR,
                    f"The layer {layer.digest} unpacks to {reading.diff_id}, and its diff_id is {expected}.",
                    expected=expected,
                    found=reading.diff_id,
                    # containerd names the one that it expected, not the one that it calculated.
                    runtime_error=engine_message("diff-id-wrong", engine.family, calculated=expected),
                    layer=layer.digest,
                )


def have_parent_folders(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """Every file's folder comes before the file, where the runtime does not make it.

    https://github.com/aspect-build/rules_aws/issues/103, https://github.com/nlewo/nix2container/issues/54
    """
    for engine in engines(image, runtime) if runtime.parent_error else ():
        made = image.contents and image.contents.file_system(image, engine)
        for name, digest in made.orphans[:1] if made else ():
            yield Finding(
                "parent-folder-missing",
                Severity.ERROR,
                f"The layer {digest} has {name}, and no entry for its folder before it.",
                expected="an entry for every folder, before what is in it",
                runtime_error=runtime.parent_error.format(file=name),
                layer=digest,
            )


def fit_unpacked(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The runtime has room for the layers as they are unpacked."""
    unpacked = max((sum(r.unpacked for _, _, r in _read(image, e)) for e in engines(image, runtime)), default=0)
    if runtime.max_bytes is not None and image.size <= runtime.max_bytes < unpacked:
        most = readable_size(runtime.max_bytes)
        yield Finding(
            "image-too-large-for-runtime",
            Severity.ERROR,
            f"The image unpacks to {readable_size(unpacked)}, and {runtime.title} takes at most {most}.",
            expected=f"at most {most}",
            found=readable_size(unpacked),
        )
    together = image.size + unpacked
    if runtime.roomy_bytes is not None and image.size <= runtime.roomy_bytes < together / 2:
        yield Finding(
            "image-needs-storage",
            Severity.WARNING,
            f"The image needs {readable_size(together)}, compressed and unpacked together, and {runtime.title} gives "
            f"a task {readable_size(2 * runtime.roomy_bytes)} by default.",
            expected="a larger ephemeral storage in the task definition",
            found=readable_size(together),
        )
