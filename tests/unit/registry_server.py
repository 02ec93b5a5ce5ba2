"""A registry on this machine that misbehaves on demand and records its requests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from image_verifier.image import media_types
from image_verifier.image.model import sha256

from tests.unit.local_server import listening

JSON = "application/json"
SELF_SIGNED = Path(__file__).with_name("certificates") / "self-signed.pem"


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """A response.

    :param cut: the number of bytes that are announced and never sent.
    :param pace: the seconds between two bytes.
    :param endless: bytes that are sent again and again in place of a response, until the client ends the connection.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0
    pace: float = 0.0
    endless: bytes = b""


Gate = Callable[[Asked], Answer | None]


class Registry:
    """Manifests and blobs by their paths. `gate` receives every request first, and may respond to it."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        self.gate: Gate = lambda asked: None
        self.knows_ranges = True
        self.host = ""

    def put(self, path: str, content: bytes, media_type: str = "application/octet-stream") -> str:
        """Store a document, and return its digest."""
        digest = sha256(content)
        headers = {"Content-Type": media_type, "Docker-Content-Digest": digest}
        self.answers[path.format(digest)] = Answer(200, content, headers)
        return digest

    def image(self, name: str, tag: str, layers: int = 2) -> dict[str, Any]:
        """Store a healthy linux/amd64 image, and return its manifest."""
        contents = [b"layer %d" % number for number in range(layers)]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/run"]},
            "rootfs": {"type": "layers", "diff_ids": [sha256(b"tar %d" % n) for n in range(layers)]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": self._blob(name, media_types.OCI_CONFIG, json.dumps(config).encode()),
            "layers": [self._blob(name, media_types.OCI_LAYER + "+gzip", content) for content in contents],
        }
        content = json.dumps(manifest).encode()
        self.put(f"/v2/{name}/manifests/{tag}", content, media_types.OCI_MANIFEST)
        self.put(f"/v2/{name}/manifests/{{}}", content, media_types.OCI_MANIFEST)
        return manifest

    def _blob(self, name: str, media_type: str, content: bytes) -> dict[str, Any]:
        digest = self.put(f"/v2/{name}/blobs/{{}}", content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def answer(self, asked: Asked) -> Answer:
        """The response to a request."""
        missing = Answer(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}', {"Content-Type": JSON})
        return self.gate(asked) or self.answers.get(asked.path.partition("?")[0], missing)


@contextmanager
def serving(*, https: bool = False) -> Iterator[Registry]:
    """Run a registry on a port of its own."""
    registry = Registry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.command, self.path, dict(self.headers.items()), body)
            registry.asked.append(asked)
            answer = registry.answer(asked)
            while answer.endless:
                self.wfile.write(answer.endless)
                time.sleep(answer.pace)
            content, more = answer.body, dict(answer.headers)
            span = asked.headers.get("Range", "").removeprefix("bytes=")
            status = answer.status
            if span and status == 200 and registry.knows_ranges:
                first, _, last = span.partition("-")
                content, status = content[int(first) : int(last) + 1 if last else None], 206
                more["Content-Range"] = f"bytes {first}-{last or len(answer.body) - 1}/{len(answer.body)}"
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(content) + answer.cut))
            self.end_headers()
            if self.command != "HEAD":
                for part in [content[i : i + 1] for i in range(len(content))] if answer.pace else [content]:
                    self.wfile.write(part)
                    time.sleep(answer.pace)
            if answer.cut:
                self.close_connection = True

        do_GET = do_HEAD = do_POST = _serve  # noqa: N815 - the names that http.server requires

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing; the tests read the recorded requests."""

    with listening(Handler, SELF_SIGNED if https else None) as port:
        registry.host = f"127.0.0.1:{port}"
        yield registry
