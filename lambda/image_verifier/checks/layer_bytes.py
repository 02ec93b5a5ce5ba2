"""The layers' bytes: do they match their digests, can the engine unpack them, do they have their diff_ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ..image.model import Descriptor, Image
from ..layers.facts import Contents, LayerFacts, Reading
from ..report import Finding, Severity
from ..rules.engine_messages import engine_message
from ..rules.engines import Engine
from ..text import readable_size
from .layer_descriptors import agree_with_their_diff_ids, counted, size_mismatch
from .subject import Subject, finding

_UNEXPECTED_EOF: Final = "unexpected EOF"


def _streamed(image: Image, engine: Engine, contents: Contents) -> Iterator[tuple[int, Descriptor, LayerFacts | None]]:
    """The layers that the engine counts and that were to be streamed, each once, with their numbers."""
    seen: set[tuple[str, str]] = set()
    layers = counted(image, engine)
    for i, (layer, diff_id) in enumerate(zip(layers, _diff_ids(image, layers), strict=True)):
        key = (layer.digest, diff_id)
        if layer.digest in contents.layers and key not in seen:
            seen.add(key)
            yield i, layer, contents.layers[layer.digest]


def _read(image: Image, engine: Engine, contents: Contents) -> Iterator[tuple[int, Descriptor, Reading]]:
    """The layers whose bytes match their digests, as the engine reads them."""
    for i, layer, facts in _streamed(image, engine, contents):
        reading = facts.reading(engine, layer.media_type) if facts and facts.digest in (layer.digest, "") else None
        if reading:
            yield i, layer, reading


def _diff_ids(image: Image, layers: Sequence[Descriptor]) -> Sequence[str]:
    """The diff_id of each of the counted layers; empty ones where layers and diff_ids differ in number."""
    diff_ids = image.config.diff_ids if image.config else ()
    return diff_ids if len(diff_ids) == len(layers) else ("",) * len(layers)


def _diff_id(image: Image, engine: Engine, i: int) -> str:
    """The diff_id of the layer with this number; empty where layers and diff_ids differ in number."""
    return _diff_ids(image, counted(image, engine))[i]


def _unpack_error(finding_id: str, image: Image, engine: Engine, i: int, error: str, *, in_tar: bool = True) -> str:
    # containerd has unmounted the first layer again when it reads what follows the tar.
    variant = "first" if engine.family == "containerd" and i == 0 and in_tar else ""
    layer = counted(image, engine)[i]
    return error and engine_message(
        finding_id,
        engine.words,
        variant,
        diff_id=_diff_id(image, engine, i),
        media_type=layer.media_type,
        digest=layer.digest,
        error=error,
    )


def are_the_named_bytes(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """The registry serves every layer, with the digest and the size in the manifest's descriptor."""
    image = subject.image
    engine = subject.engine
    for _, layer, facts in _streamed(image, engine, contents):
        blob = image.blobs.get(layer.digest)
        if facts is None:
            yield finding(
                "layer-missing",
                f"The registry does not serve the layer {layer.digest}.",
                engine.words,
                layer=layer.digest,
                digest=layer.digest,
                media_type=layer.media_type,
            )
        elif facts.digest and facts.digest != layer.digest:
            yield finding(
                "layer-digest-mismatch",
                f"The layer {layer.digest} does not match its digest: its bytes have the digest {facts.digest}.",
                engine.words,
                expected=layer.digest,
                found=facts.digest,
                layer=layer.digest,
                name=f"layer-{layer.digest}",
                digest=layer.digest,
                actual=facts.digest,
            )
        elif engine.exact_sizes and facts.size != layer.size and (blob is None or blob.size is None):
            yield size_mismatch(layer, facts.size, engine)


def can_be_unpacked(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """The engine reads every layer's stream and its tar to the end, and can create every file in it."""
    image = subject.image
    engine = subject.engine
    for i, layer, reading in _read(image, engine, contents):
        if reading.limit_exceeded:
            yield finding(
                "layer-too-large",
                f"The layer {layer.digest} was not read to its end: {reading.limit_exceeded}.",
                layer=layer.digest,
            )
        error = reading.stream_error_for(engine)
        if error:
            truncated = error == _UNEXPECTED_EOF
            finding_id = "layer-truncated" if truncated else "layer-corrupt"
            why = "ends before its compressed stream does" if truncated else f"cannot be decompressed: {error}"
            yield finding(
                finding_id,
                f"The layer {layer.digest} {why}.",
                found=error,
                runtime_error=_unpack_error(finding_id, image, engine, i, error, in_tar=not reading.complete),
                layer=layer.digest,
            )
        for problem in reading.unpack_errors_for(engine, first=i == 0):
            yield finding(
                problem.id,
                f"The layer {layer.digest} cannot be unpacked. {problem.message}",
                runtime_error=_unpack_error(problem.id, image, engine, i, problem.engine_message(engine.unpacker)),
                layer=layer.digest,
            )


def give_their_diff_ids(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """Every layer unpacks to bytes whose digest is its diff_id."""
    explained = {earlier.layer for earlier in agree_with_their_diff_ids(subject)}
    engine = subject.engine
    for i, layer, reading in _read(subject.image, engine, contents):
        expected = _diff_id(subject.image, engine, i)
        unknown = not expected or not reading.diff_id or reading.stream_error_for(engine)
        if not unknown and layer.digest not in explained and reading.diff_id != expected:
            yield finding(
                "diff-id-wrong",
                f"The layer {layer.digest} unpacks to {reading.diff_id}, but its diff_id is {expected}.",
                engine.words,
                expected=expected,
                found=reading.diff_id,
                layer=layer.digest,
                # containerd prints the one that it expected, not the one that it calculated.
                calculated=expected,
            )


def have_parent_folders(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """Every file's folder comes before the file, where the runtime does not create the folder itself.

    https://github.com/aspect-build/rules_aws/issues/103, https://github.com/nlewo/nix2container/issues/54
    """
    files = contents.file_system(subject.image, subject.engine) if subject.runtime.parent_error else None
    for name, digest in files.orphans[:1] if files else ():
        yield finding(
            "parent-folder-missing",
            f"The layer {digest} has no entry for the folder of {name} before that file.",
            expected="an entry for every folder, before what is in it",
            runtime_error=subject.runtime.parent_error.format(file=name),
            layer=digest,
        )


def fit_unpacked(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """The runtime has room for the unpacked layers."""
    image, runtime = subject.image, subject.runtime
    unpacked = sum(reading.unpacked for _, _, reading in _read(image, subject.engine, contents))
    if runtime.max_bytes is not None and image.size <= runtime.max_bytes < unpacked:
        most = readable_size(runtime.max_bytes)
        yield finding(
            "image-too-large-for-runtime",
            f"The image is {readable_size(unpacked)} unpacked, but {runtime.title} accepts at most {most}.",
            expected=f"at most {most}",
            found=readable_size(unpacked),
        )
    together = image.size + unpacked
    if runtime.roomy_bytes is not None and image.size <= runtime.roomy_bytes < together / 2:
        yield finding(
            "image-needs-storage",
            f"The image needs {readable_size(together)}, compressed and unpacked together, but {runtime.title} gives a "
            f"task only {readable_size(2 * runtime.roomy_bytes)} by default.",
            severity=Severity.WARNING,
            expected="a larger ephemeral storage in the task definition",
            found=readable_size(together),
        )
