"""HTTP on raw sockets, and the faults that an answer can have on its way."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A whole answer.

    :param length: the announced length; None announces none, and the connection is closed after the body.
    :param range: the bytes of the whole that the body is, as Content-Range says it; empty for all of them.
    """

    status: int
    body: bytes
    media_type: str
    length: int | None = -1
    chunked: bool = False
    range: str = ""

    def head(self) -> bytes:
        headers = {"Content-Type": self.media_type} if self.media_type else {}
        if self.range:
            headers["Content-Range"] = self.range
        if self.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif self.length is not None:
            headers["Content-Length"] = str(len(self.body) if self.length < 0 else self.length)
        else:
            headers["Connection"] = "close"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} -\r\n{lines}\r\n".encode()


@dataclass(frozen=True)
class Fault:
    """A change of an answer on its way.

    :param name: its name.
    :param change: changes the answer.
    :param head: the part of the head that is sent, from 0 to 1.
    :param closes: whether the connection is closed after the answer, without TLS's farewell.
    :param resets: whether it is reset then.
    :param delay: seconds before the answer.
    :param trickles: whether the body never ends: a byte each tenth of a second.
    :param acts: whether AWS has done what was requested; if not, the request did not arrive, or was refused.
    :param transient: whether the next attempt may come at once, and is worth it.
    """

    name: str
    change: Callable[[Answer], Answer] = lambda answer: answer
    head: float = 1.0
    closes: bool = False
    resets: bool = False
    delay: float = 0.0
    trickles: bool = False
    acts: bool = True
    transient: bool = True


def _says(status: int, body: bytes, media_type: str) -> Callable[[Answer], Answer]:
    return lambda _: Answer(status, body, media_type)


def _body(body: bytes) -> Callable[[Answer], Answer]:
    return lambda answer: replace(answer, status=200, body=body)


def _aws_error(code: str, status: int) -> Callable[[Answer], Answer]:
    def change(answer: Answer) -> Answer:
        if answer.media_type == "text/xml":
            text = f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
            return Answer(status, text.encode(), "text/xml")
        if "json" in answer.media_type:
            body = json.dumps({"__type": code, "message": "no"}).encode()
            return Answer(status, body, answer.media_type)
        return Answer(status, f"<Error><Code>{code}</Code></Error>".encode(), "application/xml")

    return change


def _half(answer: Answer) -> Answer:
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def _without_lists(answer: Answer) -> Answer:
    """The same answer with empty lists: nothing that was requested is in it."""
    if answer.media_type == "text/xml":
        return replace(answer, body=re.sub(rb"<member>.*</member>", b"", answer.body))
    if "json" not in answer.media_type:
        return replace(answer, body=b"")
    document = {key: [] if isinstance(value, list) else "" for key, value in json.loads(answer.body).items()}
    return replace(answer, body=json.dumps(document).encode())


def _about_another(answer: Answer) -> Answer:
    """The same answer about another digest, tag and stack."""
    body = re.sub(rb"sha256:[0-9a-f]{64}", b"sha256:" + b"0" * 64, answer.body)
    body = re.sub(rb"Demo-\d+", b"Other", re.sub(rb'"c0ffee"', b'"other"', body))
    return replace(answer, body=body if body != answer.body else b"another answer")


def _of_other_types(answer: Answer) -> Answer:
    if "json" not in answer.media_type:
        return replace(answer, body=b"7")

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(item) for item in value]
        return {key: changed(item) for key, item in value.items()} if isinstance(value, dict) else 7

    return replace(answer, body=json.dumps(changed(json.loads(answer.body))).encode())


_HTML = b"<html>Blocked by policy</html>"
FAULTS = [
    Fault("no answer", head=0, closes=True),
    Fault("a reset", head=0, resets=True),
    Fault("half a head", head=0.5, closes=True),
    Fault("a head alone", lambda a: replace(a, body=b"", length=len(a.body) or 1), closes=True),
    Fault("half a body", lambda a: replace(_half(a), length=len(a.body) or 1), closes=True),
    Fault("a reset in the body", lambda a: replace(_half(a), length=len(a.body) or 1), resets=True),
    Fault("half a body of no length", lambda a: replace(_half(a), length=None), closes=True),
    Fault("half a body of half the length", _half),
    Fault("half a chunk", lambda a: replace(a, chunked=True), closes=True),
    Fault("an empty body", _body(b"")),
    Fault("an empty object", _body(b"{}")),
    Fault("null", _body(b"null")),
    Fault("a list", _body(b"[]")),
    Fault("an empty element", _body(b"<a/>")),
    Fault("bytes", _body(b"\xff\xfe\x00garbage")),
    Fault("more than the body", lambda a: replace(a, body=a.body + b"}>")),
    Fault("empty lists", _without_lists),
    Fault("another answer", _about_another),
    Fault("other types", _of_other_types),
    Fault("a web page", _says(200, _HTML, "text/html"), acts=False),
    Fault("a web page without a type", _says(200, _HTML, ""), acts=False),
    Fault("a forbidden web page", _says(403, _HTML, "text/html"), acts=False, transient=False),
    Fault("a missing web page", _says(404, _HTML, "text/html"), acts=False),
    Fault("an unavailable web page", _says(503, _HTML, "text/html"), acts=False),
    Fault("an empty refusal", _says(400, b"", ""), acts=False),
    Fault("a refusal of nothing", _says(400, b"{}", "application/x-amz-json-1.1"), acts=False),
    Fault("throttled", _aws_error("ThrottlingException", 400), acts=False),
    Fault("failed", _aws_error("InternalFailure", 500)),
    Fault("denied", _aws_error("AccessDeniedException", 400), acts=False),
    Fault("delayed", delay=0.01),
]
# Not one of the others: where Python's stack is at its end, the finalizers of other tests' objects fail, too.
DEEP = Fault("JSON that is too deep", _body(b"[" * 100_000))
# A body that would end would leave its connection to the next request, with the rest of the trickle in it.
TRICKLE = Fault("a trickle", lambda a: replace(a, length=1 << 30), trickles=True, transient=False)


class Connection:
    """A client's connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._buffer = connection, b""

    def close(self) -> None:
        """End the connection without TLS's farewell, as a NAT or a proxy that goes away does."""
        raw = socket.socket(fileno=self._socket.detach())
        raw.close()

    def request(self) -> tuple[str, dict[str, str], bytes] | None:
        """The next request: its first line, its headers and its body; None at the end."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in rest)}
        length = int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            if not self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return line, headers, body

    def _more(self) -> bool:
        data = self._socket.recv(1 << 16)
        self._buffer += data
        return bool(data)

    def send(self, answer: Answer, fault: Fault | None, over: threading.Event) -> bool:
        """Send an answer with its fault; whether the connection goes on.

        :param over: set when what trickles must end.
        """
        if fault is None:
            self._socket.sendall(answer.head() + answer.body)
            return answer.length is not None
        over.wait(fault.delay)
        answer = fault.change(answer)
        head = answer.head()
        if fault.trickles:
            self._socket.sendall(head)
            while not over.wait(0.1):
                self._socket.sendall(b" ")
        body = f"{len(answer.body) + 5:x}\r\n".encode() + answer.body if answer.chunked else answer.body
        self._socket.sendall(head[: int(len(head) * fault.head)] + (body if fault.head == 1 else b""))
        if fault.resets:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return not (fault.closes or fault.resets or answer.length is None)
