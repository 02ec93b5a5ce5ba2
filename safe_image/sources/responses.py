"""The responses of registries: their bodies, and the faults for those that are not what was requested."""

from __future__ import annotations

import re
import time
from typing import Final

import urllib3
from image_verifier.faults import Fault
from image_verifier.image.references import DOCKER_HUB
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

_CHUNK: Final = 1 << 18
# The timeout between two bytes is another; this one is for a whole document, or for a layer's next chunk.
_READ_TIMEOUT: Final = 60
# A longer Retry-After, more than 11 days, is not a time to wait for.
_MAX_RETRY_DIGITS: Final = 6


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


def drop(response: urllib3.BaseHTTPResponse) -> None:
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


def check_encoding(response: urllib3.BaseHTTPResponse, host: str) -> None:
    """Refuse a body that is encoded though it was requested as it is: its size when decoded has no bound.

    :param host: the host that answered.
    :raises Fault: if the response has a Content-Encoding.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        drop(response)
        raise Fault(
            f"{host} answered with the Content-Encoding {encoding[:40]}, though none was requested",
            "Ask the registry's operator to serve documents and blobs as they are stored.",
        )


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


def is_transient(error: Exception) -> bool:
    """Whether a retry may help."""
    cause = error.original_error if isinstance(error, ProxyError) else error
    permanent = (NewConnectionError, NameResolutionError, SSLError, LocationValueError)
    return isinstance(error, HTTPError) and not isinstance(cause, permanent)


def refusal(response: urllib3.BaseHTTPResponse, registry: str, repository: str, has_credentials: bool) -> Fault:
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
        seconds = retry_after(response)
        when = f"in {seconds:.0f} s" if seconds else "later"
        more = "" if has_credentials else f", or run {login}: the limit is higher with credentials"
        return Fault(f"the rate limit of {registry} is reached (HTTP 429)", f"Retry {when}{more}.")
    return unexpected(registry, response)


def unexpected(host: str, response: urllib3.BaseHTTPResponse) -> Fault:
    """The fault for a response that a registry does not give.

    :param host: the host that answered.
    """
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


def is_of_a_registry(response: urllib3.BaseHTTPResponse) -> bool:
    """Whether a 404 comes from a registry that lacks the document, and not from some other server."""
    json_body = "json" in response.headers.get("Content-Type", "").lower()
    return json_body or "Docker-Distribution-Api-Version" in response.headers


def retry_after(response: urllib3.BaseHTTPResponse) -> float:
    """The seconds to wait before a retry; 0 where the response has no such number."""
    value = response.headers.get("Retry-After", "")
    is_number = value.isascii() and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS
    return float(value) if is_number else 0.0
