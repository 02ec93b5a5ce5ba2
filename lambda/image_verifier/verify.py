"""The one path: resolve, choose the platform's manifest, load, check, report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from .checks import CHECKS, deep_checks
from .checks.artifact import is_refused
from .checks.layer_descriptors import doubtful
from .faults import Fault
from .image import media_types
from .image.model import MAX_CONFIG_BYTES, MAX_INDEX_DEPTH, Blob, Config, Descriptor, Document, Image, Index, Manifest
from .image.schemas import Unreadable
from .policy import Policy
from .report import Finding, Report, Severity
from .rules.catalog import CATALOG
from .rules.runtimes import Runtime
from .sources import Source, side_by_side

# The values in one document that are held at once, at up to 500 bytes each. The largest manifest that engines take has
# room for half as many that say anything.
_MOST_VALUES: Final = 250_000
_GRAVITY: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def verify(source: Source, policy: Policy, *, ends_at: float = math.inf) -> Report:
    """Judge the image that a source holds.

    :param source: where the image is.
    :param policy: what is asked of it.
    :param ends_at: the moment, on `time.monotonic`, after which no layer is read on.
    :returns: the report, with every finding and not only the first.
    :raises Fault: if it could not be told whether the image is good.
    """
    image = load(source, policy)
    if policy.verify_layers and image.manifest:
        image = _read_layers(image, source, policy, ends_at)
    return Report(image, policy.runs_on, judge(image, policy), policy.fail_on)


def load(source: Source, policy: Policy) -> Image:
    """All that is to be known of the image without its layers' bytes.

    :raises Fault: if the source could not tell.
    """
    resolved = source.resolve()
    image = Image(source.reference, policy.platform, status=resolved.status, top=resolved.document)
    if resolved.document is None:
        return image
    engines = [engine for runtime in policy.runtimes for engine in runtime.engines]
    only_dockerd = all(engine.family == "dockerd" for engine in engines)
    image = _choose(image, source, resolved.document, by_dockerd=only_dockerd)
    if image.manifest is None:
        return image
    others = _others(image) if any(e.whole_index for runtime in policy.runtimes for e in runtime.engines) else []
    return _load_config(image, source, image.manifest, others)


def _choose(image: Image, source: Source, document: Document, *, by_dockerd: bool) -> Image:
    """Follow the indexes to the platform's manifest, as the engines do."""
    image = replace(image, document=document)
    _check_values("document", document.digest, document.content)
    try:
        if media_types.is_manifest(document.media_type):
            return replace(image, manifest=Manifest.parse(document))
        if not media_types.is_index(document.media_type):
            return image
        index = Index.parse(document)
    except Unreadable as e:
        what = "manifest" if media_types.is_manifest(document.media_type) else "index"
        return replace(image, unreadable=(what, e.errors_by_engine))
    image = replace(image, indexes=(*image.indexes, index))
    if len(image.indexes) > MAX_INDEX_DEPTH:
        # The bound is ours and no engine's: it tells nothing of the image.
        raise Fault(
            f"The image lies in more than {MAX_INDEX_DEPTH} indexes, one in the other: it was not looked for there",
            "Push the image, or an index that names it.",
        )
    chosen = index.choose(image.platform, by_dockerd=by_dockerd)
    if chosen is None:
        return image
    image = replace(image, chosen=(*image.chosen, chosen))
    child = source.manifest(chosen)
    if child is None:
        return replace(image, missing=chosen)
    return _choose(image, source, child, by_dockerd=by_dockerd)


def _check_values(what: str, digest: str, content: bytes) -> None:
    """:raises Fault: if the JSON has more values than can be held in memory."""
    if content.count(b",") > _MOST_VALUES:
        raise Fault(
            f"The {what} {digest} has more than {_MOST_VALUES} values, which the verifier cannot hold in memory",
            "No image needs as many: look at what made it.",
        )


def _others(image: Image) -> list[Descriptor]:
    """The manifests that the way to the platform's own has passed by."""
    passed = (d for index in image.indexes for d in index.manifests if d not in image.chosen)
    return [d for d in dict.fromkeys(passed) if media_types.is_manifest(d.media_type)]


def _load_config(image: Image, source: Source, manifest: Manifest, others: Sequence[Descriptor]) -> Image:
    # None of these asks for anything of the others', and each costs a round trip.
    with side_by_side(source.at_once) as pool:
        availability = pool.submit(source.availability, manifest.layers)
        children = pool.map(source.manifest, others)
        content = source.blob(manifest.config, MAX_CONFIG_BYTES)
        blobs: Mapping[str, Blob] = availability.result()
        absent = tuple(d for d, document in zip(others, children, strict=True) if document is None)
    image = replace(image, config_content=content, blobs=blobs, absent=absent)
    if content is None:
        return replace(image, missing=manifest.config)
    if len(content) > MAX_CONFIG_BYTES:
        return image
    _check_values("config", manifest.config.digest, content)
    try:
        image = replace(image, config=Config.parse(content))
    except Unreadable as e:
        return replace(image, unreadable=("config", e.errors_by_engine))
    return replace(image, first_bytes={d.digest: source.first_bytes(d, 4) or b"" for d in doubtful(image)})


def _read_layers(image: Image, source: Source, policy: Policy, ends_at: float) -> Image:
    # Nobody else needs what this needs, and imports are most of what a small image costs.
    from .layers.reader import read_layers

    engines = dict.fromkeys(engine for runtime in policy.runtimes for engine in runtime.engines)
    takers = [engine for engine in engines if not is_refused(image, engine)]
    return replace(image, contents=read_layers(image, source, takers, ends_at=ends_at))


def judge(image: Image, policy: Policy) -> tuple[Finding, ...]:
    """Run every check for every runtime; equal findings become one that names all of its runtimes."""
    runs_on: dict[Finding, list[str]] = {}
    for check in (*CHECKS, *deep_checks()) if image.contents else CHECKS:
        for runtime in policy.runtimes:
            # Several engines of one runtime may find the same; the first one's words are told.
            found: dict[tuple[str, str], Finding] = {}
            for finding in check(image, runtime, policy):
                found.setdefault((finding.id, finding.message), finding)
            for finding in found.values():
                runs_on.setdefault(_complete(finding, runtime, policy), []).append(runtime.name)
    findings = [replace(finding, runs_on=tuple(names)) for finding, names in runs_on.items()]
    return tuple(sorted(findings, key=lambda f: _GRAVITY[f.severity]))


def _complete(finding: Finding, runtime: Runtime, policy: Policy) -> Finding:
    prefix = runtime.error_prefixes.get(CATALOG[finding.id].stage, "")
    return replace(
        finding,
        runtime_error=finding.runtime_error and prefix + finding.runtime_error,
        acknowledged=policy.acknowledge.get(finding.id, ""),
    )
