"""A response has a timeout, also where the server never pauses for long."""

from __future__ import annotations

import ssl
import time

import pytest
import urllib3
from urllib3.exceptions import TimeoutError

from safe_image.sources.connections import connections
from tests.unit.registry_server import SELF_SIGNED, Answer, Registry, serving

# The certificate's name; the server listens on 127.0.0.1 alone.
_HOST = "localhost"


def _trusting() -> urllib3.PoolManager:
    return connections(ssl.create_default_context(cafile=SELF_SIGNED))


def _url(scheme: str, server: Registry) -> str:
    return f"{scheme}://{_HOST}:{server.host.rpartition(':')[2]}/v2/"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("endless", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n"], ids=["in its head", "before its head"])
def test_a_response_that_trickles_in_before_its_body_times_out(
    monkeypatch: pytest.MonkeyPatch, scheme: str, endless: bytes
) -> None:
    monkeypatch.setattr("safe_image.sources.connections.RESPONSE_TIMEOUT", 0.2)
    began = time.monotonic()
    with serving(https=scheme == "https") as server, _trusting() as pools:
        server.gate = lambda asked: Answer(endless=endless, pace=0.01)
        with pytest.raises(TimeoutError):
            pools.request("GET", _url(scheme, server))
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_that_comes_in_time_is_whole_and_its_connection_is_kept(scheme: str) -> None:
    with serving(https=scheme == "https") as server, _trusting() as pools:
        server.gate = lambda asked: Answer(body=b"{}")
        for _ in range(2):
            assert pools.request("GET", _url(scheme, server)).data == b"{}"
        assert pools.connection_from_url(_url(scheme, server)).num_connections == 1
