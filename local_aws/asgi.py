"""HTTP over bare ASGI: a request, a response, and a call to another ASGI app."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 64 * 1024 * 1024
"""Bytes of an API call's body. Layers and CDK's file assets are streamed, without a limit."""


class BodyTooLarge(Exception):
    """A request's body is longer than its reader accepts."""


class Disconnected(Exception):
    """The client disconnected before it had sent the whole body."""


@dataclass(frozen=True)
class Response:
    """A response. The body is sent as a whole, or chunk by chunk where it is an iterator."""

    status: int
    body: bytes | AsyncIterator[bytes] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """An HTTP request. Header names are in lower case; a repeated query parameter has its first value."""

    scope: Scope
    receive: Receive

    @property
    def method(self) -> str:
        """The HTTP method, in upper case."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """The decoded path."""
        return str(self.scope["path"])

    @property
    def headers(self) -> dict[str, str]:
        """The headers by name, in lower case."""
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.scope["headers"]}

    @property
    def query(self) -> dict[str, str]:
        """The query parameters."""
        pairs = parse_qsl(self.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        return dict(reversed(pairs))

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives.

        :raises Disconnected: when the client disconnects before the end.
        """
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            if body := message.get("body"):
                yield body
            more = message.get("more_body", False)

    async def body(self, limit: int = MAX_BODY) -> bytes:
        """The whole body.

        :param limit: bytes.
        :raises BodyTooLarge: when the body is longer.
        """
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise BodyTooLarge
            parts.append(chunk)
        return b"".join(parts)


def json_response(status: int, value: Any, content_type: str = "application/json", **headers: str) -> Response:
    """A response with a JSON body."""
    return Response(status, json.dumps(value).encode(), {"Content-Type": content_type, **headers})


async def send_response(send: Send, response: Response) -> None:
    """Send a response, with its Content-Length where the body's length is known."""
    headers = dict(response.headers)
    if isinstance(response.body, bytes):
        headers.setdefault("Content-Length", str(len(response.body)))
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        }
    )
    if isinstance(response.body, bytes):
        await send({"type": "http.response.body", "body": response.body})
        return
    async for chunk in response.body:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body"})


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns `body` first, then what the client sends (its disconnect)."""
    pending = True

    async def replayed() -> Message:
        nonlocal pending
        if pending:
            pending = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replayed


async def call(app: App, scope: Scope, body: bytes) -> Response:
    """Call an app with a whole body, and collect its whole response."""
    status = 500
    headers: dict[str, str] = {}
    parts: list[bytes] = []

    async def disconnect() -> Message:
        return {"type": "http.disconnect"}

    async def collect(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            headers.update(
                (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in message["headers"]
            )
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(dict(scope), replay(body, disconnect), collect)
    return Response(status, b"".join(parts), headers)
