"""Docker's credentials for a registry are found, and a broken configuration is a fault that names it."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from image_verifier.faults import Fault

from safe_image.sources.docker_credentials import Credentials, credentials

HOST = "registry.example.com"


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def write(config: object) -> None:
        tmp_path.joinpath("config.json").write_text(config if isinstance(config, str) else json.dumps(config))

    return write


def helper(folder: Path, script: str) -> None:
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def auth(username: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


@pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"https://{HOST}/v1/"])
def test_credentials_of_docker_login_are_found_under_old_keys_too(configure: Any, key: str) -> None:
    configure({"auths": {key: auth("me", "se:cret")}})
    assert credentials(HOST) == Credentials("me", "se:cret")


def test_docker_hub_has_a_key_of_its_own(configure: Any) -> None:
    configure({"auths": {"https://index.docker.io/v1/": auth("me", "secret")}})
    assert credentials("docker.io") == Credentials("me", "secret")


def test_an_identity_token_is_found(configure: Any) -> None:
    configure({"auths": {HOST: {**auth("00000000", ""), "identitytoken": "refresh"}}})
    assert credentials(HOST) == Credentials("00000000", "", "refresh")


def test_without_a_configuration_there_are_no_credentials(configure: Any) -> None:
    assert credentials(HOST) is None


def test_the_credentials_of_another_registry_are_not_sent(configure: Any) -> None:
    configure({"auths": {"other.example.com": auth("me", "secret")}})
    assert credentials(HOST) is None


def test_a_registrys_own_helper_has_precedence_over_the_store(configure: Any, tmp_path: Path) -> None:
    helper(tmp_path, 'read host; echo "{\\"Username\\": \\"$host\\", \\"Secret\\": \\"s\\"}"')
    configure({"credHelpers": {HOST: "test"}, "credsStore": "nowhere", "auths": {HOST: auth("file", "file")}})
    assert credentials(HOST) == Credentials(HOST, "s")


def test_a_helpers_token_is_an_identity_token(configure: Any, tmp_path: Path) -> None:
    helper(tmp_path, 'echo \'{"Username": "<token>", "Secret": "refresh"}\'')
    configure({"credsStore": "test"})
    assert credentials(HOST) == Credentials(identity_token="refresh")


def test_a_helper_without_credentials_is_not_a_fault(configure: Any, tmp_path: Path) -> None:
    helper(tmp_path, "echo 'credentials not found in native keychain'; exit 1")
    configure({"credsStore": "test"})
    assert credentials(HOST) is None


@pytest.mark.parametrize(
    ("config", "script", "words"),
    [
        ({"credsStore": "test"}, "echo 'the keychain is locked' >&2; exit 1", "the keychain is locked"),
        ({"credsStore": "test"}, "echo no json", "no Username and Secret"),
        ({"credsStore": "elsewhere"}, "", "docker-credential-elsewhere, which is not on PATH"),
        ({"credsStore": "test"}, "head -c 100000 /dev/zero | tr '\\0' '['", "no Username and Secret"),
        ({"credsStore": "../test"}, "", "docker-credential-../test, which is not on PATH"),
        ({"credsStore": "a\0b"}, "", "which is not on PATH"),
        ("{", "", "is not JSON"),
        ("[" * 100_000, "", "is not JSON"),
        ("[]", "", "is not a Docker configuration"),
        ({"auths": {HOST: {"auth": "%%%"}}}, "", "not base64"),
    ],
)
def test_a_broken_configuration_or_helper_is_a_fault_that_names_it(
    configure: Any, tmp_path: Path, config: object, script: str, words: str
) -> None:
    helper(tmp_path, script)
    configure(config)
    with pytest.raises(Fault) as fault:
        credentials(HOST)
    assert words in fault.value.message
    assert fault.value.advice


def test_a_configuration_that_is_a_named_pipe_is_not_waited_for(configure: Any, tmp_path: Path) -> None:
    configure({})
    (tmp_path / "config.json").unlink()
    os.mkfifo(tmp_path / "config.json")
    assert credentials(HOST) is None


def test_the_repr_of_credentials_has_no_secret() -> None:
    assert "secret" not in f"{Credentials('me', 'secret', 'secret', 'secret')!r}"
