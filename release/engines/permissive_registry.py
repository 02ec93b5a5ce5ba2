"""A registry on the loopback that also serves broken manifests, which a real registry refuses."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from image_verifier.image import media_types

from release.engines.drafts import StoredImage


class PermissiveRegistry:
    """Images by repository, served under the tag `t`. Get one with `PermissiveRegistry.start`."""

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.images: dict[str, StoredImage] = {}
        self._numbers = itertools.count()

    @classmethod
    @contextlib.contextmanager
    def start(cls) -> Iterator[PermissiveRegistry]:
        """Serve on a free port of the loopback."""

        class Handler(_Handler):
            pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            Handler.registry = cls(server.server_address[1])
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield Handler.registry
            finally:
                server.shutdown()

    @contextlib.contextmanager
    def serving(self, image: StoredImage) -> Iterator[str]:
        """Serve an image, and yield its reference."""
        name = f"image-{next(self._numbers)}"
        self.images[name] = image
        try:
            yield f"{self.host}/{name}:t"
        finally:
            del self.images[name]

    def find(self, path: str) -> tuple[str, str, bytes] | None:
        """The media type, the digest and the bytes at a path of the distribution API."""
        parts = path.strip("/").split("/")
        if parts == ["v2"]:
            return "application/json", "", b"{}"
        if len(parts) != 4 or parts[1] not in self.images:
            return None
        image, what, name = self.images[parts[1]], parts[2], unquote(parts[3])
        if what == "manifests":
            digest = image.top if name == "t" else name
            found = image.documents.get(digest)
            return (found[0], digest, found[1]) if found else None
        blob = image.blobs.get(name)
        return None if blob is None else ("application/octet-stream", name, blob)


class _Handler(BaseHTTPRequestHandler):
    """https://github.com/opencontainers/distribution-spec/blob/main/spec.md, as far as a pull needs it."""

    registry: PermissiveRegistry
    protocol_version = "HTTP/1.1"
    # A client that tries TLS first falls back to HTTP only if the refusal has a status line.
    default_request_version = "HTTP/1.1"
    # With Nagle's algorithm, the body would wait for the acknowledgement of the headers: 40 ms for each request.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        found = self.registry.find(self.path)
        if found is None:
            code = "MANIFEST_UNKNOWN" if "/manifests/" in self.path else "BLOB_UNKNOWN"
            message = "manifest unknown" if "/manifests/" in self.path else "blob unknown to registry"
            errors = json.dumps({"errors": [{"code": code, "message": message}]})
            self._answer(404, "application/json", errors.encode())
            return
        media_type, digest, content = found
        accepted = ",".join(self.headers.get_all("Accept", []))
        if media_type in (media_types.OCI_MANIFEST, media_types.OCI_INDEX) and media_type not in accepted:
            # As real registries do, and `*/*` does not count:
            # https://github.com/distribution/distribution/blob/release/2.8/registry/handlers/manifests.go, GetManifest
            message = "OCI manifest found, but accept header does not support OCI manifests"
            errors = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": message}]})
            self._answer(404, "application/json", errors.encode())
            return
        self._answer(200, media_type, content, digest)

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, status: int, media_type: str, content: bytes, digest: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def handle(self) -> None:
        """Answer the requests of one connection, which an engine may close early."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
