"""Connections to registries, with timeouts for whole responses and not only between two bytes."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event, Timer
from typing import TYPE_CHECKING, Final

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import TimeoutError

if TYPE_CHECKING:
    from urllib3.response import HTTPResponse

# The number of requests for one image at the same time.
AT_ONCE: Final = 32
# The time from the request to the response's body, in seconds: a server that sends a byte now and then, or endless
# "100 Continue" lines, never pauses for as long as the timeout of `read`. https://github.com/python/cpython/blob/v3.14.0/Lib/http/client.py
RESPONSE_TIMEOUT: Final = 60


@contextmanager
def _closing_after_timeout(connection: socket.socket | None) -> Iterator[None]:
    timed_out = Event()

    def close() -> None:
        timed_out.set()
        if connection:
            with suppress(OSError):  # already closed
                # Not through TLS, which another thread is using.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = Timer(RESPONSE_TIMEOUT, close)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception:
        if timed_out.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


class _Connection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        with _closing_after_timeout(self.sock):
            return super().getresponse()


class _TlsConnection(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        with _closing_after_timeout(self.sock):
            return super().getresponse()


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def connections(context: ssl.SSLContext | None = None, proxy: str = "") -> urllib3.PoolManager:
    """A pool of connections, which are kept for the next request to the same host.

    :param context: the TLS context; loading the machine's certificates costs more than a request.
    :param proxy: the URL of the proxy for all hosts.
    """
    kind = partial(urllib3.ProxyManager, proxy) if proxy else urllib3.PoolManager
    manager = kind(
        num_pools=AT_ONCE,
        maxsize=2 * AT_ONCE,
        timeout=urllib3.Timeout(connect=10, read=30),
        retries=False,
        ssl_context=context,
    )
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return manager
