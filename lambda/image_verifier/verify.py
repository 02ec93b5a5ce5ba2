"""The one path from a source to a report: load the image, read its layers, run the checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from .checks import checks_for
from .checks.artifact import accepts
from .checks.hosts import Placed, weigh
from .checks.layer_descriptors import doubtful
from .checks.subject import Subject
from .faults import Fault
from .image import media_types
from .image.choices import Choice
from .image.model import MAX_CONFIG_BYTES, MAX_INDEX_DEPTH, Blob, Config, Descriptor, Document, Image, Index, Manifest
from .image.schemas import Unreadable
from .policy import Policy
from .report import Finding, Report, Severity
from .rules.catalog import CATALOG
from .rules.engines import Engine
from .rules.runtimes import HostEngine, Runtime
from .sources import Source, side_by_side

if TYPE_CHECKING:
    from .layers.facts import Contents

# The largest number of values in one document that is held in memory, at up to 500 bytes each. The largest manifest
# that engines accept has room for half as many meaningful ones.
_MAX_VALUES: Final = 250_000
_GRAVITY: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True)
class Views:
    """One image, as each way to choose a manifest from an index shows it: most images look the same to all engines.

    :param by_choice: the image by each of these ways; the first one is shown in reports.
    """

    by_choice: Mapping[Choice, Image]

    @property
    def first(self) -> Image:
        """The image that a report shows."""
        return next(iter(self.by_choice.values()))

    def of(self, engine: Engine) -> Image:
        """The image that an engine pulls; an unknown engine pulls one if any of its families finds one."""
        images = [self.by_choice[choice] for choice in engine.choices]
        return next((image for image in images if image.manifest), images[0])


def verify(source: Source, policy: Policy, *, ends_at: float = math.inf) -> Report:
    """Judge the image that a source holds.

    :param source: where the image is.
    :param policy: what is required of it.
    :param ends_at: the moment, on `time.monotonic`, after which no more layers are read.
    :returns: the report, with every finding and not only the first.
    :raises Fault: if it is not known whether the image is good.
    """
    views = load_views(source, policy)
    contents = _read_layers(views, source, policy, ends_at) if policy.verify_layers else {}
    return Report(views.first, policy.runs_on, judge(views, policy, contents), policy.fail_on)


def load(source: Source, policy: Policy) -> Image:
    """Load everything that is known of the image without its layers' bytes, as its first runtime's engine chooses it.

    :raises Fault: if the source fails.
    """
    return load_views(source, policy).first


def load_views(source: Source, policy: Policy) -> Views:
    """Load everything that is known of the image without its layers' bytes, as each engine of the policy chooses it.

    :raises Fault: if the source fails.
    """
    resolved = source.resolve()
    image = Image(source.reference, policy.platform, status=resolved.status, top=resolved.document)
    engines = [host.engine for runtime in policy.runtimes for host in runtime.on_hosts]
    choices = tuple(dict.fromkeys(choice for engine in engines for choice in engine.choices))
    if resolved.document is None:
        return Views(dict.fromkeys(choices, image))
    whole_index = any(
        runtime.fetches_whole_index(host.engine) for runtime in policy.runtimes for host in runtime.on_hosts
    )
    documents = Documents(cache(source.manifest), cache(_parse))
    by_path: dict[tuple[Descriptor, ...], Image] = {}
    by_choice: dict[Choice, Image] = {}
    for choice in choices:
        chosen = _choose(image, documents, resolved.document, choice)
        if chosen.chosen not in by_path:
            by_path[chosen.chosen] = _load_rest(chosen, source, documents, whole_index=whole_index)
        by_choice[choice] = by_path[chosen.chosen]
    return Views(by_choice)


@dataclass(frozen=True)
class Documents:
    """The indexes and manifests of an image: each is fetched and parsed once, however many engines follow it.

    :param fetch: the document that a descriptor references; None where there is none.
    :param parse: the index or the manifest in a document; None where its type is neither.
    """

    fetch: Callable[[Descriptor], Document | None]
    parse: Callable[[Document], Index | Manifest | Unreadable | None]


def _parse(document: Document) -> Index | Manifest | Unreadable | None:
    _check_values("document", document.digest, document.content)
    try:
        if media_types.is_manifest(document.media_type):
            return Manifest.parse(document)
        return Index.parse(document) if media_types.is_index(document.media_type) else None
    except Unreadable as e:
        return e


def _choose(image: Image, documents: Documents, document: Document, choice: Choice) -> Image:
    """Follow the indexes to the platform's manifest, as engines that choose in this way do."""
    image = replace(image, document=document)
    parsed = documents.parse(document)
    if isinstance(parsed, Unreadable):
        what = "manifest" if media_types.is_manifest(document.media_type) else "index"
        return replace(image, unreadable=(what, parsed.errors_by_engine))
    if isinstance(parsed, Manifest):
        return replace(image, manifest=parsed)
    if parsed is None:
        return image
    image = replace(image, indexes=(*image.indexes, parsed))
    if len(image.indexes) > MAX_INDEX_DEPTH:
        # The limit is ours, not an engine's: exceeding it is no finding about the image.
        raise Fault(
            f"The indexes are nested more than {MAX_INDEX_DEPTH} levels deep, and the verifier searches no deeper",
            "Push the image itself, or an index that references it directly.",
        )
    chosen = parsed.choose(image.platform, choice)
    if chosen is None:
        return image
    image = replace(image, chosen=(*image.chosen, chosen))
    child = documents.fetch(chosen)
    if child is None:
        return replace(image, missing=chosen)
    return _choose(image, documents, child, choice)


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


def _load_rest(image: Image, source: Source, documents: Documents, *, whole_index: bool) -> Image:
    """Load what a manifest references: the config, the registry's facts about layers, the index's other manifests."""
    manifest = image.manifest
    if manifest is None:
        return image
    others = _others(image) if whole_index else []
    # None of these depends on another, and each costs a round trip.
    with side_by_side(source.at_once) as pool:
        availability = pool.submit(partial(source.availability, manifest.layers))
        children = pool.results(documents.fetch, others)
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


def _read_layers(views: Views, source: Source, policy: Policy, ends_at: float) -> Mapping[str, Contents]:
    """The facts of the layers' bytes, by the digest of the manifest."""
    # Imports are most of what verifying a small image costs, and nothing else needs these modules.
    from .layers.reader import read_layers

    engines: dict[str, list[Engine]] = {}
    images: dict[str, Image] = {}
    for engine in dict.fromkeys(engine for runtime in policy.runtimes for engine in runtime.engines):
        image = views.of(engine)
        if image.manifest:
            images[image.manifest.document.digest] = image
            accepting = engines.setdefault(image.manifest.document.digest, [])
            accepting += [engine] if accepts(image, engine) else []
    return {
        digest: read_layers(images[digest], source, tuple(accepting), ends_at=ends_at)
        for digest, accepting in engines.items()
    }


def judge(views: Views, policy: Policy, contents: Mapping[str, Contents]) -> tuple[Finding, ...]:
    """Run every check for every runtime; findings that are equal for several runtimes become one.

    :param views: what is known of the image.
    :param policy: what is required of it.
    :param contents: the facts that the bytes of layers give, by the digest of the manifest; empty where they were not
        read.
    :returns: the findings, gravest first.
    """
    runs_on: dict[Finding, list[str]] = {}
    places: dict[Finding, int] = {}
    for runtime in policy.runtimes:
        by_host = {host: _judge_for(host, runtime, views, policy, contents) for host in runtime.on_hosts}
        for place, finding in weigh(by_host):
            complete = _complete(finding, runtime, policy)
            runs_on.setdefault(complete, []).append(runtime.name)
            places.setdefault(complete, place)
    findings = sorted(runs_on, key=lambda f: (_GRAVITY[f.severity], places[f]))
    return tuple(replace(finding, runs_on=tuple(runs_on[finding])) for finding in findings)


def _judge_for(
    host: HostEngine, runtime: Runtime, views: Views, policy: Policy, contents: Mapping[str, Contents]
) -> list[Placed]:
    """The findings of one engine, each with the place of its check in the order of all checks."""
    engine = host.engine
    image = views.of(engine)
    read = contents.get(image.manifest.document.digest) if image.manifest else None
    subject = Subject(image, runtime, policy, engine)
    found: list[Placed] = []
    place = 0
    for applies, checks in checks_for(read):
        if applies(image, engine):
            found += [(place + i, finding) for i, check in enumerate(checks) for finding in check(subject)]
        place += len(checks)
    return found


def _complete(finding: Finding, runtime: Runtime, policy: Policy) -> Finding:
    return replace(
        finding,
        runtime_error=runtime.error(CATALOG[finding.id], finding.runtime_error),
        acknowledged=policy.acknowledge.get(finding.id, ""),
    )
