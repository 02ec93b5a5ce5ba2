"""A Docker API on a socket of this machine, with fixed answers."""

from __future__ import annotations

import socketserver
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

Answers = Mapping[str, tuple[HTTPStatus, bytes]]


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    answers: Answers
    requests: list[str]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client may end a request early."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        status, body = self.server.answers.get(self.path, (HTTPStatus.NOT_FOUND, b'{"message": "No such image"}'))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def docker_server(answers: Answers, requests: list[str] | None = None) -> Iterator[str]:
    """Serve answers, and yield the DOCKER_HOST of the server.

    :param answers: the status and body for each path.
    :param requests: receives the path of each request.
    """
    # A socket's path has at most 108 bytes.
    with tempfile.TemporaryDirectory(prefix="docker-") as folder:
        server = _Server(f"{folder}/docker.sock", _Handler)
        server.answers, server.requests = answers, requests if requests is not None else []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"unix://{folder}/docker.sock"
        finally:
            server.shutdown()
            server.server_close()
