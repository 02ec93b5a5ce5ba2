"""The authorization of each repository: Docker's credentials, and the tokens that a registry exchanges them for.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlencode

import urllib3
from image_verifier.faults import Fault
from image_verifier.retry import RetryBudget
from urllib3.exceptions import HTTPError

from .registry_urls import host_of, origin_of, registry_url
from .responses import check_encoding, drop, read, refusal

if TYPE_CHECKING:
    from .docker_credentials import Credentials

_MAX_TOKEN_BYTES: Final = 1 << 20
# Each run of word characters is tried once: a challenge of one long word takes no time.
_PARAMETER: Final = re.compile(r'(?<!\w)(\w+)="([^"]*)"')


class Send(Protocol):
    """Send one request, without following redirects."""

    def __call__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        retry_budget: RetryBudget,
        body: bytes | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Return the response.

        :raises Fault: if there is none.
        """


class Authorizer:
    """The authorization of each repository, renewed when a registry challenges it.

    :param send: sends a request to a token service.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._locks: defaultdict[tuple[str, str], Lock] = defaultdict(Lock)
        self._authorizations: dict[tuple[str, str], str] = {}
        self._credentials: dict[str, Credentials | None] = {}

    def current(self, registry: str, repository: str) -> str:
        """The Authorization header for a repository; empty where none is known."""
        return self._authorizations.get((registry, repository), "")

    def renew(
        self, registry: str, repository: str, shown: str, challenges: Sequence[str], retry_budget: RetryBudget
    ) -> bool:
        """Answer a challenge of the registry itself.

        :param shown: the authorization that the registry has refused.
        :param challenges: the WWW-Authenticate headers of its response.
        :param retry_budget: for how long transient errors are retried.
        :returns: whether there is now an authorization that was not sent yet.
        :raises Fault: if the credentials or the token service cannot be used.
        """
        key = registry, repository
        with self._locks[key]:
            # Another thread may have renewed it meanwhile.
            if self._authorizations.get(key, "") != shown:
                return True
            authorization = self._authorization(registry, repository, challenges, retry_budget)
            self._authorizations[key] = authorization
            return bool(authorization) and authorization != shown

    def _authorization(
        self, registry: str, repository: str, challenges: Sequence[str], retry_budget: RetryBudget
    ) -> str:
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
        _check_realm(realm, registry)
        query = {"scope": challenge.get("scope") or f"repository:{repository}:pull"}
        if "service" in challenge:
            query["service"] = challenge["service"]
        if known and known.identity_token:
            form = {"grant_type": "refresh_token", "client_id": "safe-image", "refresh_token": known.identity_token}
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            response = self._send("POST", realm, headers, retry_budget, urlencode({**query, **form}).encode())
        else:
            headers = {"Authorization": _basic(known)} if known and known.username else {}
            url = realm + ("&" if "?" in realm else "?") + urlencode(query)
            response = self._send("GET", url, headers, retry_budget)
        if response.status != 200:
            drop(response)
            raise refusal(response, registry, repository, known is not None)
        token = _token_of(response, host_of(realm))
        if token is None:
            raise Fault(
                f"{host_of(realm)} returned no token for {registry}/{repository}", f"Run docker login {registry}."
            )
        return token


def _check_realm(realm: str, registry: str) -> None:
    try:
        scheme = origin_of(realm).scheme
    except ValueError:
        raise Fault(
            f"{registry} has a token service at an invalid URL: {realm[:200] or 'no URL'}",
            "Ask the registry's operator.",
        ) from None
    if scheme not in ("https", origin_of(registry_url(registry)).scheme):
        raise Fault(
            f"{registry} has a token service without encryption: {realm[:200]}",
            "The token service must use https: ask the registry's operator.",
        )


def _token_of(response: urllib3.BaseHTTPResponse, host: str) -> str | None:
    check_encoding(response, host)
    try:
        answer = json.loads(read(response, _MAX_TOKEN_BYTES))
        token = answer.get("token") or answer.get("access_token")
    except (ValueError, AttributeError, RecursionError, HTTPError):
        return None
    finally:
        response.close()
    return token if isinstance(token, str) and token.isascii() and token.isprintable() else None


def _basic(known: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{known.username}:{known.password}".encode()).decode()
