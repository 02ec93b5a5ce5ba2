"""The log has no secret: the query of a URL, however it is written."""

from __future__ import annotations

import pytest
from image_verifier.custom_resource.log import without_queries


@pytest.mark.parametrize("scheme", ["https", "http", "HTTPS", "Http"])
def test_the_query_of_a_url_is_left_out(scheme: str) -> None:
    text = f"GET ({scheme}://bucket.example/blob?X-Amz-Signature=abc&b=1) failed, why?"
    assert without_queries(text) == f"GET ({scheme}://bucket.example/blob?... failed, why?"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"{\"url\":\"https:\/\/bucket\/blob?X-Amz-Signature=abc\"}", r'{\"url\":\"https:\/\/bucket\/blob?..."}'),
        (r"https:\\/\\/bucket\\/blob?X-Amz-Signature=abc", r"https:\\/\\/bucket\\/blob?..."),
        ("GET https://user:password@proxy:8080/a failed", "GET https://...@proxy:8080/a failed"),
        ("GET http://user:p@ssword@proxy?token=1 failed", "GET http://...@proxy?... failed"),
        (r"https:\/\/token@proxy\/a", r"https:\/\/...@proxy\/a"),
        ("https://registry.example/team/shop@sha256:1", "https://registry.example/team/shop@sha256:1"),
        ("user@example.org asks, why?", "user@example.org asks, why?"),
    ],
)
def test_escaped_slashes_hide_no_query_and_no_password_is_shown(text: str, shown: str) -> None:
    assert without_queries(text) == shown


def test_a_text_of_many_urls_takes_no_time() -> None:
    assert without_queries("http://" * 100_000).startswith("http://http:")
