"""The document that the reference points at: it exists, is intact, and leads to this platform's manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ..image import media_types
from ..image.model import MAX_MANIFEST_BYTES, Descriptor, Document, Image, Index, Manifest, sha256
from ..report import Finding, Severity
from ..rules.engine_messages import engine_message
from ..rules.engines import Engine
from .subject import Subject, finding


def exists(subject: Subject) -> Iterator[Finding]:
    """The reference points at something, and an index's child exists."""
    image = subject.image
    if image.top is None and image.status == "ACTIVE":
        yield finding(
            "image-missing", f"There is no image {image.reference}.", subject.words, reference=image.reference
        )
    if image.missing and not image.manifest:
        digest, media_type = image.missing.digest, image.missing.media_type
        known = media_types.is_index(media_type) or media_types.is_manifest(media_type)
        yield finding(
            "manifest-missing",
            f"The repository does not hold the manifest {digest}, which the index references for "
            f"{subject.policy.platform}.",
            subject.words,
            "other type" if subject.engine.family == "containerd" and not known else "",
            digest=digest,
            media_type=media_type,
        )


def is_active(subject: Subject) -> Iterator[Finding]:
    """ECR has not archived the image; a pull of an archived one is a 404.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/archive-image.html
    """
    image = subject.image
    if image.status != "ACTIVE":
        yield finding(
            "image-archived",
            f"The image's status is {image.status}: ECR does not serve it until it is restored.",
            subject.words,
            expected="ACTIVE",
            found=image.status,
            reference=image.reference,
        )


def is_readable(subject: Subject) -> Iterator[Finding]:
    """The engine's decoder accepts the index and the manifest."""
    image = subject.image
    refused = [("index", index.document, index.problems) for index in image.indexes]
    if image.manifest:
        refused.append(("manifest", image.manifest.document, image.manifest.problems))
    if image.unreadable and image.unreadable[0] != "config" and image.document:
        refused.append((image.unreadable[0], image.document, image.unreadable[1]))
    for what, document, problems in refused:
        digest = document.digest
        why = subject.engine.cannot_read(problems)
        if why:
            error = why.rpartition(f"{digest}: ")[2]
            yield finding(
                "manifest-unreadable",
                f"The {what} {digest} cannot be read: {error}.",
                subject.words,
                "empty" if document.size == 0 and subject.engine.family == "containerd" else "",
                digest=digest,
                why=why,
                error=error,
            )


def _documents(image: Image) -> list[Document]:
    documents = [index.document for index in image.indexes]
    if image.document and image.document not in documents:
        documents.append(image.document)
    return documents


def is_whole(subject: Subject) -> Iterator[Finding]:
    """The index and the manifest have the digest and the size of the descriptors that reference them."""
    documents, words = _documents(subject.image), subject.words
    for document in documents:
        actual = sha256(document.content)
        # Only the beginning of a manifest that is too large was read.
        if not document.is_intact and document.size <= MAX_MANIFEST_BYTES:
            yield finding(
                "manifest-digest-mismatch",
                f"The document {document.digest} does not match its digest: its bytes have the digest {actual}.",
                words,
                expected=document.digest,
                found=actual,
                name=f"manifest-{document.digest}",
                digest=document.digest,
                actual=actual,
            )
        if document.size > MAX_MANIFEST_BYTES:
            yield finding(
                "manifest-too-large",
                f"The manifest is {document.size} bytes or larger, but engines accept at most {MAX_MANIFEST_BYTES}.",
                words,
                expected=f"at most {MAX_MANIFEST_BYTES} bytes",
                found=f"{document.size} bytes",
                size=document.size,
            )
    if not subject.engine.exact_sizes:
        return
    for descriptor, document in zip(subject.image.chosen, documents[1:], strict=False):
        if descriptor.size != document.size:
            yield finding(
                "manifest-size-mismatch",
                f"The size of {document.digest} in the index's descriptor is {descriptor.size} bytes, but the document "
                f"is {document.size} bytes.",
                expected=f"{descriptor.size} bytes",
                found=f"{document.size} bytes",
                runtime_error=size_error("manifest-size-mismatch", descriptor, document.size, subject.engine),
            )


def size_error(finding_id: str, descriptor: Descriptor, actual: int, engine: Engine) -> str:
    """The message of an engine where a descriptor's size is not the size of the content."""
    if engine.family != "containerd":
        return engine_message(finding_id, engine.words)
    variant = "size 0" if descriptor.size == 0 else "too large" if descriptor.size > actual else "too small"
    name = f"{finding_id.partition('-')[0]}-{descriptor.digest}"
    return engine_message(
        finding_id, engine.words, variant, digest=descriptor.digest, name=name, declared=descriptor.size, actual=actual
    )


# The user and password of a URL, and its query, which may be a signature.
_SECRETS: Final = re.compile(r"(?<=://)[^/?#]*@|[?#].*", re.DOTALL)


def foreign_url(descriptor: Descriptor) -> str:
    """The URL that containerd tries before the registry, whatever the descriptor's type; empty if there is none.

    Measured on 2026-11-28 with containerd 1.7.24 and 2.1.9, and Docker's containerd store: after a 404 containerd
    continues with the registry, and every other failure ends the pull. Docker's classic store ignores URLs (25.0.16).
    https://github.com/containerd/containerd/blob/main/core/remotes/docker/fetcher.go, Fetch
    """
    url = next((url for url in descriptor.urls if url.startswith(("http://", "https://"))), "")
    return _SECRETS.sub("", url)


_DOCUMENTS: Final = {
    media_types.OCI_MANIFEST: "manifest",
    media_types.DOCKER_MANIFEST: "manifest",
    media_types.OCI_INDEX: "image index",
    media_types.DOCKER_INDEX: "manifest list",
}


def says_its_type(subject: Subject) -> Iterator[Finding]:
    """The `mediaType` inside a document is the type that the registry reports, where the engine compares them.

    https://github.com/distribution/distribution/blob/main/manifest/schema2/manifest.go, UnmarshalJSON
    """
    image = subject.image
    if not subject.engine.exact_media_type:
        return
    read: list[Index | Manifest] = [*image.indexes, *([image.manifest] if image.manifest else [])]
    for document in read:
        served, declared = document.document.media_type, document.declared_type
        optional = served in (media_types.OCI_MANIFEST, media_types.OCI_INDEX)
        if declared != served and (declared or not optional):
            yield finding(
                "manifest-type-mismatch",
                f"The mediaType in {document.document.digest} is {declared or 'missing'}, but the registry serves it "
                f"as {served}.",
                "dockerd",
                "optional" if optional else "",
                expected=served,
                found=declared,
                what=_DOCUMENTS[served],
            )


def is_what_the_index_says(subject: Subject) -> Iterator[Finding]:
    """The index's descriptor has the document's type; containerd trusts it, and requests nothing else.

    https://github.com/containerd/containerd/blob/main/core/remotes/docker/fetcher.go, Fetch. Where it requests a Docker
    type, registries do not serve an OCI document, measured with containerd 1.6.20 and 1.7.24:
    https://github.com/distribution/distribution/blob/release/2.8/registry/handlers/manifests.go, GetManifest
    """
    if subject.engine.family != "containerd":
        return
    for descriptor, document in zip(subject.image.chosen, _documents(subject.image)[1:], strict=False):
        types = descriptor.media_type, document.media_type
        declared, served = ((media_types.is_index(t), media_types.is_manifest(t)) for t in types)
        is_withheld = types in media_types.OCI_BEHIND_DOCKER
        if declared == served and not is_withheld:
            continue
        yield finding(
            "index-descriptor-type",
            f"The media type of {document.digest} in the index's descriptor is {descriptor.media_type or 'missing'}, "
            f"but the document is {document.media_type}.",
            "containerd",
            "withheld" if is_withheld else "index" if declared[0] else "manifest" if declared[1] else "",
            expected=document.media_type,
            found=descriptor.media_type,
            digest=document.digest,
            media_type=descriptor.media_type,
        )


def has_no_variants(subject: Subject) -> Iterator[Finding]:
    """The index leaves dockerd no choice by the machine's processor, such as between amd64 and amd64/v3.

    https://github.com/moby/moby/blob/master/daemon/internal/distribution/pull_v2.go, maximumSpec
    """
    if subject.engine.family != "dockerd":
        return
    required = replace(subject.policy.platform, variant="")
    for index, chosen in zip(subject.image.indexes, subject.image.chosen, strict=False):
        fitting = [d.platform for d in index.manifests if d.platform and replace(d.platform, variant="") == required]
        if any(platform.variant for platform in fitting):
            held = ", ".join(sorted(map(str, fitting)))
            yield finding(
                "platform-variants",
                f"The index holds several variants of the platform ({held}), and {subject.runtime.title} chooses one "
                f"by the machine's processor. Only the manifest for {chosen.platform or 'any platform'} was checked.",
                severity=Severity.WARNING,
                expected=f"one manifest for {subject.policy.platform}",
                found=held,
            )


def holds_the_platform(subject: Subject) -> Iterator[Finding]:
    """An index holds a manifest for the platform."""
    image, platform = subject.image, subject.policy.platform
    if not image.indexes or len(image.chosen) == len(image.indexes):
        return
    held = ", ".join(sorted({str(d.platform) for d in image.indexes[-1].manifests if d.platform})) or "nothing"
    yield finding(
        "platform-missing",
        f"The index holds no manifest for {platform}; it holds {held}.",
        subject.words,
        expected=str(platform),
        found=held,
        platform=platform,
        digest=image.indexes[-1].document.digest,
    )


def has_its_other_platforms(subject: Subject) -> Iterator[Finding]:
    """The registry holds the index's manifests for other platforms, where the runtime fetches them as well."""
    if not subject.runtime.fetches_whole_index(subject.engine):
        return
    for child in subject.image.absent:
        yield finding(
            "index-incomplete",
            f"The repository does not hold the manifest {child.digest}, which the index references for "
            f"{child.platform or 'no platform'}, and {subject.runtime.title} fetches the manifests of all platforms.",
            "containerd",
            expected="every manifest of the index in the repository",
            found=child.digest,
            url=f".../manifests/{child.digest}",
        )


def is_fetched_from_the_registry(subject: Subject) -> Iterator[Finding]:
    """The index's descriptors have no URL, which containerd would try before the registry."""
    image, indexes = subject.image, subject.image.indexes
    if subject.engine.family != "containerd":
        return
    whole = subject.runtime.fetches_whole_index(subject.engine)
    for child in (child for index in indexes for child in index.manifests) if whole else image.chosen:
        if url := foreign_url(child):
            yield finding(
                "manifest-foreign",
                f"The manifest {child.digest} is fetched from {url}, not from the registry.",
                severity=Severity.WARNING,
                expected="a manifest that the registry holds",
                found=url,
            )


def is_taken_as_it_is(subject: Subject) -> Iterator[Finding]:
    """The runtime accepts manifests of this type, and an index where the tag points at one."""
    image, runtime = subject.image, subject.runtime
    accepted = " or ".join(sorted(media_types.MANIFESTS - set(runtime.refused_manifests)))
    index = image.indexes[0].document.media_type if image.indexes else ""
    if index in runtime.refused_manifests:
        yield finding(
            "index-not-taken",
            f"The tag points at an index ({index}), but {runtime.title} accepts only a single image's manifest.",
            expected=accepted,
            found=index,
            runtime_error=runtime.refused_manifests[index].format(uri=image.reference, media_type=index),
        )
    manifest = image.manifest.document.media_type if image.manifest else ""
    if manifest in runtime.refused_manifests:
        yield finding(
            "manifest-type-refused",
            f"The image's manifest has the type {manifest}, which {runtime.title} refuses.",
            expected=accepted,
            found=manifest,
            runtime_error=runtime.refused_manifests[manifest].format(uri=image.reference, media_type=manifest),
        )
