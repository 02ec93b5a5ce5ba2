"""The log has no secret: the query of a URL, however it is written."""

from __future__ import annotations

import pytest
from image_verifier.custom_resource.log import without_queries


@pytest.mark.parametrize("scheme", ["https", "http", "HTTPS", "Http"])
def test_the_query_of_a_url_is_left_out(scheme: str) -> None:
    text = f"GET ({scheme}://bucket.example/blob?X-Amz-Signature=abc&b=1) failed, why?"
    assert without_queries(text) == f"GET ({scheme}://bucket.example/blob?... failed, why?"
