"""A registry, or the host that it redirects to, gets no credentials of another, and no answer of it is taken for more
than it is."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.model import Descriptor, Platform
from image_verifier.image.references import Reference
from image_verifier.policy import Policy
from image_verifier.retry import RetryBudget
from image_verifier.verify import verify

from safe_image.sources.distribution import Distribution
from safe_image.sources.registry_image import RegistryImage
from tests.unit.registry_server import JSON, Answer, Asked, Registry, serving

_POLICY = Policy(("fargate",), Platform.parse("linux/amd64"))
_SECRET = "hunter2"
_BASIC = {"auth": base64.b64encode(f"me:{_SECRET}".encode()).decode()}


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving() as registry:
        registry.image("app", "v1")
        yield registry


@pytest.fixture
def other() -> Iterator[Registry]:
    """Another host, which answers every request with a challenge of its own."""
    with serving() as other:
        challenge = {"WWW-Authenticate": f'Bearer realm="http://{other.host}/token",service="x"'}
        token = Answer(200, b'{"token": "t"}', {"Content-Type": JSON})
        other.gate = lambda asked: token if asked.path.startswith("/token") else Answer(401, b"", challenge)
        yield other


@pytest.fixture(autouse=True)
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of Docker's configuration."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def fault(registry: Registry) -> str:
    with pytest.raises(Fault) as raised:
        verify(image(registry), _POLICY)
    return raised.value.text


def image(registry: Registry) -> RegistryImage:
    text = f"{registry.host}/app:v1"
    return RegistryImage(Distribution(), Reference.parse(text), text, RetryBudget.of(5))


def challenge_at(registry: Registry, realm: str) -> Answer:
    return Answer(401, b"", {"WWW-Authenticate": f'Bearer realm="{realm}"'})


# Credentials


@pytest.mark.parametrize("entry", [_BASIC, {"identitytoken": _SECRET}, {"registrytoken": _SECRET}])
@pytest.mark.parametrize("redirected", ["/blobs/", "/manifests/"])
def test_a_challenge_of_the_host_that_a_registry_redirects_to_gets_no_credentials(
    redirected: str, entry: dict[str, str], registry: Registry, other: Registry, login: Path
) -> None:
    login.write_text(json.dumps({"auths": {registry.host: entry}}))

    def gate(asked: Asked) -> Answer | None:
        return Answer(307, b"", {"Location": f"http://{other.host}{asked.path}"}) if redirected in asked.path else None

    registry.gate = gate
    assert f"{other.host} answered with HTTP 401" in fault(registry)
    assert {a.path.partition("?")[0] for a in other.asked if "token" in a.path} == set()
    assert all(_SECRET not in str(a) and _BASIC["auth"] not in str(a) for a in other.asked)


def test_a_redirect_whose_host_two_parsers_read_differently_gets_no_credentials(
    registry: Registry, other: Registry, login: Path
) -> None:
    login.write_text(json.dumps({"auths": {registry.host: _BASIC}}))

    def gate(asked: Asked) -> Answer | None:
        if "Authorization" not in asked.headers:
            return Answer(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
        return Answer(307, b"", {"Location": f"http://{other.host}\\@{registry.host}/v2/app/manifests/v1"})

    registry.gate = gate
    fault(registry)
    assert all("Authorization" not in a.headers for a in other.asked)


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999/x",
        "http://127.0.0.1:x/",
        "http://[::1/x",
        "http://:80/",
        "ftp://a/b",
        "http://\u212a.example:1x/",
    ],
)
def test_an_invalid_url_in_a_redirect_or_a_challenge_is_a_fault(url: str, registry: Registry) -> None:
    registry.gate = lambda asked: Answer(307, b"", {"Location": url.encode().decode("latin-1")})
    assert "redirects to" in fault(registry)
    registry.gate = lambda asked: challenge_at(registry, url.encode().decode("latin-1"))
    assert "has a token service at an invalid URL" in fault(registry)


def test_a_port_that_does_not_exist_is_a_fault() -> None:
    text = "registry.example.com:99999/app:v1"
    with pytest.raises(Fault, match="is not a valid host"):
        RegistryImage(Distribution(), Reference.parse(text), text, RetryBudget.of(5)).resolve()


# Absence and odd bodies


@pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
def test_bytes_that_do_not_have_their_digest_are_downloaded_again_before_that_is_a_finding(
    part: str, registry: Registry
) -> None:
    garbled: set[str] = set()

    def gate(asked: Asked) -> Answer | None:
        if part not in asked.path or asked.method != "GET" or asked.path in garbled:
            return None
        garbled.add(asked.path)
        whole = registry.answers[asked.path]
        return Answer(200, whole.body.replace(b"a", b"b"), whole.headers)

    registry.gate = gate
    assert verify(image(registry), _POLICY).verdict == "pass"
    assert garbled


def test_bytes_that_never_have_their_digest_are_a_finding(registry: Registry) -> None:
    for path, answer in registry.answers.items():
        if "/blobs/" in path:
            registry.answers[path] = Answer(200, answer.body.replace(b"a", b"b"), answer.headers)
    assert "config-digest-mismatch" in [finding.id for finding in verify(image(registry), _POLICY).errors]


def test_a_web_page_in_place_of_a_config_is_a_fault(registry: Registry) -> None:
    page = Answer(200, b"\n<!DOCTYPE html><title>Blocked</title>", {"Content-Type": "application/octet-stream"})
    registry.gate = lambda asked: page if "/blobs/" in asked.path else None
    assert "answered with a web page, not with a blob" in fault(registry)


def test_a_web_page_in_place_of_a_missing_blob_is_a_fault(registry: Registry) -> None:
    page = Answer(404, b"<title>Blocked</title>", {"Content-Type": "text/html"})
    registry.gate = lambda asked: page if "/blobs/" in asked.path else None
    assert "answered with a web page" in fault(registry)


@pytest.mark.parametrize("status", [206, 416])
def test_an_answer_to_a_range_that_was_not_requested_is_a_fault(status: int, registry: Registry) -> None:
    registry.gate = lambda asked: Answer(status, b"{}") if "/blobs/" in asked.path else None
    assert f"answered with HTTP {status}" in fault(registry)


def test_a_resumed_download_at_another_offset_is_a_fault(registry: Registry) -> None:
    content = bytes(range(256)) * 4000
    digest = registry.put("/v2/app/blobs/{}", content)
    other = Answer(206, content[5:], {"Content-Range": f"bytes 5-{len(content) - 1}/{len(content)}"})
    registry.gate = lambda asked: (
        other if "Range" in asked.headers else Answer(200, content[:600_000], cut=len(content) - 600_000)
    )
    with (
        image(registry).open(Descriptor("x", digest, len(content))) as chunks,
        pytest.raises(Fault, match="broke off after"),
    ):
        list(chunks or ())


# Documents, tokens and numbers


def test_a_token_service_that_answers_with_deep_json_is_a_fault(registry: Registry) -> None:
    def gate(asked: Asked) -> Answer:
        deep = Answer(200, b'{"token":' * 100_000, {"Content-Type": JSON})
        return deep if asked.path.startswith("/token") else challenge_at(registry, f"http://{registry.host}/token")

    registry.gate = gate
    assert "returned no token" in fault(registry)


def test_an_encoded_body_is_a_fault_and_is_not_expanded(registry: Registry) -> None:
    document = gzip.compress(gzip.compress(bytes(1 << 20)))
    headers = {"Content-Type": media_types.OCI_MANIFEST, "Content-Encoding": "gzip, gzip"}
    registry.gate = lambda asked: Answer(200, document, headers)
    assert "answered with the Content-Encoding gzip, gzip" in fault(registry)


def test_a_retry_after_of_many_digits_is_not_repeated(registry: Registry) -> None:
    registry.gate = lambda asked: Answer(429, b"", {"Retry-After": "9" * 5000})
    assert "Retry later" in fault(registry)


def test_a_size_of_many_digits_is_an_unknown_size(registry: Registry) -> None:
    registry.gate = lambda asked: Answer(200, b"", {"Content-Length": "9" * 5000}) if asked.method == "HEAD" else None
    report = verify(image(registry), _POLICY)
    assert [blob.size for blob in report.image.blobs.values()] == [None, None]
