"""Descriptors with `urls`: containerd fetches from there, and dockerd's classic store ignores them (measured)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import Finding, Severity
from image_verifier.verify import verify

from tests.unit.images import Layout

URL = "https://example.com/blob"
AMD64 = {"os": "linux", "architecture": "amd64"}
CONTAINERD = ("fargate", "ecs-managed-instances", "eks", "batch")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def _with_config(layout: Layout, url: str) -> dict[str, Any]:
    document = layout.image()
    content = (layout.path / "blobs" / "sha256" / document["digest"].partition(":")[2]).read_bytes()
    (config,) = (part for part in _parsed(content).values() if isinstance(part, dict))
    return layout.image(manifest={"config": {**config, "urls": [url]}})


def _parsed(content: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(content)
    return value


def _with_layer(layout: Layout, url: str) -> dict[str, Any]:
    return layout.image(layers={"urls": [url]})


def _with_manifest(layout: Layout, url: str) -> dict[str, Any]:
    return layout.index({**layout.image(), "platform": AMD64, "urls": [url]})


PLACES = {"config-foreign": _with_config, "layer-foreign": _with_layer, "manifest-foreign": _with_manifest}
places = pytest.mark.parametrize(("finding_id", "make"), PLACES.items())
Make = Callable[[Layout, str], dict[str, Any]]


def findings(layout: Layout, top: dict[str, Any], runtime: str) -> tuple[Finding, ...]:
    return verify(layout.source(top), Policy((runtime,), Platform.parse("linux/amd64"))).findings


@places
@pytest.mark.parametrize("runtime", CONTAINERD)
def test_containerd_fetches_from_a_url_so_the_verifier_warns(
    layout: Layout, runtime: str, finding_id: str, make: Make
) -> None:
    (warning,) = findings(layout, make(layout, URL), runtime)
    assert (warning.id, warning.severity, warning.found) == (finding_id, Severity.WARNING, URL)
    assert "is fetched from https://example.com/blob, not from the registry" in warning.message


@places
@pytest.mark.parametrize("runtime", ["ecs-ec2", "ecs-anywhere"])
def test_where_only_some_hosts_have_the_containerd_store_the_warning_names_them(
    layout: Layout, runtime: str, finding_id: str, make: Make
) -> None:
    (warning,) = findings(layout, make(layout, URL), runtime)
    assert (warning.id, warning.severity) == (finding_id, Severity.WARNING)
    assert "whose Docker uses the containerd image store" in warning.message


@places
@pytest.mark.parametrize("runtime", ["lambda", "app-runner"])
def test_an_engine_that_nobody_knows_gets_no_warning(layout: Layout, runtime: str, finding_id: str, make: Make) -> None:
    assert finding_id not in {finding.id for finding in findings(layout, make(layout, URL), runtime)}


@places
def test_a_password_or_a_signature_in_the_url_is_not_shown(layout: Layout, finding_id: str, make: Make) -> None:
    url = "https://user:pass@word@example.com/a@b?X-Amz-Signature=secret#part"
    (warning,) = findings(layout, make(layout, url), "eks")
    assert (warning.id, warning.found) == (finding_id, "https://example.com/a@b")
    assert "is fetched from https://example.com/a@b, not from" in warning.message


@places
def test_containerd_ignores_a_url_of_another_scheme(layout: Layout, finding_id: str, make: Make) -> None:
    assert findings(layout, make(layout, "ftp://example.com/blob"), "fargate") == ()


def test_a_manifest_for_another_platform_counts_where_the_runtime_fetches_it(layout: Layout) -> None:
    other = layout.image(config={"architecture": "arm64"})
    arm64 = {**other, "platform": {"os": "linux", "architecture": "arm64"}, "urls": [URL]}
    top = layout.index({**layout.image(), "platform": AMD64}, arm64)
    assert [finding.id for finding in findings(layout, top, "fargate")] == ["manifest-foreign"]
    assert findings(layout, top, "eks") == ()
