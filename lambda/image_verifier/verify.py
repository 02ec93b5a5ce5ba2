"""The one path from a source to a report: load the image, read its layers, run the checks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .checks import accepting_engines, checks_for
from .checks.layer_descriptors import doubtful
from .checks.subject import Subject
from .faults import Fault
from .image import media_types
from .image.model import MAX_CONFIG_BYTES, MAX_INDEX_DEPTH, Blob, Config, Descriptor, Document, Image, Index, Manifest
from .image.schemas import Unreadable
from .policy import Policy
from .report import Finding, Report, Severity
from .rules.catalog import CATALOG
from .rules.runtimes import Runtime
from .sources import Source, side_by_side

if TYPE_CHECKING:
    from .layers.facts import Contents

# The largest number of values in one document that is held in memory, at up to 500 bytes each. The largest manifest
# that engines accept has room for half as many meaningful ones.
_MAX_VALUES: Final = 250_000
_GRAVITY: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def verify(source: Source, policy: Policy, *, ends_at: float = math.inf) -> Report:
    """Judge the image that a source holds.

    :param source: where the image is.
    :param policy: what is required of it.
    :param ends_at: the moment, on `time.monotonic`, after which no more layers are read.
    :returns: the report, with every finding and not only the first.
    :raises Fault: if it is not known whether the image is good.
    """
    image = load(source, policy)
    contents = _read_layers(image, source, policy, ends_at) if policy.verify_layers and image.manifest else None
    return Report(image, policy.runs_on, judge(image, policy, contents), policy.fail_on)


def load(source: Source, policy: Policy) -> Image:
    """Load everything that is known of the image without its layers' bytes.

    :raises Fault: if the source fails.
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
        # The limit is ours, not an engine's: exceeding it is no finding about the image.
        raise Fault(
            f"The indexes are nested more than {MAX_INDEX_DEPTH} levels deep, and the verifier searches no deeper",
            "Push the image itself, or an index that references it directly.",
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
    if content.count(b",") > _MAX_VALUES:
        raise Fault(
            f"The {what} {digest} has more than {_MAX_VALUES} values, more than the verifier can hold in memory",
            "No image needs that many: look at the tool that built it.",
        )


def _others(image: Image) -> list[Descriptor]:
    """The manifests for other platforms in the indexes that lead to the platform's own."""
    passed = (d for index in image.indexes for d in index.manifests if d not in image.chosen)
    return [d for d in dict.fromkeys(passed) if media_types.is_manifest(d.media_type)]


def _load_config(image: Image, source: Source, manifest: Manifest, others: Sequence[Descriptor]) -> Image:
    # None of these depends on another, and each costs a round trip.
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


def _read_layers(image: Image, source: Source, policy: Policy, ends_at: float) -> Contents:
    # Imports are most of what verifying a small image costs, and nothing else needs these modules.
    from .layers.reader import read_layers

    engines = dict.fromkeys(e for runtime in policy.runtimes for e in accepting_engines(image, runtime))
    return read_layers(image, source, tuple(engines), ends_at=ends_at)


def judge(image: Image, policy: Policy, contents: Contents | None = None) -> tuple[Finding, ...]:
    """Run every check for every runtime; findings that are equal for several runtimes become one.

    :param image: what is known of the image.
    :param policy: what is required of it.
    :param contents: the facts that the bytes of its layers give; None where they were not read.
    :returns: the findings, gravest first.
    """
    runs_on: dict[Finding, list[str]] = {}
    for choose_engines, checks in checks_for(contents):
        subjects = [
            Subject(image, runtime, policy, engines)
            for runtime in policy.runtimes
            if (engines := choose_engines(image, runtime))
        ]
        for check in checks:
            for subject in subjects:
                # Several engines of one runtime may find the same; the first one's message is reported.
                found: dict[tuple[str, str], Finding] = {}
                for finding in check(subject):
                    found.setdefault((finding.id, finding.message), finding)
                for finding in found.values():
                    complete = _complete(finding, subject.runtime, policy)
                    runs_on.setdefault(complete, []).append(subject.runtime.name)
    findings = [replace(finding, runs_on=tuple(names)) for finding, names in runs_on.items()]
    return tuple(sorted(findings, key=lambda f: _GRAVITY[f.severity]))


def _complete(finding: Finding, runtime: Runtime, policy: Policy) -> Finding:
    prefix = runtime.error_prefixes.get(CATALOG[finding.id].stage, "")
    return replace(
        finding,
        runtime_error=finding.runtime_error and prefix + finding.runtime_error,
        acknowledged=policy.acknowledge.get(finding.id, ""),
    )
