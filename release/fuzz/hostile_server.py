"""A registry on this machine whose answers are mutated, the same answer for the same request each time."""

from __future__ import annotations

import json
import random
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Final

from image_verifier.image import media_types

from release.engines.drafts import StoredImage
from release.fuzz.mutations import mutated_bytes, mutated_json

_HOSTILE_HEADERS: Final = (
    "Content-Encoding: gzip",
    "Content-Encoding: " + "gzip, " * 200,
    "Content-Length: " + "9" * 5_000,
    "Content-Length: -1",
    "Transfer-Encoding: chunked",
    "Docker-Content-Digest: sha256:" + "0" * 64,
    "Docker-Content-Digest: \x1b[31m",
    "Content-Type: text/html",
    "Content-Type: " + "x/" * 10_000,
    "Retry-After: " + "9" * 5_000,
    "Retry-After: -1",
    "Location: http://127.0.0.1:99999/",
    "Location: //[::1",
    "Location: \\\\@/",
    "Location: /v2/../..",
    "Content-Range: bytes 5-1/0",
    'WWW-Authenticate: Bearer realm="http://[',
    "WWW-Authenticate: Bearer " + "a" * 50_000,
    'WWW-Authenticate: Basic realm="x"',
)
_STATUSES: Final = (200, 200, 201, 204, 206, 301, 302, 307, 400, 401, 403, 404, 406, 416, 429, 500, 503, 999)


class HostileServer:
    """The answers about one image.

    :param seed: decides which answers are mutated, and how.
    :param challenges: whether a request without authorization is challenged.
    """

    def __init__(self, image: StoredImage, seed: float, *, challenges: bool) -> None:
        self._image, self._seed, self._challenges = image, seed, challenges
        self._host = ""

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Run the server; yields its host and port."""
        answer = self._answer

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                request = self.rfile.readline(10_000).decode("latin-1")
                headers = b"".join(iter(lambda: self.rfile.readline(10_000).strip(b"\r\n"), b""))
                self.wfile.write(answer(request, b"uthorization:" in headers))

        with _Server(("127.0.0.1", 0), Handler) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                self._host = f"127.0.0.1:{server.server_address[1]}"
                yield self._host
            finally:
                server.shutdown()
                thread.join()

    def _answer(self, request: str, authorized: bool) -> bytes:
        method, _, path = request.partition(" ")
        path = path.partition(" ")[0].partition("?")[0]
        rng = random.Random(f"{self._seed} {method} {path} {authorized}")
        status, headers, body = self._healthy(path, authorized)
        is_mutated = rng.random() < 0.3
        if is_mutated and rng.random() < 0.5:
            body = (mutated_json if body.startswith(b"{") else mutated_bytes)(rng, body)
        headers.append(f"Content-Length: {len(body)}")
        if is_mutated and rng.random() < 0.3:
            status = rng.choice(_STATUSES)
        if is_mutated and rng.random() < 0.5:
            headers[rng.randrange(len(headers))] = rng.choice(_HOSTILE_HEADERS)
        if is_mutated and rng.random() < 0.3:
            headers.append(rng.choice(_HOSTILE_HEADERS))
        rest = "\r\n".join(headers).encode("latin-1") + b"\r\n\r\n" + (b"" if method == "HEAD" else body)
        if is_mutated and rng.random() < 0.3:
            rest = mutated_bytes(rng, rest)
        # Never mutated: whether a request on a connection that this server has closed gets through is chance.
        return f"HTTP/1.1 {status} x\r\nConnection: close\r\n".encode() + rest

    def _healthy(self, path: str, authorized: bool) -> tuple[int, list[str], bytes]:
        if path.startswith("/token"):
            return 200, ["Content-Type: application/json"], b'{"token": "t", "expires_in": 60}'
        if self._challenges and not authorized:
            return 401, [f'WWW-Authenticate: Bearer realm="http://{self._host}/token",service="x"'], b"{}"
        name = path.rpartition("/")[2]
        digest = self._image.top if name == "1" else name
        if "/manifests/" in path and digest in self._image.documents:
            media_type, content = self._image.documents[digest]
            return 200, [f"Content-Type: {media_type[:500]}", f"Docker-Content-Digest: {digest[:500]}"], content
        if digest in self._image.blobs:
            return 200, [f"Content-Type: {media_types.OCI_LAYER}"], self._image.blobs[digest]
        return 404, ["Content-Type: application/json"], json.dumps({"errors": []}).encode()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: clients end connections as they like."""
