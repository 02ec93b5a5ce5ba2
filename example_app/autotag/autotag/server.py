"""The HTTP side: POST /tags with a text, a page or an image; GET /health."""

from __future__ import annotations

import json
import signal
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from autotag.tags import UnreadableError, suggest

MAX_BODY = 10 * 1024 * 1024


class Handler(BaseHTTPRequestHandler):
    """One request."""

    timeout = 15  # seconds for a client that stops in the middle

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(HTTPStatus.OK, {"status": "ok"})
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "there are POST /tags and GET /health"})

    def do_POST(self) -> None:
        if self.path != "/tags":
            self._answer(HTTPStatus.NOT_FOUND, {"error": "there are POST /tags and GET /health"})
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self._answer(HTTPStatus.LENGTH_REQUIRED, {"error": "send a Content-Length"})
        elif int(length) > MAX_BODY:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": f"at most {MAX_BODY} bytes"})
        else:
            try:
                tags = suggest(self.headers.get_content_type(), self.rfile.read(int(length)))
            except UnreadableError as error:
                self._answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, {"error": str(error)})
            else:
                self._answer(HTTPStatus.OK, {"tags": tags})

    def _answer(self, status: HTTPStatus, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def serve(port: int) -> None:
    """Serve until SIGTERM, which is what ECS sends first."""
    server = ThreadingHTTPServer(("", port), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"autotag listens on {port}")
    server.serve_forever()
