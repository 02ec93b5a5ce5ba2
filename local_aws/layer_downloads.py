"""Download URLs for blobs, as S3 presigns them: they expire, support ranges, and refuse an Authorization header."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlencode

from local_aws.asgi import Request, Response
from local_aws.fault_injection import InjectedFaults
from local_aws.store import Store

PREFIX = "/_local/layers/"
_LIFETIME = 3600
"""Seconds."""
_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


class LayerDownloads:
    """Signs and serves `/_local/layers/<digest>`."""

    def __init__(self, store: Store, faults: InjectedFaults) -> None:
        self._store, self._faults = store, faults
        self._key = secrets.token_bytes(32)

    def url(self, base: str, digest: str) -> str:
        """A URL for a blob, valid for an hour.

        :param base: our address as the caller reached it.
        """
        expires = str(int(time.time()) + _LIFETIME)
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Expires": expires,
            "X-Amz-SignedHeaders": "host",
            "X-Amz-Signature": self._signature(digest, expires),
        }
        return f"{base}{PREFIX}{digest}?{urlencode(query)}"

    def serve(self, request: Request) -> Response:
        """Answer GET or HEAD of a URL that `url` returned."""
        digest = request.path.removeprefix(PREFIX)
        expires = request.query.get("X-Amz-Expires", "0")
        if "authorization" in request.headers:
            return _s3_error(400, "InvalidArgument", "Only one auth mechanism allowed")
        if not hmac.compare_digest(self._signature(digest, expires), request.query.get("X-Amz-Signature", "")):
            return _s3_error(403, "SignatureDoesNotMatch", "The request signature does not match")
        if int(expires) < time.time():
            return _s3_error(403, "AccessDenied", "Request has expired")
        effect = self._faults.of_content(digest)
        size = self._store.blob_size(digest)
        if size is None or effect == "gone":
            return _s3_error(404, "NoSuchKey", "The specified key does not exist.")
        return self._answer(request, digest, size, effect)

    def _answer(self, request: Request, digest: str, size: int, effect: str | None) -> Response:
        headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        start, end, status = 0, size - 1, 200
        wanted = _RANGE.match(request.headers.get("range", ""))
        if wanted and any(wanted.groups()):
            first, last = wanted.groups()
            start = int(first) if first else max(0, size - int(last))
            end = min(size - 1, int(last)) if first and last else size - 1
            if start >= size:
                return _s3_error(416, "InvalidRange", "The requested range is not satisfiable")
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end}/{size}"
        length = end - start + 1
        headers["Content-Length"] = str(length)
        if request.method == "HEAD":
            return Response(status, b"", headers)
        chunks = self._store.read(digest, start, length // 2 if effect == "truncated" else length)
        if effect == "corrupt":
            chunks = (bytes(byte ^ 0xFF for byte in chunk) for chunk in chunks)
        return Response(status, _iterate(chunks, cut=effect == "truncated"), headers)

    def _signature(self, digest: str, expires: str) -> str:
        return hmac.new(self._key, f"{digest}\n{expires}".encode(), hashlib.sha256).hexdigest()


class CutOff(Exception):
    """A fault ends this download in the middle."""


async def _iterate(chunks: Iterator[bytes], cut: bool = False) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if cut:
        raise CutOff


def _s3_error(status: int, code: str, message: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(status, body.encode(), {"Content-Type": "application/xml"})
