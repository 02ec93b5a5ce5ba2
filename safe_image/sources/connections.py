"""Connections to registries: limits of time that hold for whole answers, and not between two bytes alone."""

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

# How many requests are under way at once, over all registries.
AT_ONCE: Final = 32
# From the request to the answer's body, in seconds: a server that sends a byte now and then, or "100 Continue" without
# end, is never silent for as long as `read` allows. https://github.com/python/cpython/blob/v3.14.0/Lib/http/client.py
SECONDS_TO_ANSWER: Final = 60


@contextmanager
def _ending(connection: socket.socket | None) -> Iterator[None]:
    over = Event()

    def end() -> None:
        over.set()
        if connection:
            with suppress(OSError):  # closed meanwhile
                # Past TLS, which another thread is using.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = Timer(SECONDS_TO_ANSWER, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception:
        if over.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


class _Connection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        with _ending(self.sock):
            return super().getresponse()


class _TlsConnection(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        with _ending(self.sock):
            return super().getresponse()


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def connections(context: ssl.SSLContext | None = None, proxy: str = "") -> urllib3.PoolManager:
    """Connections that are kept for the next request, to whatever host.

    :param context: for hosts that are reached by TLS; loading the machine's certificates costs more than a request.
    :param proxy: the URL of the proxy on the way to all of them.
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
