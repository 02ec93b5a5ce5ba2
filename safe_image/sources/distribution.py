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
# The timeout between two bytes is another; this one is for a whole document, or for a layer's next chunk.
_READ_TIMEOUT: Final = 60
_MAX_TOKEN_BYTES: Final = 1 << 20
_MAX_REDIRECTS: Final = 5
# The host of the images whose names have docker.io.
_HUB_HOST: Final = "registry-1.docker.io"
_TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PARAMETER: Final = re.compile(r'(\w+)="([^"]*)"')
_HEADERS: Final = {"User-Agent": f"safe-image/{__version__}", "Accept-Encoding": "identity"}


def origin(registry: str) -> str:
    """A registry's origin: https, or http where no request leaves this machine, as in Docker.

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


def _origin_of(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port, to which credentials belong."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


class Distribution:
    """The client of all registries: one pool of connections, one authorization for each repository."""

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
        # Imported here: the import costs more than a request to a nearby registry.
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
        scheme, host, _ = _origin_of(url)
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
        """Request a repository's manifest or blob.

        :param path: such as `manifests/latest`.
        :param retry_budget: for how long transient errors are retried.
        :param method: `GET`, where the caller reads and closes the response, or `HEAD`.
        :param headers: further headers.
        :returns: a response with status 200, 206 or 416; None where the repository has no such document or blob.
        :raises Fault: if the registry gives another response, or none.
        """
        url = f"{origin(registry)}/v2/{repository}/{path}"
        key = (registry, repository)
        shown = ""
        for _ in range(3):
            shown = self._authorizations.get(key, "")
            response, answering_url = self._follow(method, url, {**_HEADERS, **(headers or {})}, shown, retry_budget)
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
        if _origin_of(answering_url) != _origin_of(url):
            raise _unexpected(_host(answering_url), response)
        raise _refusal(response, registry, repository, bool(shown))

    def _follow(
        self, method: str, url: str, headers: Mapping[str, str], authorization: str, retry_budget: RetryBudget
    ) -> tuple[urllib3.BaseHTTPResponse, str]:
        """The response at the end of all redirects, and its URL. Only the registry's own API gets the authorization."""
        first = _origin_of(url)
        for _ in range(_MAX_REDIRECTS + 1):
            # As in Docker: the registry itself gets it, and there only the API, not a storage on the same host.
            is_api = bool(authorization) and _origin_of(url) == first and urlsplit(url).path.startswith("/v2/")
            credentials = {"Authorization": authorization} if is_api else {}
            response = self._send(method, url, {**headers, **credentials}, retry_budget)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response, url
            _drop(response)
            target = urljoin(url, location)
            if _origin_of(target)[0] not in ("https", _origin_of(url)[0]):
                raise Fault(
                    f"{_host(url)} redirects to {_host(target)} without encryption",
                    "The registry must redirect to https: report it to its operator.",
                )
            url = target
        raise Fault(f"{_host(url)} redirects without end", "Check the registry's configuration.")

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
                if _is_transient(e) and retry_budget.wait_before_retry(attempt):
                    continue
                raise unreachable(_host(url), e) from None
            if response.status not in _TRANSIENT or not retry_budget.wait_before_retry(
                attempt, at_least=_retry_after(response)
            ):
                return response
            _drop(response)
        raise AssertionError("counting does not end")

    def _authorize(self, key: tuple[str, str], shown: str, challenges: list[str], retry_budget: RetryBudget) -> bool:
        """Answer a challenge; whether there is now an authorization that was not sent yet."""
        with self._locks[key]:
            # Another thread may have renewed it meanwhile.
            if self._authorizations.get(key, "") != shown:
                return True
            authorization = self._authorization(key, challenges, retry_budget)
            self._authorizations[key] = authorization
            return bool(authorization) and authorization != shown

    def _authorization(self, key: tuple[str, str], challenges: list[str], retry_budget: RetryBudget) -> str:
        registry, repository = key
        if registry not in self._credentials:
            # Imported here: a registry that requires no credentials does not need it.
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
        if _origin_of(realm)[0] not in ("https", _origin_of(origin(registry))[0]):
            raise Fault(
                f"{registry} has a token service without encryption: {realm or 'no URL'}",
                "The token service must use https: ask the registry's operator.",
            )
        query = {"scope": challenge.get("scope") or f"repository:{repository}:pull"}
        if "service" in challenge:
            query["service"] = challenge["service"]
        if known and known.identity_token:
            form = {"grant_type": "refresh_token", "client_id": "safe-image", "refresh_token": known.identity_token}
            headers = {**_HEADERS, "Content-Type": "application/x-www-form-urlencoded"}
            response = self._send("POST", realm, headers, retry_budget, urlencode({**query, **form}).encode())
        else:
            headers = {**_HEADERS, "Authorization": _basic(known)} if known and known.username else _HEADERS
            url = realm + ("&" if "?" in realm else "?") + urlencode(query)
            response = self._send("GET", url, headers, retry_budget)
        if response.status != 200:
            _drop(response)
            raise _refusal(response, registry, repository, known is not None)
        try:
            answer = json.loads(read(response, _MAX_TOKEN_BYTES))
            token = answer.get("token") or answer.get("access_token")
        except (ValueError, AttributeError, HTTPError):
            token = None
        finally:
            response.close()
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Fault(
                f"{_host(realm)} returned no token for {registry}/{repository}", f"Run docker login {registry}."
            )
        return token


def _refusal(response: urllib3.BaseHTTPResponse, registry: str, repository: str, has_credentials: bool) -> Fault:
    """The fault for a response that is not the requested document or blob."""
    login = f"docker login {registry}" if registry != DOCKER_HUB else "docker login"
    if response.status in (401, 403) and has_credentials:
        return Fault(
            f"{registry} refuses the credentials that Docker has for {repository} (HTTP {response.status})",
            f"Run {login} again: they may have expired, or lack access to this repository.",
        )
    if response.status in (401, 403):
        return Fault(
            f"{registry} requires credentials for {repository}, and Docker has none (HTTP {response.status})",
            f"Run {login}, or check the name: many registries answer so where there is no such repository.",
        )
    if response.status == 429:
        seconds = _retry_after(response)
        when = f"in {seconds:.0f} s" if seconds else "later"
        more = "" if has_credentials else f", or run {login}: the limit is higher with credentials"
        return Fault(f"the rate limit of {registry} is reached (HTTP 429)", f"Retry {when}{more}.")
    return _unexpected(registry, response)


def read(response: urllib3.BaseHTTPResponse, limit: int) -> bytes:
    """The rest of a response's body, at most `limit` bytes of it.

    :raises HTTPError: if it breaks off, or takes longer than `_READ_TIMEOUT`.
    """
    content, ends_at = bytearray(), time.monotonic() + _READ_TIMEOUT
    # read1 returns the bytes that have arrived. To wait for a whole chunk would be to wait for a byte a second.
    while len(content) < limit and (chunk := response.read1(min(_CHUNK, limit - len(content)))):
        content += chunk
        if time.monotonic() > ends_at:
            raise TimeoutError
    return bytes(content)


def _drop(response: urllib3.BaseHTTPResponse) -> None:
    """Close a response. Its connection is kept where the rest of its body is short."""
    try:
        read(response, _CHUNK)
    except HTTPError:
        pass
    finally:
        response.close()


def is_html(response: urllib3.BaseHTTPResponse) -> bool:
    """Whether the response is a web page, as proxies, login forms and wrong hosts send."""
    return response.headers.get("Content-Type", "").lower().startswith("text/html")


def unreachable(host: str, error: Exception) -> Fault:
    """The fault for a request without a response. The error's own text may hold a presigned URL, which is a secret."""
    reason = getattr(error, "reason", None)
    cause = reason if isinstance(reason, Exception) else error
    if isinstance(cause, (ProxyError, LocationValueError)):
        why = getattr(cause, "original_error", cause)
        return Fault(f"the proxy for {host} cannot be used ({type(why).__name__})", "Check HTTPS_PROXY and NO_PROXY.")
    if isinstance(cause, NameResolutionError):
        return Fault(f"the host {host} is not known", "Check its name, and this machine's network.")
    if isinstance(cause, SSLError):
        why = str(cause)
        if "WRONG_VERSION_NUMBER" in why or "RECORD_LAYER" in why:
            return Fault(f"{host} does not speak https", "Only a registry on this machine is reached by http.")
        issue = re.search(r"certificate verify failed: ([^(\[]+)", why)
        return Fault(
            f"the certificate of {host} is not valid: {issue[1].strip() if issue else type(cause).__name__}",
            "Set SSL_CERT_FILE to the certificate of its issuer, if you trust it.",
        )
    if isinstance(cause, ConnectTimeoutError):
        why = getattr(cause.__cause__, "strerror", None) or "it does not answer"
        return Fault(f"{host} cannot be reached: {why}", "Check its name and port, and this machine's network.")
    return Fault(f"the connection to {host} broke off ({type(cause).__name__})", "Retry.")


def _is_transient(error: Exception) -> bool:
    """Whether a retry may help."""
    cause = error.original_error if isinstance(error, ProxyError) else error
    permanent = (NewConnectionError, NameResolutionError, SSLError, LocationValueError)
    return isinstance(error, HTTPError) and not isinstance(cause, permanent)


def _unexpected(host: str, response: urllib3.BaseHTTPResponse) -> Fault:
    if is_html(response):
        return Fault(
            f"{host} answered with a web page (HTTP {response.status}), not as a registry does",
            "Check the registry's name; a proxy or a login form may be in the way.",
        )
    if response.status == 404:
        return Fault(f"{host} does not answer as a registry does (HTTP 404)", "Check the registry's name.")
    return Fault(
        f"{host} answered with HTTP {response.status}",
        "Retry; if it persists, ask the registry's operator.",
    )


def _is_of_a_registry(response: urllib3.BaseHTTPResponse) -> bool:
    """Whether a 404 comes from a registry that lacks the document, and not from some other server."""
    json_body = "json" in response.headers.get("Content-Type", "").lower()
    return json_body or "Docker-Distribution-Api-Version" in response.headers


def _retry_after(response: urllib3.BaseHTTPResponse) -> float:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0


def _basic(known: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{known.username}:{known.password}".encode()).decode()


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
