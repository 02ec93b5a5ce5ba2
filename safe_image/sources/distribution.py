"""The OCI distribution protocol's manners: authentication, redirects, retries, and what goes wrong.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import ssl
import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from ipaddress import ip_address
from threading import Lock
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3
from image_verifier import __version__
from image_verifier.faults import Fault
from image_verifier.image.references import DOCKER_HUB
from image_verifier.retry import RetryBudget
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
    TimeoutError,
)

from .connections import AT_ONCE, connections

if TYPE_CHECKING:
    from .docker_credentials import Credentials

_CHUNK: Final = 1 << 18
# The time between two bytes has a limit of its own; this is all of the time for a document, or a layer's next chunk.
_SECONDS_TO_READ: Final = 60
_MOST_TOKEN_BYTES: Final = 1 << 20
_MOST_REDIRECTS: Final = 5
# What Docker asks where a name says docker.io.
_HUB_HOST: Final = "registry-1.docker.io"
_PASSING: Final = frozenset({429, 500, 502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PARAMETER: Final = re.compile(r'(\w+)="([^"]*)"')
_HEADERS: Final = {"User-Agent": f"safe-image/{__version__}", "Accept-Encoding": "identity"}


def origin(registry: str) -> str:
    """Where a registry is reached: by https, and by http only where nothing leaves this machine, as Docker does.

    :param registry: the registry's host, with its port where it has one.
    """
    if registry == DOCKER_HUB:
        return f"https://{_HUB_HOST}"
    host = urlsplit(f"//{registry}").hostname or ""
    return f"http://{registry}" if _is_loopback(host) and not registry.endswith(":443") else f"https://{registry}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _place(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: what credentials belong to."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


class Distribution:
    """The way to every registry: one pool of connections, one authorization for each repository."""

    def __init__(self) -> None:
        self._locks: defaultdict[tuple[str, str], Lock] = defaultdict(Lock)
        self._authorizations: dict[tuple[str, str], str] = {}
        self._credentials: dict[str, Credentials | None] = {}
        self.pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="registry")

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
        # Imported here, since it costs more than a request to a registry nearby.
        from urllib.request import getproxies

        return {
            scheme: connections(ssl.create_default_context(), url)
            for scheme, url in getproxies().items()
            if scheme in ("http", "https")
        }

    def _is_direct(self, host: str) -> bool:
        from urllib.request import proxy_bypass

        return _is_loopback(host) or bool(proxy_bypass(host))

    def _manager(self, url: str) -> urllib3.PoolManager:
        scheme, host, _ = _place(url)
        proxy = self._proxies.get(scheme)
        if proxy and host and not self._is_direct(host):
            return proxy
        return self._secure if scheme == "https" else self._plain

    def get(
        self,
        registry: str,
        repository: str,
        path: str,
        retry_budget: RetryBudget,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse | None:
        """Ask a registry about a repository's manifest or blob.

        :param path: such as `manifests/latest`.
        :param retry_budget: for how long transient errors are retried.
        :param method: `GET`, whose answer's body is the caller's to read and close, or `HEAD`.
        :param headers: what is asked besides.
        :returns: an answer of status 200, 206 or 416; None where there is nothing of that name.
        :raises Fault: if the registry gives no such answer.
        """
        url = f"{origin(registry)}/v2/{repository}/{path}"
        key = (registry, repository)
        shown = ""
        for _ in range(3):
            shown = self._authorizations.get(key, "")
            response, answered = self._follow(method, url, {**_HEADERS, **(headers or {})}, shown, retry_budget)
            if response.status != 401:
                break
            challenges = response.headers.getlist("WWW-Authenticate")
            if not self._authorize(key, shown, challenges, retry_budget):
                break
            _drop(response)
        if response.status in (200, 206, 416):
            return response
        _drop(response)
        if response.status == 404 and (path.startswith("blobs/") or _is_of_a_registry(response)):
            return None
        if _place(answered) != _place(url):
            raise _unexpected(_host(answered), response)
        raise _refusal(response, registry, repository, bool(shown))

    def _follow(
        self, method: str, url: str, headers: Mapping[str, str], authorization: str, retry_budget: RetryBudget
    ) -> tuple[urllib3.BaseHTTPResponse, str]:
        """The answer at the end of all redirects, and its URL; the authorization goes only where it belongs."""
        first = _place(url)
        for _ in range(_MOST_REDIRECTS + 1):
            # As Docker does: to the registry itself, and there to its API alone, not to storage on the same host.
            known = bool(authorization) and _place(url) == first and urlsplit(url).path.startswith("/v2/")
            mine = {"Authorization": authorization} if known else {}
            response = self._send(method, url, {**headers, **mine}, retry_budget)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response, url
            _drop(response)
            target = urljoin(url, location)
            if _place(target)[0] not in ("https", _place(url)[0]):
                raise Fault(
                    f"{_host(url)} redirects to {_host(target)} without encryption",
                    "Ask whoever runs the registry to redirect by https.",
                )
            url = target
        raise Fault(f"{_host(url)} redirects without end", "Look at the registry's configuration.")

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        retry_budget: RetryBudget,
        body: bytes | None = None,
    ) -> urllib3.BaseHTTPResponse:
        for attempt in itertools.count(1):
            try:
                response = self._manager(url).request(
                    method, url, body=body, headers=headers, redirect=False, preload_content=method == "HEAD"
                )
            except (HTTPError, ValueError) as e:
                if _passes(e) and retry_budget.wait_before_retry(attempt):
                    continue
                raise unreachable(_host(url), e) from None
            if response.status not in _PASSING or not retry_budget.wait_before_retry(
                attempt, at_least=_retry_after(response)
            ):
                return response
            _drop(response)
        raise AssertionError("counting does not end")

    def _authorize(self, key: tuple[str, str], shown: str, challenges: list[str], retry_budget: RetryBudget) -> bool:
        """Get what a challenge asks for; whether there is something that was not shown yet."""
        with self._locks[key]:
            # Another thread may have renewed it meanwhile.
            if self._authorizations.get(key, "") != shown:
                return True
            authorization = self._answer(key, challenges, retry_budget)
            self._authorizations[key] = authorization
            return bool(authorization) and authorization != shown

    def _answer(self, key: tuple[str, str], challenges: list[str], retry_budget: RetryBudget) -> str:
        registry, repository = key
        if registry not in self._credentials:
            # Imported here, since a registry that asks for no credentials needs none of it.
            from .docker_credentials import credentials

            self._credentials[registry] = credentials(registry)
        known = self._credentials[registry]
        if known and known.registry_token:
            return f"Bearer {known.registry_token}"
        bearer = next((c for c in challenges if c[:7].lower() == "bearer "), None)
        if bearer is not None:
            parameters = {name.lower(): value for name, value in _PARAMETER.findall(bearer)}
            return f"Bearer {self._token(registry, repository, parameters, known, retry_budget)}"
        return _basic(known) if known and known.username else ""

    def _token(
        self,
        registry: str,
        repository: str,
        challenge: Mapping[str, str],
        known: Credentials | None,
        retry_budget: RetryBudget,
    ) -> str:
        realm = challenge.get("realm", "")
        if _place(realm)[0] not in ("https", _place(origin(registry))[0]):
            raise Fault(
                f"{registry} sends its callers to {realm or 'nowhere'} for a token",
                "Ask whoever runs the registry for a token service that is reached by https.",
            )
        asked = {"scope": challenge.get("scope") or f"repository:{repository}:pull"}
        if "service" in challenge:
            asked["service"] = challenge["service"]
        if known and known.identity_token:
            form = {"grant_type": "refresh_token", "client_id": "safe-image", "refresh_token": known.identity_token}
            headers = {**_HEADERS, "Content-Type": "application/x-www-form-urlencoded"}
            response = self._send("POST", realm, headers, retry_budget, urlencode({**asked, **form}).encode())
        else:
            headers = {**_HEADERS, "Authorization": _basic(known)} if known and known.username else _HEADERS
            url = realm + ("&" if "?" in realm else "?") + urlencode(asked)
            response = self._send("GET", url, headers, retry_budget)
        if response.status != 200:
            _drop(response)
            raise _refusal(response, registry, repository, known is not None)
        try:
            answer = json.loads(read(response, _MOST_TOKEN_BYTES))
            token = answer.get("token") or answer.get("access_token")
        except (ValueError, AttributeError, HTTPError):
            token = None
        finally:
            response.close()
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Fault(f"{_host(realm)} gave no token for {registry}/{repository}", f"Run docker login {registry}.")
        return token


def _refusal(response: urllib3.BaseHTTPResponse, registry: str, repository: str, shown: bool) -> Fault:
    """What an answer means that is no use."""
    login = f"docker login {registry}" if registry != DOCKER_HUB else "docker login"
    if response.status in (401, 403) and shown:
        return Fault(
            f"{registry} refuses the credentials that Docker has for {repository} (HTTP {response.status})",
            f"Run {login} again: they may have expired, or may not read this repository.",
        )
    if response.status in (401, 403):
        return Fault(
            f"{registry} asks for credentials for {repository}, and there are none (HTTP {response.status})",
            f"Run {login}, or look for a mistake in the name: registries answer so for what is not there, too.",
        )
    if response.status == 429:
        seconds = _retry_after(response)
        when = f"in {seconds:.0f} s" if seconds else "later"
        more = "" if shown else f", or run {login}: who is known may ask more often"
        return Fault(f"{registry} limits how often it may be asked (HTTP 429)", f"Ask again {when}{more}.")
    return _unexpected(registry, response)


def read(response: urllib3.BaseHTTPResponse, limit: int) -> bytes:
    """What is left of the answer's body, at most `limit` bytes of it.

    :raises HTTPError: if it breaks off, or trickles in.
    """
    content, ends_at = bytearray(), time.monotonic() + _SECONDS_TO_READ
    # What has arrived, however little: to wait for a whole chunk is to wait for whoever sends a byte a second.
    while len(content) < limit and (chunk := response.read1(min(_CHUNK, limit - len(content)))):
        content += chunk
        if time.monotonic() > ends_at:
            raise TimeoutError
    return bytes(content)


def _drop(response: urllib3.BaseHTTPResponse) -> None:
    """Be done with an answer; its connection is kept where what is left of it is short."""
    try:
        read(response, _CHUNK)
    except HTTPError:
        pass
    finally:
        response.close()


def is_html(response: urllib3.BaseHTTPResponse) -> bool:
    """Whether the answer is a web page, as proxies, login forms and wrong hosts send."""
    return response.headers.get("Content-Type", "").lower().startswith("text/html")


def unreachable(host: str, error: Exception) -> Fault:
    """The fault for a request without an answer. The error's own text may hold a presigned URL, a secret."""
    reason = getattr(error, "reason", None)
    cause = reason if isinstance(reason, Exception) else error
    if isinstance(cause, (ProxyError, LocationValueError)):
        why = getattr(cause, "original_error", cause)
        return Fault(
            f"the proxy on the way to {host} cannot be used ({type(why).__name__})", "Look at HTTPS_PROXY and NO_PROXY."
        )
    if isinstance(cause, NameResolutionError):
        return Fault(f"the host {host} is not known", "Look for a mistake in its name, or at this machine's network.")
    if isinstance(cause, SSLError):
        why = str(cause)
        if "WRONG_VERSION_NUMBER" in why or "RECORD_LAYER" in why:
            return Fault(f"{host} does not speak https", "Only a registry on this machine itself is asked by http.")
        said = re.search(r"certificate verify failed: ([^(\[]+)", why)
        return Fault(
            f"the certificate of {host} does not hold: {said[1].strip() if said else type(cause).__name__}",
            "Set SSL_CERT_FILE to the file of the authority that signed it, if you trust it.",
        )
    if isinstance(cause, ConnectTimeoutError):
        why = getattr(cause.__cause__, "strerror", None) or "it does not answer"
        return Fault(f"{host} cannot be reached: {why}", "Look at its name and port, and at this machine's network.")
    return Fault(f"the connection to {host} broke off ({type(cause).__name__})", "Ask again.")


def _passes(error: Exception) -> bool:
    """Whether asking again may help."""
    cause = error.original_error if isinstance(error, ProxyError) else error
    stays = (NewConnectionError, NameResolutionError, SSLError, LocationValueError)
    return isinstance(error, HTTPError) and not isinstance(cause, stays)


def _unexpected(host: str, response: urllib3.BaseHTTPResponse) -> Fault:
    if is_html(response):
        return Fault(
            f"{host} answered with a web page (HTTP {response.status}), not as a registry does",
            "Look at the registry's name; a proxy or a login form may be in the way.",
        )
    if response.status == 404:
        return Fault(f"{host} does not answer as a registry does (HTTP 404)", "Look at the registry's name.")
    return Fault(
        f"{host} answered with HTTP {response.status}", "Ask again; if it stays, its operator must look at it."
    )


def _is_of_a_registry(response: urllib3.BaseHTTPResponse) -> bool:
    """Whether a 404 says that a registry has nothing of that name, and not that this is no registry."""
    json_body = "json" in response.headers.get("Content-Type", "").lower()
    return json_body or "Docker-Distribution-Api-Version" in response.headers


def _retry_after(response: urllib3.BaseHTTPResponse) -> float:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0


def _basic(known: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{known.username}:{known.password}".encode()).decode()


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
