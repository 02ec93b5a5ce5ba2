"""The URLs of registries, and the URLs that they answer with: to which host a request goes."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urljoin

from image_verifier.faults import Fault
from image_verifier.image.references import DOCKER_HUB
from urllib3.util import Url, parse_url

# The host of the images whose names have docker.io.
_HUB_HOST: Final = "registry-1.docker.io"
_PORTS: Final = {"https": 443, "http": 80}


class Origin(NamedTuple):
    """Scheme, host and port, to which credentials belong."""

    scheme: str
    host: str
    port: int


def registry_url(registry: str) -> str:
    """A registry's URL: https, or http where no request leaves this machine, as in Docker.

    :param registry: the registry's host, with its port where it has one.
    :raises Fault: if it is not a valid host.
    """
    if registry == DOCKER_HUB:
        return f"https://{_HUB_HOST}"
    try:
        host = origin_of(f"https://{registry}").host
    except ValueError:
        raise Fault(f"{registry} is not a valid host", "Check the registry's name and its port.") from None
    return f"http://{registry}" if is_loopback(host) and not registry.endswith(":443") else f"https://{registry}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine.

    :param host: a name or an address; one of IPv6 may have brackets.
    """
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def origin_of(url: str) -> Origin:
    """The origin of a URL.

    :raises ValueError: if it is not a valid http or https URL.
    """
    parts = _parsed(url)
    return Origin(parts.scheme or "", parts.host or "", parts.port or _PORTS[parts.scheme or ""])


def is_api(url: str, registry: Origin) -> bool:
    """Whether a URL belongs to the registry's own API: not to another host, and not to a storage on the same host.

    :param registry: the registry's origin.
    """
    return origin_of(url) == registry and (_parsed(url).path or "").startswith("/v2/")


def redirect_target(url: str, location: str) -> str:
    """The URL that a redirect leads to.

    :param url: the URL that was requested.
    :param location: the response's Location header.
    :raises ValueError: if it is not a valid http or https URL.
    """
    target = urljoin(url, location)
    _parsed(target)
    return target


def host_of(url: str) -> str:
    """A URL's host, with its port where it has one, for messages."""
    return _parsed(url).netloc or ""


def _parsed(url: str) -> Url:
    # Parsed as urllib3 does, which sends the request: another parser may see another host in the same text.
    parts = parse_url(url)
    if parts.scheme not in _PORTS or not parts.host or parts.port == 0:
        raise ValueError(url)
    return parts
