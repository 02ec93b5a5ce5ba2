"""What the reference points at: is it there, is it whole, does it lead to this platform's manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Final

from ..image import media_types
from ..image.model import MAX_MANIFEST_BYTES, Descriptor, Document, Image, Index, Manifest, sha256
from ..policy import Policy
from ..report import Finding, Severity
from ..rules.engine_messages import engine_message
from ..rules.runtimes import Runtime


def exists(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The reference points at something, and an index's child is there."""
    if image.top is None and image.status == "ACTIVE":
        yield Finding(
            "image-missing",
            Severity.ERROR,
            f"There is no image {image.reference}.",
            runtime_error=engine_message("image-missing", runtime.engines[0].family, reference=image.reference),
        )
    if image.missing and not image.manifest:
        digest, media_type = image.missing.digest, image.missing.media_type
        known = media_types.is_index(media_type) or media_types.is_manifest(media_type)
        family = runtime.engines[0].family
        yield Finding(
            "manifest-missing",
            Severity.ERROR,
            f"The index names {digest} for {policy.platform}, and the repository does not hold it.",
            runtime_error=engine_message(
                "manifest-missing",
                family,
                "other type" if family == "containerd" and not known else "",
                digest=digest,
                media_type=media_type,
            ),
        )


def is_active(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """ECR has not archived the image; a pull of an archived one is a 404.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/archive-image.html
    """
    if image.status != "ACTIVE":
        yield Finding(
            "image-archived",
            Severity.ERROR,
            f"The image's status is {image.status}: ECR does not serve it until it is restored.",
            expected="ACTIVE",
            found=image.status,
            runtime_error=engine_message("image-archived", runtime.engines[0].family, reference=image.reference),
        )


def is_readable(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The engine's decoder takes the index and the manifest."""
    refused = [("index", index.document.digest, index.problems) for index in image.indexes]
    if image.manifest:
        refused.append(("manifest", image.manifest.document.digest, image.manifest.problems))
    if image.unreadable and image.unreadable[0] != "config" and image.document:
        refused.append((image.unreadable[0], image.document.digest, image.unreadable[1]))
    for (what, digest, problems), engine in product(refused, runtime.engines):
        why = engine.cannot_read(problems)
        if why:
            yield Finding(
                "manifest-unreadable",
                Severity.ERROR,
                f"The {what} {digest} cannot be read: {why.rpartition(f'{digest}: ')[2]}.",
                runtime_error=engine_message("manifest-unreadable", engine.family, why=why),
            )


def _documents(image: Image) -> list[Document]:
    documents = [index.document for index in image.indexes]
    if image.document and image.document not in documents:
        documents.append(image.document)
    return documents


def is_whole(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """Digest and size of the index and the manifest are what names them says."""
    documents = _documents(image)
    family = runtime.engines[0].family
    for document in documents:
        actual = sha256(document.content)
        # Of a manifest that is too large only its beginning was read.
        if actual != document.digest and document.size <= MAX_MANIFEST_BYTES:
            yield Finding(
                "manifest-digest-mismatch",
                Severity.ERROR,
                f"The bytes of {document.digest} have the digest {actual}.",
                expected=document.digest,
                found=actual,
                runtime_error=engine_message(
                    "manifest-digest-mismatch",
                    family,
                    name=f"manifest-{document.digest}",
                    digest=document.digest,
                    actual=actual,
                ),
            )
        if document.size > MAX_MANIFEST_BYTES:
            yield Finding(
                "manifest-too-large",
                Severity.ERROR,
                f"The manifest has {document.size} bytes or more, and engines take {MAX_MANIFEST_BYTES}.",
                expected=f"at most {MAX_MANIFEST_BYTES} bytes",
                found=f"{document.size} bytes",
                runtime_error=engine_message("manifest-too-large", family, size=document.size),
            )
    if not any(engine.exact_sizes for engine in runtime.engines):
        return
    for descriptor, document in zip(image.chosen, documents[1:], strict=False):
        if descriptor.size != document.size:
            yield Finding(
                "manifest-size-mismatch",
                Severity.ERROR,
                f"The index says that {document.digest} has {descriptor.size} bytes; it has {document.size}.",
                expected=f"{descriptor.size} bytes",
                found=f"{document.size} bytes",
                runtime_error=size_error("manifest-size-mismatch", descriptor, document.size, family),
            )


def size_error(finding_id: str, descriptor: Descriptor, actual: int, family: str) -> str:
    """What an engine says when a descriptor's size is not the size of what it names."""
    if family != "containerd":
        return engine_message(finding_id, family)
    variant = "size 0" if descriptor.size == 0 else "too large" if descriptor.size > actual else "too small"
    name = f"{finding_id.partition('-')[0]}-{descriptor.digest}"
    return engine_message(
        finding_id, family, variant, digest=descriptor.digest, name=name, declared=descriptor.size, actual=actual
    )


_DOCUMENTS: Final = {
    media_types.OCI_MANIFEST: "manifest",
    media_types.DOCKER_MANIFEST: "manifest",
    media_types.OCI_INDEX: "image index",
    media_types.DOCKER_INDEX: "manifest list",
}


def says_its_type(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The `mediaType` inside a document is the one that the registry says, where the engine compares them.

    https://github.com/distribution/distribution/blob/main/manifest/schema2/manifest.go, UnmarshalJSON
    """
    if not any(engine.exact_media_type for engine in runtime.engines):
        return
    read: list[Index | Manifest] = [*image.indexes, *([image.manifest] if image.manifest else [])]
    for document in read:
        served, declared = document.document.media_type, document.declared_type
        optional = served in (media_types.OCI_MANIFEST, media_types.OCI_INDEX)
        if declared != served and (declared or not optional):
            yield Finding(
                "manifest-type-mismatch",
                Severity.ERROR,
                f"The registry serves {document.document.digest} as {served}, and it says of itself "
                f"{declared or 'nothing'}.",
                expected=served,
                found=declared,
                runtime_error=engine_message(
                    "manifest-type-mismatch",
                    "dockerd",
                    "optional" if optional else "",
                    what=_DOCUMENTS[served],
                    expected=served,
                    found=declared,
                ),
            )


def is_what_the_index_says(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The index says of its manifest what kind of document it is; containerd believes it and not the registry.

    https://github.com/containerd/containerd/blob/main/core/remotes/docker/fetcher.go, Fetch
    """
    if all(engine.family != "containerd" for engine in runtime.engines):
        return
    for descriptor, document in zip(image.chosen, _documents(image)[1:], strict=False):
        kinds = [
            (media_types.is_index(t), media_types.is_manifest(t)) for t in (descriptor.media_type, document.media_type)
        ]
        if kinds[0] == kinds[1]:
            continue
        variant = "index" if kinds[0][0] else "manifest" if kinds[0][1] else ""
        yield Finding(
            "index-descriptor-type",
            Severity.ERROR,
            f"The index says that {document.digest} is typed {descriptor.media_type or 'nothing'}; it is "
            f"{document.media_type}.",
            expected=document.media_type,
            found=descriptor.media_type,
            runtime_error=engine_message(
                "index-descriptor-type",
                "containerd",
                variant,
                digest=document.digest,
                media_type=descriptor.media_type,
            ),
        )


def has_no_variants(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The index leaves dockerd no choice by the machine's processor, such as between amd64 and amd64/v3.

    https://github.com/moby/moby/blob/master/daemon/internal/distribution/pull_v2.go, maximumSpec
    """
    if all(engine.family != "dockerd" for engine in runtime.engines):
        return
    for index, chosen in zip(image.indexes, image.chosen, strict=False):
        asked = replace(policy.platform, variant="")
        fitting = [d.platform for d in index.manifests if d.platform and replace(d.platform, variant="") == asked]
        if any(platform.variant for platform in fitting):
            held = ", ".join(sorted(map(str, fitting)))
            yield Finding(
                "platform-variants",
                Severity.WARNING,
                f"The index holds manifests for {held}, among which {runtime.title} chooses by the machine's "
                f"processor; the one for {chosen.platform or 'any platform'} was checked.",
                expected=f"one manifest for {policy.platform}",
                found=held,
            )


def holds_the_platform(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """An index holds a manifest for the platform."""
    if not image.indexes or len(image.chosen) == len(image.indexes):
        return
    index = image.indexes[-1]
    held = ", ".join(sorted({str(d.platform) for d in index.manifests if d.platform})) or "nothing"
    yield Finding(
        "platform-missing",
        Severity.ERROR,
        f"The index holds no manifest for {policy.platform}; it holds {held}.",
        expected=str(policy.platform),
        found=held,
        runtime_error=engine_message("platform-missing", runtime.engines[0].family, platform=policy.platform),
    )


def has_its_other_platforms(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The registry holds the index's manifests for other platforms, where an engine fetches them as well."""
    if not any(engine.whole_index for engine in runtime.engines):
        return
    for child in image.absent:
        yield Finding(
            "index-incomplete",
            Severity.ERROR,
            f"The index names {child.digest} for {child.platform or 'no platform'}, the repository does not hold it, "
            f"and {runtime.title} fetches the manifests of all platforms.",
            expected="an index all of whose manifests the repository holds",
            found=child.digest,
            runtime_error=engine_message("index-incomplete", "containerd", url=f".../manifests/{child.digest}"),
        )


def is_taken_as_it_is(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The runtime takes manifests of these types, an index where the tag points at one, and schema 1."""
    taken_types = " or ".join(sorted(media_types.MANIFESTS - set(runtime.refused_manifests)))
    index = image.indexes[0].document.media_type if image.indexes else ""
    if index in runtime.refused_manifests:
        yield Finding(
            "index-not-taken",
            Severity.ERROR,
            f"The tag points at an index ({index}), and {runtime.title} takes only a single image's manifest.",
            expected=taken_types,
            found=index,
            runtime_error=runtime.refused_manifests[index].format(uri=image.reference, media_type=index),
        )
    manifest = image.manifest.document.media_type if image.manifest else ""
    if manifest in runtime.refused_manifests:
        yield Finding(
            "manifest-type-refused",
            Severity.ERROR,
            f"The image's manifest is typed {manifest}, which {runtime.title} refuses.",
            expected=taken_types,
            found=manifest,
            runtime_error=runtime.refused_manifests[manifest].format(uri=image.reference, media_type=manifest),
        )
    if image.document and image.document.media_type in media_types.SCHEMA_1:
        refusing = next((engine for engine in runtime.engines if not engine.schema_1), None)
        yield Finding(
            "schema-1",
            Severity.ERROR if refusing else Severity.WARNING,
            "The manifest is a Docker schema 1 manifest, which "
            + ("is no longer supported." if refusing else "newer engines no longer take; nothing else was checked."),
            expected=" or ".join(sorted(media_types.MANIFESTS)),
            found=image.document.media_type,
            runtime_error=engine_message("schema-1", refusing.family) if refusing else "",
        )
