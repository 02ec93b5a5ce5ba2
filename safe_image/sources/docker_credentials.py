"""Docker's own credentials: what `docker login` and the credential helpers know of a registry.

https://github.com/docker/cli/blob/master/cli/config/configfile/file.go
https://github.com/docker/docker-credential-helpers
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from image_verifier.faults import Fault
from image_verifier.image.references import DOCKER_HUB

# The name under which Docker keeps what belongs to Docker Hub.
_HUB_KEY: Final = "https://index.docker.io/v1/"
# With this name a helper says that its secret is an identity token.
_TOKEN_NAME: Final = "<token>"  # noqa: S105 - a marker, not a secret
_NOT_FOUND: Final = "credentials not found"
_HELPER_SECONDS: Final = 30


@dataclass(frozen=True)
class Credentials:
    """What a registry is shown. Its text shows nothing of it.

    :param username: for Basic authentication; empty where there is none.
    :param password: the password or access token that belongs to it.
    :param identity_token: a refresh token, which a token service changes for an access token.
    :param registry_token: an access token that is shown as it is.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return "Credentials(...)"


def credentials(registry: str) -> Credentials | None:
    """What Docker on this machine would show a registry.

    :param registry: the registry's host, with its port where it has one.
    :returns: None where there is nothing to show.
    :raises Fault: if the configuration cannot be read, or a credential helper fails.
    """
    config = _config()
    key = _HUB_KEY if registry == DOCKER_HUB else registry
    helpers = _mapping(config, "credHelpers")
    helper = helpers.get(registry) or helpers.get(key) or config.get("credsStore")
    return _ask(str(helper), key) if helper else _from_file(_mapping(config, "auths"), key, registry)


def _path() -> Path:
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def _config() -> Mapping[str, Any]:
    path = _path()
    try:
        config = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as e:
        raise Fault(f"{path} cannot be read: {e.strerror}", "Allow it to be read, or set DOCKER_CONFIG.") from e
    except ValueError as e:
        raise Fault(f"{path} is not JSON: {e}", "Repair it, or log in again with docker login.") from e
    if not isinstance(config, dict):
        raise Fault(f"{path} is not a Docker configuration", "Repair it, or log in again with docker login.")
    return config


def _mapping(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _from_file(auths: Mapping[str, Any], key: str, registry: str) -> Credentials | None:
    # Old configurations have the registry's address for a key: https://registry.example.com/v1/
    entry = auths.get(key) or next((auths[k] for k in auths if _host(k) == registry), None)
    if not isinstance(entry, dict):
        return None
    username, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if entry.get("auth"):
        try:
            username, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (binascii.Error, ValueError, TypeError) as e:
            raise Fault(
                f"{_path()} has an auth for {registry} that is not base64", f"Run docker login {registry}."
            ) from e
    found = Credentials(
        username, password.rstrip("\0"), str(entry.get("identitytoken", "")), str(entry.get("registrytoken", ""))
    )
    return found if found != Credentials() else None


def _host(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _ask(helper: str, key: str) -> Credentials | None:
    """Ask a helper: the registry on its standard input, JSON on its standard output."""
    name = f"docker-credential-{helper}"
    program = shutil.which(name)
    if program is None:
        raise Fault(
            f"{_path()} names the credential helper {name}, which is not on the PATH",
            "Install it, or remove it from that file and run docker login.",
        )
    try:
        answer = subprocess.run(  # noqa: S603 - the program that the user's own configuration names
            [program, "get"], input=key.encode(), capture_output=True, timeout=_HELPER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Fault(f"{name} could not be asked for {key}: {type(e).__name__}", "Run it by hand.") from None
    if answer.returncode != 0:
        # Helpers say what is wrong on either stream, and a secret only when they end well.
        said = (answer.stdout or answer.stderr).decode(errors="replace").strip()
        if _NOT_FOUND in said.lower():
            return None
        raise Fault(f"{name} failed for {key}: {said[:300]}", "Log in again, or repair the helper.")
    try:
        found = json.loads(answer.stdout)
        username, secret = str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError):
        raise Fault(f"{name} did not answer for {key} with a Username and a Secret", "Repair the helper.") from None
    return Credentials(identity_token=secret) if username == _TOKEN_NAME else Credentials(username, secret)
