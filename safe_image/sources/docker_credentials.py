"""Docker's credentials for a registry, from `docker login` and the credential helpers.

https://github.com/docker/cli/blob/master/cli/config/configfile/file.go
https://github.com/docker/docker-credential-helpers
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from image_verifier.faults import Fault
from image_verifier.image.references import DOCKER_HUB

# The name under which Docker keeps the credentials of Docker Hub.
_HUB_KEY: Final = "https://index.docker.io/v1/"
# A helper uses this username where its secret is an identity token.
_TOKEN_NAME: Final = "<token>"  # noqa: S105 - a marker, not a secret
_NOT_FOUND: Final = "credentials not found"
_HELPER_SECONDS: Final = 30
# A name with a slash would be a path, and not be looked up on PATH.
_HELPER_NAME: Final = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Credentials:
    """Credentials for a registry. Their `repr` shows none of them.

    :param username: for Basic authentication; empty for none.
    :param password: the password or access token of the username.
    :param identity_token: a refresh token, which a token service exchanges for an access token.
    :param registry_token: an access token, sent as it is.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return "Credentials(...)"


def credentials(registry: str) -> Credentials | None:
    """The credentials that Docker on this machine would send to a registry.

    :param registry: the registry's host, with its port where it has one.
    :returns: None where Docker has no credentials for it.
    :raises Fault: if the configuration cannot be read, or a credential helper fails.
    """
    config = _config()
    key = _HUB_KEY if registry == DOCKER_HUB else registry
    helpers = _mapping(config, "credHelpers")
    helper = helpers.get(registry) or helpers.get(key) or config.get("credsStore")
    return _from_helper(str(helper), key) if helper else _from_file(_mapping(config, "auths"), key, registry)


def docker_config_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of Docker's configuration; one that cannot exist for a user without a home.

    :param environment: the environment variables.
    """
    if folder := environment.get("DOCKER_CONFIG"):
        return Path(folder)
    try:
        return Path.home() / ".docker"
    except RuntimeError:
        # A container may run as a user that no file lists, without a HOME.
        return Path(os.devnull, ".docker")


def _config() -> Mapping[str, Any]:
    path = docker_config_folder() / "config.json"
    try:
        # A named pipe would be read without end.
        config = json.loads(path.read_bytes()) if path.is_file() else {}
    except OSError as e:
        raise Fault(f"{path} cannot be read: {e.strerror}", "Make it readable, or set DOCKER_CONFIG.") from e
    except (ValueError, RecursionError) as e:
        raise Fault(f"{path} is not JSON: {e}", "Fix the file, or run docker login again.") from e
    if not isinstance(config, dict):
        raise Fault(f"{path} is not a Docker configuration", "Fix the file, or run docker login again.")
    return config


def _mapping(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _from_file(auths: Mapping[str, Any], key: str, registry: str) -> Credentials | None:
    # Old configurations use the registry's URL as the key: https://registry.example.com/v1/
    entry = auths.get(key) or next((auths[k] for k in auths if _host(k) == registry), None)
    if not isinstance(entry, dict):
        return None
    username, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if entry.get("auth"):
        try:
            username, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (binascii.Error, ValueError, TypeError) as e:
            raise Fault(
                f"{docker_config_folder() / 'config.json'} has an auth for {registry} that is not base64",
                f"Run docker login {registry}.",
            ) from e
    found = Credentials(
        username, password.rstrip("\0"), str(entry.get("identitytoken", "")), str(entry.get("registrytoken", ""))
    )
    return found if found != Credentials() else None


def _host(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _from_helper(helper: str, key: str) -> Credentials | None:
    """Run a helper: it reads the registry from standard input, and prints JSON."""
    name = f"docker-credential-{helper}"
    program = shutil.which(name) if _HELPER_NAME.fullmatch(helper) else None
    if program is None:
        raise Fault(
            f"{docker_config_folder() / 'config.json'} sets the credential helper {name}, which is not on PATH",
            "Install it, or remove it from the file and run docker login.",
        )
    try:
        answer = subprocess.run(  # noqa: S603 - the program that the user's own configuration names
            [program, "get"], input=key.encode(), capture_output=True, timeout=_HELPER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Fault(f"{name} could not be run for {key}: {type(e).__name__}", "Run it by hand.") from None
    if answer.returncode != 0:
        # Helpers report errors on either stream, and print a secret only when they succeed.
        error = (answer.stdout or answer.stderr).decode(errors="replace").strip()
        if _NOT_FOUND in error.lower():
            return None
        raise Fault(f"{name} failed for {key}: {error[:300]}", "Run docker login again, or fix the helper.")
    try:
        found = json.loads(answer.stdout)
        username, secret = str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Fault(f"{name} returned no Username and Secret for {key}", "Fix the helper.") from None
    return Credentials(identity_token=secret) if username == _TOKEN_NAME else Credentials(username, secret)
