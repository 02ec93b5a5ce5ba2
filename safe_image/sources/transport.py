"""One request to a registry: through the right connection or proxy, and retried while its error is transient."""

from __future__ import annotations

import itertools
import os
import ssl
from collections.abc import Mapping
from functools import cached_property
from typing import Final

import urllib3
from image_verifier import __version__
from image_verifier.retry import RetryBudget
from urllib3.exceptions import HTTPError

from .connections import connections
from .registry_urls import host_of, is_loopback, origin_of
from .responses import drop, is_transient, retry_after, unreachable

_TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})
_HEADERS: Final = {"User-Agent": f"safe-image/{__version__}", "Accept-Encoding": "identity"}


class Transport:
    """The connections to all registries, which are kept for further requests."""

    @cached_property
    def _plain(self) -> urllib3.PoolManager:
        return connections()

    @cached_property
    def _secure(self) -> urllib3.PoolManager:
        # One context for all connections: loading the machine's certificates costs more than a request.
        return connections(ssl.create_default_context())

    @cached_property
    def _proxies(self) -> Mapping[str, urllib3.PoolManager]:
        if not any(name.lower().endswith("_proxy") for name in os.environ):
            return {}
        # Imported here: the import costs more than a request to a nearby registry.
        from urllib.request import getproxies

        return {
            scheme: connections(ssl.create_default_context(), url)
            for scheme, url in getproxies().items()
            if scheme in ("http", "https")
        }

    def _is_direct(self, host: str) -> bool:
        from urllib.request import proxy_bypass

        return is_loopback(host) or bool(proxy_bypass(host))

    def _manager(self, url: str) -> urllib3.PoolManager:
        scheme, host, _ = origin_of(url)
        proxy = self._proxies.get(scheme)
        if proxy and host and not self._is_direct(host):
            return proxy
        return self._secure if scheme == "https" else self._plain

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        retry_budget: RetryBudget,
        body: bytes | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Send one request. Redirects are not followed.

        :param method: GET, HEAD or POST; the caller reads and closes a response with a body.
        :param url: a valid URL.
        :param headers: headers in addition to the usual ones.
        :param retry_budget: for how long transient errors are retried.
        :param body: the body of a POST.
        :raises Fault: if there is no response.
        """
        for attempt in itertools.count(1):
            try:
                response = self._manager(url).request(
                    method,
                    url,
                    body=body,
                    headers={**_HEADERS, **headers},
                    redirect=False,
                    preload_content=method == "HEAD",
                    # urllib3 before 2.6 expands a whole body at once, however short the part that is read.
                    decode_content=False,
                )
            except (HTTPError, ValueError) as e:
                if is_transient(e) and retry_budget.wait_before_retry(attempt):
                    continue
                raise unreachable(host_of(url), e) from None
            if response.status not in _TRANSIENT or not retry_budget.wait_before_retry(
                attempt, at_least=retry_after(response)
            ):
                return response
            drop(response)
        raise AssertionError("counting does not end")
