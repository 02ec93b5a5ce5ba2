"""The OCI distribution protocol's manners: redirects, challenges, and who gets the authorization.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import urllib3
from image_verifier.faults import Fault
from image_verifier.retry import RetryBudget

from .authorization import Authorizer
from .registry_urls import host_of, is_api, origin_of, redirect_target, registry_url
from .responses import check_encoding, drop, is_html, is_of_a_registry, refusal, unexpected
from .transport import Transport

_MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class Distribution:
    """The client of all registries: one pool of connections, one authorization for each repository."""

    def __init__(self) -> None:
        self._transport = Transport()
        self._authorizer = Authorizer(self._transport.send)

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
        :returns: a response with status 200, or 206 or 416 to a Range request; None where the repository has no such
            document or blob.
        :raises Fault: if the registry gives another response, or none.
        """
        url = f"{registry_url(registry)}/v2/{repository}/{path}"
        shown = ""
        for _ in range(3):
            shown = self._authorizer.current(registry, repository)
            response, answering_url = self._follow(method, url, headers or {}, shown, retry_budget)
            # A challenge of another host would lead the credentials there.
            if response.status != 401 or not is_api(answering_url, origin_of(url)):
                break
            challenges = response.headers.getlist("WWW-Authenticate")
            if not self._authorizer.renew(registry, repository, shown, challenges, retry_budget):
                break
            drop(response)
        if response.status == 200 or (response.status in (206, 416) and "Range" in (headers or {})):
            check_encoding(response, host_of(answering_url))
            return response
        drop(response)
        is_blob = path.startswith("blobs/") and not is_html(response)
        if response.status == 404 and (is_blob or is_of_a_registry(response)):
            return None
        if origin_of(answering_url) != origin_of(url):
            raise unexpected(host_of(answering_url), response)
        raise refusal(response, registry, repository, bool(shown))

    def _follow(
        self, method: str, url: str, headers: Mapping[str, str], authorization: str, retry_budget: RetryBudget
    ) -> tuple[urllib3.BaseHTTPResponse, str]:
        """The response at the end of all redirects, and its URL. Only the registry's own API gets the authorization."""
        first = origin_of(url)
        for _ in range(_MAX_REDIRECTS + 1):
            # As in Docker.
            credentials = {"Authorization": authorization} if authorization and is_api(url, first) else {}
            response = self._transport.send(method, url, {**headers, **credentials}, retry_budget)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response, url
            drop(response)
            url = _redirected(url, location)
        raise Fault(f"{host_of(url)} redirects without end", "Check the registry's configuration.")


def _redirected(url: str, location: str) -> str:
    try:
        target = redirect_target(url, location)
    except ValueError:
        raise Fault(f"{host_of(url)} redirects to an invalid URL", "Report it to the registry's operator.") from None
    if origin_of(target).scheme not in ("https", origin_of(url).scheme):
        raise Fault(
            f"{host_of(url)} redirects to {host_of(target)} without encryption",
            "The registry must redirect to https: report it to its operator.",
        )
    return target
