"""A download that breaks off resumes, and never with other bytes than the rest."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import pytest
from image_verifier.faults import Fault
from image_verifier.retry import RetryBudget
from image_verifier.sources.download import Download
from urllib3 import HTTPResponse

CONTENT = bytes(range(256)) * 8
DIGEST = "sha256:" + "0" * 64
HALF = len(CONTENT) // 2


def response(status: int, body: bytes, length: int | None = None, span: str = "") -> HTTPResponse:
    headers = {"Content-Length": str(len(body) if length is None else length)}
    if span:
        headers["Content-Range"] = span
    return HTTPResponse(
        BytesIO(body), headers, status, preload_content=False, enforce_content_length=True, request_method="GET"
    )


def downloaded(*responses: HTTPResponse | None, seconds: float = 60) -> tuple[bytes | None, list[str]]:
    """The blob from these responses, one for each request, and the requested ranges."""
    left, ranges = list(responses), []

    def request(headers: Mapping[str, str]) -> HTTPResponse | None:
        ranges.append(headers.get("Range", ""))
        return left.pop(0)

    download = Download(
        DIGEST,
        request,
        read=lambda response: response.stream(64, decode_content=False),
        failed=lambda error: Fault(type(error).__name__),
        retry_budget=RetryBudget.of(seconds),
    )
    with download.chunks() as chunks:
        return None if chunks is None else b"".join(chunks), ranges


def cut() -> HTTPResponse:
    return response(200, CONTENT[:HALF], len(CONTENT))


def test_a_download_that_breaks_off_resumes_at_its_offset() -> None:
    rest = response(206, CONTENT[HALF:], span=f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}")
    assert downloaded(cut(), rest) == (CONTENT, ["", f"bytes={HALF}-"])


@pytest.mark.parametrize(
    "rest",
    [
        response(200, CONTENT),
        response(206, CONTENT[5:], span=f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}"),
        response(206, CONTENT[HALF:]),
        None,
    ],
    ids=["the-whole", "another-range", "no-range", "nothing"],
)
def test_anything_but_the_rest_is_a_fault_and_not_a_blob_with_another_digest(rest: HTTPResponse | None) -> None:
    with pytest.raises(Fault, match=f"broke off after {HALF} bytes"):
        downloaded(cut(), rest)


def test_a_download_that_breaks_off_too_often_is_the_sources_fault() -> None:
    with pytest.raises(Fault, match="ProtocolError"):
        downloaded(cut(), seconds=0)


def test_a_blob_that_the_registry_does_not_hold_has_no_chunks() -> None:
    assert downloaded(None) == (None, [""])
