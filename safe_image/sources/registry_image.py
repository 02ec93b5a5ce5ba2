"""An image in any registry that speaks the OCI distribution protocol."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final

import urllib3
from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.model import MAX_MANIFEST_BYTES, Blob, Descriptor, Document, is_digest, sha256
from image_verifier.image.references import Reference
from image_verifier.retry import RetryBudget
from image_verifier.sources import Resolved, side_by_side
from image_verifier.sources.download import Download
from urllib3.exceptions import HTTPError

from .connections import AT_ONCE
from .distribution import Distribution
from .responses import is_html, read, unreachable

_CHUNK: Final = 1 << 18
# The digits of the largest 64-bit integer.
_MAX_SIZE_DIGITS: Final = 19
# A document or a blob that does not have its digest is downloaded as often before that is a finding.
_MAX_DOWNLOADS: Final = 3
_ACCEPT: Final = {"Accept": ", ".join(media_types.ACCEPTED)}


class RegistryImage:
    """One image of a registry's repository.

    :param distribution: the way to the registries.
    :param reference: the image.
    :param text: the reference as it was written, for messages.
    :param retry_budget: for how long transient errors are retried.
    """

    at_once = 8

    def __init__(self, distribution: Distribution, reference: Reference, text: str, retry_budget: RetryBudget) -> None:
        self._distribution = distribution
        self._registry, self._repository = reference.registry, reference.repository
        self._tag, self._digest = reference.tag, reference.digest
        self.reference = text
        self._retry_budget = retry_budget

    def resolve(self) -> Resolved:
        """The document that the tag or digest points at."""
        return Resolved(self._document(f"manifests/{self._digest or self._tag}", self._digest))

    def manifest(self, descriptor: Descriptor) -> Document | None:
        """The document of an index's child. One that is not a manifest is a blob."""
        if not is_digest(descriptor.digest):
            return None
        known = media_types.is_manifest(descriptor.media_type) or media_types.is_index(descriptor.media_type)
        if known:
            return self._document(f"manifests/{descriptor.digest}", descriptor.digest)
        content = self.blob(descriptor, MAX_MANIFEST_BYTES)
        return None if content is None else Document(descriptor.media_type, descriptor.digest, content)

    def _document(self, path: str, digest: str) -> Document | None:
        document = None
        for _ in range(_MAX_DOWNLOADS):
            document = self._downloaded_document(path, digest)
            if document is None or document.size > MAX_MANIFEST_BYTES or document.is_intact:
                break
        return document

    def _downloaded_document(self, path: str, digest: str) -> Document | None:
        for attempt in itertools.count(1):
            response = self._get(path, _ACCEPT)
            if response is None:
                return None
            try:
                if is_html(response):
                    raise self._web_page("a manifest")
                content = read(response, MAX_MANIFEST_BYTES + 1)
            except HTTPError as e:
                if not self._retry_budget.wait_before_retry(attempt):
                    raise unreachable(self._registry, e) from None
                continue
            finally:
                response.close()
            served = response.headers.get("Docker-Content-Digest", "")
            return Document(
                _media_type(response), digest or (served if is_digest(served) else sha256(content)), content
            )
        raise AssertionError("counting does not end")

    def blob(self, descriptor: Descriptor, limit: int) -> bytes | None:
        """A small blob, at most `limit + 1` bytes of it.

        :raises Fault: if a proxy answers in place of the registry, or the registry does not answer.
        """
        if not is_digest(descriptor.digest):
            return None
        content: bytes | None = b""
        for _ in range(_MAX_DOWNLOADS):
            content = self._read(f"blobs/{descriptor.digest}", limit + 1)
            if content is None or len(content) > limit or sha256(content) == descriptor.digest:
                return content
        # Block pages and login forms of proxies come with any status and type.
        if content and content.lstrip().startswith(b"<"):
            raise self._web_page("a blob")
        return content

    def _web_page(self, wanted: str) -> Fault:
        return Fault(
            f"{self._registry} answered with a web page, not with {wanted}",
            "Check the registry's name; a proxy or a login form may be in the way.",
        )

    def first_bytes(self, descriptor: Descriptor, count: int) -> bytes | None:
        """A blob's first bytes, by a Range request."""
        path = f"blobs/{descriptor.digest}"
        headers = {"Range": f"bytes=0-{count - 1}"}
        return self._read(path, count, headers) if is_digest(descriptor.digest) else None

    def _read(self, path: str, limit: int, headers: Mapping[str, str] | None = None) -> bytes | None:
        for attempt in itertools.count(1):
            response = self._get(path, headers or {})
            if response is None:
                return None
            try:
                # An empty blob has no byte in any range.
                return b"" if response.status == 416 else read(response, limit)
            except HTTPError as e:
                if not self._retry_budget.wait_before_retry(attempt):
                    raise unreachable(self._registry, e) from None
            finally:
                response.close()
        raise AssertionError("counting does not end")

    def availability(self, layers: Sequence[Descriptor]) -> Mapping[str, Blob]:
        """Whether the registry has the layers, and their sizes: one HEAD request for each, in parallel."""
        digests = list(dict.fromkeys(layer.digest for layer in layers if is_digest(layer.digest)))
        with side_by_side(max(1, min(AT_ONCE, len(digests)))) as pool:
            return dict(zip(digests, pool.results(self._availability, digests), strict=True))

    def _availability(self, digest: str) -> Blob:
        response = self._get(f"blobs/{digest}", {}, "HEAD")
        if response is None:
            return Blob(False, None, "UNAVAILABLE")
        length = response.headers.get("Content-Length", "")
        is_size = length.isascii() and length.isdigit() and len(length) <= _MAX_SIZE_DIGITS
        return Blob(True, int(length) if is_size else None, "AVAILABLE")

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes] | None]:
        """A layer's bytes as a stream of chunks. A download that breaks off resumes at its offset."""
        path = f"blobs/{descriptor.digest}"
        return Download(
            descriptor.digest,
            request=lambda headers: self._get(path, headers) if is_digest(descriptor.digest) else None,
            read=lambda response: iter(lambda: read(response, _CHUNK), b""),
            failed=lambda error: unreachable(self._registry, error),
            retry_budget=self._retry_budget,
        ).chunks()

    def _get(self, path: str, headers: Mapping[str, str], method: str = "GET") -> urllib3.BaseHTTPResponse | None:
        return self._distribution.get(
            self._registry, self._repository, path, self._retry_budget, method=method, headers=headers
        )


def _media_type(response: urllib3.BaseHTTPResponse) -> str:
    """The media type that a registry gives a document, read as containerd reads it.

    https://github.com/containerd/containerd/blob/main/core/remotes/docker/resolver.go, getManifestMediaType
    """
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    return media_types.DOCKER_MANIFEST_1 if media_type == "text/plain" else media_type
