"""The API of the local Docker, over the socket that the docker command uses.

https://docs.docker.com/reference/api/engine/ and https://docs.docker.com/engine/manage-resources/contexts/
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from image_verifier.faults import Fault

from .docker_credentials import docker_config_folder

_DEFAULT: Final = "unix:///var/run/docker.sock"
_MAX_JSON_BYTES: Final = 16 * 1024 * 1024
_MAX_ERROR_BYTES: Final = 16 * 1024
_CERTIFICATES: Final = ("ca.pem", "cert.pem", "key.pem")


@dataclass(frozen=True)
class DockerEndpoint:
    """The address of a Docker.

    :param host: as in DOCKER_HOST: `unix:///var/run/docker.sock` or `tcp://HOST:PORT`.
    :param certificates: the folder of the files for TLS; None for a connection without TLS.
    """

    host: str
    certificates: Path | None = None

    @classmethod
    def of_environment(cls) -> DockerEndpoint:
        """The Docker of the environment, chosen as the docker command chooses it.

        DOCKER_HOST wins over DOCKER_CONTEXT, and DOCKER_CONTEXT over the context of `docker context use`:
        https://github.com/docker/cli/blob/master/cli/command/cli.go, resolveContextName

        :raises Fault: if the context does not exist.
        """
        host = os.environ.get("DOCKER_HOST")
        if host:
            verify = os.environ.get("DOCKER_TLS_VERIFY") or os.environ.get("DOCKER_TLS")
            return cls(host, Path(os.environ.get("DOCKER_CERT_PATH") or docker_config_folder()) if verify else None)
        context = os.environ.get("DOCKER_CONTEXT") or _current_context()
        return cls(_DEFAULT) if context in ("", "default") else _of_context(context)


class DockerApi:
    """The Docker of an endpoint.

    :param endpoint: its address.
    :param connect_seconds: the timeout of a connection.
    :param answer_seconds: the timeout of an answer. Docker starts to send an image only when the classic store has
        written it to Docker's own disk.
    """

    def __init__(self, endpoint: DockerEndpoint, connect_seconds: float = 10.0, answer_seconds: float = 600.0) -> None:
        self.endpoint = endpoint
        self._connect_seconds, self._answer_seconds = connect_seconds, answer_seconds

    def info(self) -> Mapping[str, Any]:
        """The facts of `docker info`.

        :raises Fault: if Docker does not answer.
        """
        return self._json("/info")

    def image(self, name: str) -> Mapping[str, Any]:
        """The facts of `docker image inspect`; empty where there is no such image.

        :param name: the image's name or ID.
        :raises Fault: if Docker does not answer.
        """
        return self._json(f"/images/{quote(name, safe='/:@')}/json")

    def saved(self, name: str) -> http.client.HTTPResponse:
        """The archive of `docker save`, as a stream.

        :param name: the image's name or ID.
        :raises Fault: if Docker does not answer, or refuses.
        """
        response = self._get(f"/images/get?names={quote(name, safe='')}")
        if response.status != http.HTTPStatus.OK:
            raise self._refused(response, f"the image {name}")
        return response

    def _json(self, path: str) -> Mapping[str, Any]:
        response = self._get(path)
        with response:
            if response.status == http.HTTPStatus.NOT_FOUND:
                return {}
            if response.status != http.HTTPStatus.OK:
                raise self._refused(response, path)
            try:
                answer = json.loads(response.read(_MAX_JSON_BYTES))
            except (OSError, http.client.HTTPException, ValueError, RecursionError) as e:
                raise Fault(f"{self.endpoint.host} does not answer as Docker does: {e}", "Check DOCKER_HOST.") from e
        if not isinstance(answer, dict):
            raise Fault(f"{self.endpoint.host} does not answer as Docker does", "Check DOCKER_HOST.")
        return answer

    def _get(self, path: str) -> http.client.HTTPResponse:
        connection = self._connection()
        try:
            connection.request("GET", path, headers={"Host": "docker", "Connection": "close"})
            assert connection.sock
            connection.sock.settimeout(self._answer_seconds)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as e:
            connection.close()
            why = getattr(e, "strerror", None) or str(e) or type(e).__name__
            advice = "Start Docker, or check DOCKER_HOST and docker context ls."
            if isinstance(e, PermissionError):
                advice = "Run the command as a user of the group docker, or as root."
            raise Fault(f"the local Docker at {self.endpoint.host} does not answer: {why}", advice) from e

    def _connection(self) -> http.client.HTTPConnection:
        url, seconds = urlsplit(self.endpoint.host), self._connect_seconds
        try:
            # Windows has no such sockets.
            if url.scheme == "unix" and hasattr(socket, "AF_UNIX"):
                return _UnixConnection(url.path, seconds)
            if url.scheme in ("tcp", "http", "https") and url.hostname:
                if self.endpoint.certificates or url.scheme == "https":
                    context = _tls(self.endpoint.certificates)
                    return http.client.HTTPSConnection(url.hostname, url.port or 2376, timeout=seconds, context=context)
                return http.client.HTTPConnection(url.hostname, url.port or 2375, timeout=seconds)
        except (OSError, ValueError) as e:
            raise Fault(f"the local Docker at {self.endpoint.host} cannot be reached: {e}", "Check DOCKER_HOST.") from e
        raise Fault(
            f"the local Docker is at {self.endpoint.host}, which safe-image cannot connect to",
            "Save the image and check the file: docker save -o FILE IMAGE, then docker-archive:FILE",
        )

    def _refused(self, response: http.client.HTTPResponse, what: str) -> Fault:
        with response:
            try:
                message = str(json.loads(response.read(_MAX_ERROR_BYTES))["message"])
            except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError, RecursionError):
                message = response.reason
        return Fault(f"the local Docker refuses {what}: {response.status} {message}", "Check it with docker image ls.")


class _UnixConnection(http.client.HTTPConnection):
    """A connection to a socket of this machine."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _tls(folder: Path | None) -> ssl.SSLContext:
    """The files for TLS, where the folder has them."""
    ca, certificate, key = (folder / name if folder else None for name in _CERTIFICATES)
    context = ssl.create_default_context(cafile=str(ca) if ca and ca.is_file() else None)
    if certificate and key and certificate.is_file():
        context.load_cert_chain(certificate, key)
    return context


def _current_context() -> str:
    return str(_document(docker_config_folder() / "config.json").get("currentContext") or "")


def _of_context(name: str) -> DockerEndpoint:
    """The endpoint of a context.

    https://github.com/docker/cli/blob/master/cli/context/store/store.go
    """
    identifier = hashlib.sha256(name.encode()).hexdigest()
    contexts = docker_config_folder() / "contexts"
    endpoints = _document(contexts / "meta" / identifier / "meta.json").get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    host = docker.get("Host") if isinstance(docker, dict) else None
    if not host:
        raise Fault(f"there is no Docker context {name!r}", "Check DOCKER_CONTEXT and docker context ls.")
    certificates = contexts / "tls" / identifier / "docker"
    return DockerEndpoint(str(host), certificates if certificates.is_dir() else None)


def _document(path: Path) -> Mapping[str, Any]:
    """A file of Docker's configuration; empty where there is none."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
