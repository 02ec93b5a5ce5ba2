"""A registry's image is read whole, and every error on the way is a fault that names the fix."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.model import MAX_MANIFEST_BYTES, Descriptor, Platform, sha256
from image_verifier.image.references import Reference
from image_verifier.policy import Policy
from image_verifier.retry import RetryBudget
from image_verifier.verify import verify

from safe_image.sources.distribution import Distribution
from safe_image.sources.registry_image import RegistryImage
from safe_image.sources.registry_urls import registry_url
from tests.unit.pool_threads import assert_no_pool_is_running
from tests.unit.registry_server import JSON, Answer, Asked, Registry, serving

POLICY = Policy(("fargate",), Platform.parse("linux/amd64"))


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving() as registry:
        yield registry


@pytest.fixture(autouse=True)
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of Docker's configuration, which does not exist, regardless of this machine's."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def image(registry: Registry, name: str = "app:v1", seconds: float = 60.0) -> RegistryImage:
    text = f"{registry.host}/{name}"
    return RegistryImage(Distribution(), Reference.parse(text), text, RetryBudget.of(seconds))


def fault(source: RegistryImage) -> Fault:
    with pytest.raises(Fault) as raised:
        source.resolve()
    assert raised.value.advice
    return raised.value


def log_in(login: Path, registry: Registry, **entry: str) -> None:
    auth = base64.b64encode(b"me:secret").decode()
    login.write_text(json.dumps({"auths": {registry.host: entry or {"auth": auth}}}))


# Documents and blobs


def test_a_healthy_image_passes(registry: Registry) -> None:
    registry.image("app", "v1", layers=40)
    report = verify(image(registry), POLICY)
    assert report.verdict == "pass"
    assert len(report.image.blobs) == 40


def test_a_layer_that_the_registry_lacks_is_a_finding(registry: Registry) -> None:
    manifest = registry.image("app", "v1")
    del registry.answers[f"/v2/app/blobs/{manifest['layers'][1]['digest']}"]
    assert [f.id for f in verify(image(registry), POLICY).errors] == ["layer-missing"]


def test_a_layer_of_another_size_is_a_finding(registry: Registry) -> None:
    manifest = registry.image("app", "v1")
    path = f"/v2/app/blobs/{manifest['layers'][0]['digest']}"
    registry.answers[path] = Answer(200, b"not what was pushed")
    assert "layer-size-mismatch" in [f.id for f in verify(image(registry), POLICY).errors]


def test_a_tag_that_does_not_exist_is_a_finding(registry: Registry) -> None:
    assert [f.id for f in verify(image(registry), POLICY).errors] == ["image-missing"]


def test_a_digest_that_the_bytes_do_not_have_is_a_finding(registry: Registry) -> None:
    registry.image("app", "v1")
    asked = "sha256:" + "0" * 64
    registry.answers[f"/v2/app/manifests/{asked}"] = registry.answers["/v2/app/manifests/v1"]
    errors = verify(image(registry, f"app@{asked}"), POLICY).errors
    assert "manifest-digest-mismatch" in [f.id for f in errors]


def test_every_type_is_accepted_so_that_nothing_is_converted(registry: Registry) -> None:
    registry.image("app", "v1")
    image(registry).resolve()
    assert registry.asked[0].headers["Accept"].split(", ") == list(media_types.ACCEPTED)


def test_a_type_is_read_without_its_parameters(registry: Registry) -> None:
    registry.put("/v2/app/manifests/v1", b"{}", media_types.OCI_MANIFEST + ";charset=utf-8")
    document = image(registry).resolve().document
    assert document
    assert document.media_type == media_types.OCI_MANIFEST


def test_a_manifest_is_read_only_up_to_the_limit_of_the_engines(registry: Registry) -> None:
    registry.put("/v2/app/manifests/v1", b" " * (MAX_MANIFEST_BYTES + 100_000), media_types.OCI_MANIFEST)
    document = image(registry).resolve().document
    assert document
    assert document.size == MAX_MANIFEST_BYTES + 1


def test_the_first_bytes_are_a_range_request(registry: Registry) -> None:
    digest = registry.put("/v2/app/blobs/{}", b"\x1f\x8b and more")
    assert image(registry).first_bytes(Descriptor("x", digest, 13), 4) == b"\x1f\x8b a"
    assert registry.asked[-1].headers["Range"] == "bytes=0-3"


def test_a_registry_without_range_requests_is_not_read_further_either(registry: Registry) -> None:
    digest = registry.put("/v2/app/blobs/{}", b"\x1f\x8b and more")
    registry.knows_ranges = False
    assert image(registry).first_bytes(Descriptor("x", digest, 13), 4) == b"\x1f\x8b a"


def test_a_layers_download_that_breaks_off_resumes_at_its_offset(registry: Registry) -> None:
    content = bytes(range(256)) * 4000
    digest = registry.put("/v2/app/blobs/{}", content)
    path = f"/v2/app/blobs/{digest}"

    def gate(asked: Asked) -> Answer | None:
        return Answer(200, content[:600_000], cut=len(content) - 600_000) if "Range" not in asked.headers else None

    registry.gate = gate
    with image(registry).open(Descriptor("x", digest, len(content))) as chunks:
        assert chunks is not None
        assert b"".join(chunks) == content
    # The bytes of the chunk that broke off are requested again.
    assert [a.headers.get("Range") for a in registry.asked] == [None, "bytes=524288-"]
    assert registry.asked[-1].path == path


def test_an_invalid_digest_never_becomes_a_path(registry: Registry) -> None:
    source = image(registry)
    hostile = Descriptor(media_types.OCI_MANIFEST, "sha256:../../../etc", 1)
    assert source.manifest(hostile) is None
    assert source.blob(hostile, 10) is None
    assert source.availability([hostile]) == {}
    assert registry.asked == []


# The origin


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("docker.io", "https://registry-1.docker.io"),
        ("registry.example.com", "https://registry.example.com"),
        ("registry.example.com:5000", "https://registry.example.com:5000"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("127.9.9.9", "http://127.9.9.9"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("10.0.0.1:5000", "https://10.0.0.1:5000"),
        ("localhost.example.com", "https://localhost.example.com"),
    ],
)
def test_only_requests_to_this_machine_use_http(host: str, expected: str) -> None:
    assert registry_url(host) == expected


# Authentication


def token_service(registry: Registry, token: str = "t0ken") -> None:
    """Ask for a token, and give one at /token."""
    challenge = f'Bearer realm="http://{registry.host}/token",service="svc",scope="repository:app:pull"'

    def gate(asked: Asked) -> Answer | None:
        if asked.path.startswith("/token"):
            return Answer(200, json.dumps({"token": token}).encode(), {"Content-Type": JSON})
        if asked.headers.get("Authorization") != f"Bearer {token}":
            return Answer(401, b"{}", {"WWW-Authenticate": challenge, "Content-Type": JSON})
        return None

    registry.gate = gate


def test_a_token_is_fetched_once_for_all_requests(registry: Registry) -> None:
    registry.image("app", "v1", layers=20)
    token_service(registry)
    assert verify(image(registry), POLICY).verdict == "pass"
    tokens = [a for a in registry.asked if a.path.startswith("/token")]
    assert [a.path for a in tokens] == ["/token?scope=repository%3Aapp%3Apull&service=svc"]
    assert "Authorization" not in tokens[0].headers


def test_the_token_service_gets_the_credentials_of_docker_login(registry: Registry, login: Path) -> None:
    registry.image("app", "v1")
    token_service(registry)
    log_in(login, registry)
    assert image(registry).resolve().document
    asked = next(a for a in registry.asked if a.path.startswith("/token"))
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(b"me:secret").decode()


def test_an_identity_token_is_exchanged_for_an_access_token(registry: Registry, login: Path) -> None:
    registry.image("app", "v1")
    token_service(registry)
    log_in(login, registry, identitytoken="refresh-me")
    assert image(registry).resolve().document
    asked = next(a for a in registry.asked if a.path.startswith("/token"))
    assert asked.method == "POST"
    assert b"refresh_token=refresh-me" in asked.body
    assert b"refresh-me" not in asked.path.encode()


def test_a_token_that_expires_on_the_way_is_renewed(registry: Registry) -> None:
    registry.image("app", "v1")
    token_service(registry, "first")
    source = image(registry)
    assert source.resolve().document
    token_service(registry, "second")
    assert source.resolve().document


def test_basic_authentication_is_answered(registry: Registry, login: Path) -> None:
    registry.image("app", "v1")
    log_in(login, registry)
    basic = "Basic " + base64.b64encode(b"me:secret").decode()
    refusal = Answer(401, b"", {"WWW-Authenticate": 'Basic realm="here"'})
    registry.gate = lambda asked: None if asked.headers.get("Authorization") == basic else refusal
    assert verify(image(registry), POLICY).verdict == "pass"


def test_missing_credentials_are_a_fault_that_names_docker_login(registry: Registry) -> None:
    registry.gate = lambda asked: Answer(401, b"", {"WWW-Authenticate": 'Basic realm="here"'})
    raised = fault(image(registry))
    assert "Docker has none" in raised.message
    assert f"docker login {registry.host}" in raised.advice
    assert len(registry.asked) == 1


def test_expired_credentials_are_a_fault_without_the_secret(registry: Registry, login: Path) -> None:
    log_in(login, registry)
    registry.gate = lambda asked: Answer(401, b"", {"WWW-Authenticate": 'Basic realm="here"'})
    raised = fault(image(registry))
    assert "refuses the credentials" in raised.message
    assert "secret" not in raised.message + raised.advice


def test_a_token_service_that_is_reached_without_encryption_gets_nothing(registry: Registry, login: Path) -> None:
    log_in(login, registry)
    challenge = 'Bearer realm="ftp://elsewhere.example.com/token"'
    registry.gate = lambda asked: Answer(401, b"", {"WWW-Authenticate": challenge})
    assert "has a token service at an invalid URL" in fault(image(registry)).message


@pytest.mark.parametrize("body", [b"no json", b"[]", b"{}", b'{"token": 5}', b'{"token": "a\\r\\nX-Evil: 1"}'])
def test_a_token_service_without_a_token_is_a_fault(registry: Registry, body: bytes) -> None:
    token_service(registry)
    bearer = registry.gate
    registry.gate = lambda asked: Answer(200, body) if asked.path.startswith("/token") else bearer(asked)
    assert "returned no token" in fault(image(registry)).message


# Redirects


def test_a_redirect_to_another_host_is_followed_without_the_credentials(registry: Registry, login: Path) -> None:
    manifest = registry.image("app", "v1")
    log_in(login, registry)
    basic = "Basic " + base64.b64encode(b"me:secret").decode()
    with serving() as storage:
        config = manifest["config"]["digest"]
        storage.answers["/bucket"] = registry.answers[f"/v2/app/blobs/{config}"]

        def gate(asked: Asked) -> Answer | None:
            if asked.headers.get("Authorization") != basic:
                return Answer(401, b"", {"WWW-Authenticate": 'Basic realm="here"'})
            if asked.path.endswith(config):
                return Answer(307, b"", {"Location": f"http://{storage.host}/bucket?X-Amz-Signature=presigned"})
            return None

        registry.gate = gate
        assert verify(image(registry), POLICY).verdict == "pass"
        assert [a.path for a in storage.asked] == ["/bucket?X-Amz-Signature=presigned"]
        assert "Authorization" not in storage.asked[0].headers


def test_a_refusal_of_the_storage_is_reported_without_the_presigned_url(registry: Registry) -> None:
    with serving() as storage:
        storage.gate = lambda asked: Answer(403, b"<Error/>", {"Content-Type": "application/xml"})
        registry.gate = lambda asked: Answer(
            307, b"", {"Location": f"http://{storage.host}/b?X-Amz-Signature=presigned"}
        )
        raised = fault(image(registry))
        assert storage.host in raised.message
        assert "presigned" not in raised.message + raised.advice


def test_redirects_without_end_are_a_fault(registry: Registry) -> None:
    registry.gate = lambda asked: Answer(307, b"", {"Location": asked.path})
    assert "without end" in fault(image(registry)).message


def test_a_redirect_to_another_scheme_is_a_fault(registry: Registry) -> None:
    registry.gate = lambda asked: Answer(307, b"", {"Location": "file:///etc/passwd"})
    assert "redirects to an invalid URL" in fault(image(registry)).message


# Faults


def test_a_web_page_is_a_fault(registry: Registry) -> None:
    registry.gate = lambda asked: Answer(200, b"<html>log in</html>", {"Content-Type": "text/html"})
    assert "web page" in fault(image(registry)).message


def test_a_web_servers_404_page_is_a_fault_and_not_a_finding(registry: Registry) -> None:
    registry.gate = lambda asked: Answer(404, b"<html>404</html>", {"Content-Type": "text/html"})
    assert "web page" in fault(image(registry)).message


def test_a_server_that_is_not_a_registry_is_a_fault_and_not_a_finding(registry: Registry) -> None:
    registry.gate = lambda asked: Answer(404, b"404 page not found", {"Content-Type": "text/plain"})
    assert "does not answer as a registry does" in fault(image(registry)).message


def test_a_rate_limit_that_ends_soon_is_waited_for(registry: Registry) -> None:
    registry.image("app", "v1")
    answers = iter([Answer(429, b"", {"Retry-After": "1"})])
    registry.gate = lambda asked: next(answers, None)
    began = time.monotonic()
    assert image(registry).resolve().document
    assert time.monotonic() - began >= 1


def test_a_rate_limit_that_does_not_end_soon_is_a_fault_at_once(registry: Registry) -> None:
    registry.gate = lambda asked: Answer(429, b"", {"Retry-After": "21600"})
    began = time.monotonic()
    raised = fault(image(registry))
    assert time.monotonic() - began < 30
    assert "429" in raised.message
    assert "21600 s" in raised.advice
    assert len(registry.asked) == 1


def test_a_fault_of_the_config_ends_the_requests_for_the_layers(registry: Registry) -> None:
    """Whose threads would retry for as long as the budget lasts, and Python waits for threads before it ends."""
    registry.image("app", "v1")
    retried = Event()

    def config_denied_and_layers_unavailable(asked: Asked) -> Answer | None:
        if asked.method == "HEAD":
            retried.set()
            return Answer(503)
        if "/blobs/" in asked.path:
            # Only when a layer has failed.
            assert retried.wait(30)
            return Answer(403)
        return None

    registry.gate = config_denied_and_layers_unavailable
    with pytest.raises(Fault, match="HTTP 403"):
        verify(image(registry, seconds=600), POLICY)
    assert_no_pool_is_running()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_transient_error_is_retried(registry: Registry, status: int) -> None:
    registry.image("app", "v1")
    answers = iter([Answer(status), Answer(status)])
    registry.gate = lambda asked: next(answers, None)
    assert image(registry).resolve().document
    assert len(registry.asked) == 3


def test_an_error_that_persists_is_a_fault(registry: Registry) -> None:
    registry.gate = lambda asked: Answer(503)
    assert "HTTP 503" in fault(image(registry, seconds=0.5)).message


def test_a_body_that_breaks_off_is_requested_again(registry: Registry) -> None:
    registry.image("app", "v1")
    whole = registry.answers["/v2/app/manifests/v1"]
    answers = iter([Answer(200, whole.body[:10], whole.headers, cut=len(whole.body) - 10)])
    registry.gate = lambda asked: next(answers, None)
    document = image(registry).resolve().document
    assert document
    assert document.digest == sha256(whole.body)


def test_a_body_that_always_breaks_off_is_a_fault(registry: Registry) -> None:
    registry.gate = lambda asked: Answer(200, b"{", {"Content-Type": media_types.OCI_MANIFEST}, cut=100)
    assert "broke off" in fault(image(registry, seconds=0.5)).message


def test_a_document_that_trickles_in_times_out(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safe_image.sources.responses._READ_TIMEOUT", 0.2)
    registry.gate = lambda asked: Answer(body=b" " * 1000, pace=0.05)
    began = time.monotonic()
    assert "broke off (TimeoutError)" in fault(image(registry, seconds=0.1)).message
    assert time.monotonic() - began < 30


def test_a_layer_that_trickles_in_times_out(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Descriptor("x", sha256(b" " * 1000), 1000)
    monkeypatch.setattr("safe_image.sources.responses._READ_TIMEOUT", 0.2)
    registry.gate = lambda asked: Answer(body=b" " * 1000, pace=0.05)
    began = time.monotonic()
    with image(registry, seconds=0.1).open(layer) as chunks, pytest.raises(Fault, match=r"broke off \(TimeoutError\)"):
        for _ in chunks or ():
            pass
    assert time.monotonic() - began < 30


def test_a_response_that_never_reaches_its_body_times_out(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safe_image.sources.connections.RESPONSE_TIMEOUT", 0.2)
    registry.gate = lambda asked: Answer(endless=b"HTTP/1.1 100 Continue\r\n\r\n", pace=0.01)
    began = time.monotonic()
    assert "broke off (TimeoutError)" in fault(image(registry, seconds=0.1)).message
    assert time.monotonic() - began < 30


def test_an_unknown_host_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    # Asked for real, the answer is that of whatever network the test runs in.
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    source = RegistryImage(Distribution(), Reference.parse("registry.invalid/app"), "x", RetryBudget.of(60))
    began = time.monotonic()
    assert "registry.invalid is not known" in fault(source).message
    assert time.monotonic() - began < 30, "it is not asked again"


def test_a_port_where_nothing_listens_is_a_fault() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        source = RegistryImage(Distribution(), Reference.parse(f"127.0.0.1:{port}/app"), "x", RetryBudget.of(5))
        assert "cannot be reached: Connection refused" in fault(source).message


def test_a_certificate_that_does_not_verify_is_a_fault(registry: Registry) -> None:
    with serving(https=True) as storage:
        port = storage.host.rpartition(":")[2]
        registry.gate = lambda asked: Answer(
            307, b"", {"Location": f"https://localhost:{port}/?X-Amz-Signature=presigned"}
        )
        raised = fault(image(registry))
    assert "certificate" in raised.message
    assert "self-signed" in raised.message
    assert "SSL_CERT_FILE" in raised.advice
    assert "presigned" not in raised.message
