"""What the reference points at: is it there, is it whole, does it lead to this platform's manifest."""

from __future__ import annotations

from collections.abc import Iterator

from .. import media_types
from ..findings import Finding, Severity
from ..image import MAX_MANIFEST_BYTES, Document, Image, Index, Manifest, sha256
from ..policy import Policy
from ..runtimes import Runtime


def exists(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The reference points at something, and an index's child is there."""
    if image.top is None and image.status == "ACTIVE":
        yield Finding(
            "image-missing",
            Severity.ERROR,
            f"There is no image {image.reference}.",
            runtime_error=f'failed to resolve reference "{image.reference}": {image.reference}: not found',
        )
    if image.missing and not image.manifest:
        digest = image.missing.digest
        yield Finding(
            "manifest-missing",
            Severity.ERROR,
            f"The index names {digest} for {policy.platform}, and the repository does not hold it.",
            runtime_error=f"failed to copy: httpReadSeeker: failed open: could not fetch content descriptor "
            f"{digest} ({image.missing.media_type}) from remote: not found",
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
            runtime_error=f'failed to resolve reference "{image.reference}": {image.reference}: not found',
        )


def is_readable(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The engine's decoder takes the index and the manifest."""
    if image.unreadable and image.unreadable[0] != "config":
        what, why = image.unreadable
        digest = image.document.digest if image.document else ""
        yield Finding(
            "manifest-unreadable",
            Severity.ERROR,
            f"The {what} {digest} cannot be read: {why}.",
            runtime_error=f"children: invalid desc {digest}: {why}",
        )


def _documents(image: Image) -> list[Document]:
    documents = [index.document for index in image.indexes]
    if image.document and image.document not in documents:
        documents.append(image.document)
    return documents


def is_whole(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """Digest and size of the index and the manifest are what names them says."""
    documents = _documents(image)
    for document in documents:
        actual = sha256(document.content)
        if actual != document.digest:
            yield Finding(
                "manifest-digest-mismatch",
                Severity.ERROR,
                f"The bytes of {document.digest} have the digest {actual}.",
                expected=document.digest,
                found=actual,
                runtime_error=f'failed commit on ref "manifest-{document.digest}": unexpected commit digest '
                f"{actual}, expected {document.digest}: failed precondition",
            )
        if document.size > MAX_MANIFEST_BYTES:
            yield Finding(
                "manifest-too-large",
                Severity.ERROR,
                f"The manifest has {document.size} bytes, and engines take {MAX_MANIFEST_BYTES}.",
                expected=f"at most {MAX_MANIFEST_BYTES} bytes",
                found=f"{document.size} bytes",
                runtime_error=f"rejecting {document.size} byte manifest",
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
                runtime_error=size_error(descriptor.digest, descriptor.size, document.size, "manifest"),
            )


def size_error(digest: str, declared: int, actual: int, ref: str) -> str:
    """What containerd says when a descriptor's size is not the size of what it names."""
    if declared == 0:
        return f"unable to fetch descriptor ({digest}) which reports content size of zero: invalid argument"
    if declared > actual:
        return "failed to read expected number of bytes: unexpected EOF"
    name = f'"{ref}-{digest}"'
    return f"failed commit on ref {name}: {name} failed size validation: {actual} != {declared}: failed precondition"


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
            wording = "if present, mediaType" if optional else "mediaType"
            yield Finding(
                "manifest-type-mismatch",
                Severity.ERROR,
                f"The registry serves {document.document.digest} as {served}, and it says of itself "
                f"{declared or 'nothing'}.",
                expected=served,
                found=declared,
                runtime_error=f"{wording} in manifest should be '{served}' not '{declared}'",
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
        runtime_error=f"no matching manifest for {policy.platform} in the manifest list entries"
        if runtime.engines[0].family == "dockerd"
        else "no match for platform in manifest: not found",
    )


def is_taken_as_it_is(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The runtime takes an index where the tag points at one, and schema 1 where it is that."""
    if image.indexes and not runtime.takes_index:
        yield Finding(
            "index-not-taken",
            Severity.ERROR,
            f"The tag points at an index ({image.indexes[0].document.media_type}), and {runtime.title} takes "
            "only a single image's manifest.",
            expected=" or ".join(sorted(media_types.MANIFESTS)),
            found=image.indexes[0].document.media_type,
            runtime_error=runtime.index_error.format(uri=image.reference),
        )
    if image.document and image.document.media_type in media_types.SCHEMA_1:
        taken = all(engine.schema_1 for engine in runtime.engines)
        yield Finding(
            "schema-1",
            Severity.WARNING if taken else Severity.ERROR,
            "The manifest is a Docker schema 1 manifest, which "
            + ("newer engines no longer take; nothing else was checked." if taken else "is no longer supported."),
            expected=" or ".join(sorted(media_types.MANIFESTS)),
            found=image.document.media_type,
            runtime_error=""
            if taken
            else "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed.",
        )
