"""References are read as Docker reads them."""

from __future__ import annotations

import pytest
from image_verifier.image.references import Reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpine", Reference("docker.io", "library/alpine", "latest")),
        ("alpine:3.20", Reference("docker.io", "library/alpine", "3.20")),
        ("grafana/grafana", Reference("docker.io", "grafana/grafana", "latest")),
        ("docker.io/alpine", Reference("docker.io", "library/alpine", "latest")),
        ("index.docker.io/library/alpine", Reference("docker.io", "library/alpine", "latest")),
        ("localhost/app", Reference("localhost", "app", "latest")),
        ("localhost:5000/app:v1", Reference("localhost:5000", "app", "v1")),
        ("[::1]:5000/app", Reference("[::1]:5000", "app", "latest")),
        ("registry.example.com/a/b/c:T.1-x_y", Reference("registry.example.com", "a/b/c", "T.1-x_y")),
        ("Registry/app", Reference("Registry", "app", "latest")),
        (f"registry.example.com/a@{DIGEST}", Reference("registry.example.com", "a", "", DIGEST)),
        (f"registry.example.com/a:tag@{DIGEST}", Reference("registry.example.com", "a", "", DIGEST)),
    ],
)
def test_a_reference_is_read_as_docker_reads_it(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", ":", "@", "a b", "UPPER", "a//b", "/a", "a/", "a:", "a:-tag", "a@sha256:12", "a@md5:00", "a..b", "host.com/"],
)
def test_what_docker_does_not_read_is_refused_with_the_text_in_the_message(text: str) -> None:
    with pytest.raises(ValueError, match=r".+") as refused:
        Reference.parse(text)
    assert repr(text) in str(refused.value)
