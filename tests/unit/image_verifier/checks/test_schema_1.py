"""Docker schema 1 manifests: the expected results are those of the engines, measured on 2026-11-28."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from image_verifier.image import media_types
from image_verifier.image.model import Document, Platform, sha256
from image_verifier.policy import Policy
from image_verifier.report import Finding, Severity
from image_verifier.verify import verify

from release.engines.drafts import StoredImage
from tests.unit.images import Layout

REMOVED = "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed."
NO_LONGER = "schema 1 image manifests are no longer supported: invalid argument"
WITHOUT = "The manifest is a Docker schema 1 manifest without a signature, which no engine accepts."


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def _findings(
    layout: Layout, runtime: str, content: bytes, media_type: str = media_types.DOCKER_MANIFEST_1_SIGNED
) -> tuple[Finding, ...]:
    source = layout.source(layout.descriptor(media_type, content))
    return verify(source, Policy((runtime,), Platform.parse("linux/amd64"))).findings


PLAIN = json.dumps({"schemaVersion": 1, "fsLayers": [], "history": []}, indent=3).encode()


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _signature(**fields: Any) -> dict[str, Any]:
    """A signature as skopeo writes it, with as much as engines read."""
    end = {"formatLength": len(PLAIN) - 2, "formatTail": _encoded(PLAIN[-2:]), **fields}
    return {"header": {"alg": "ES256"}, "signature": "c2ln", "protected": _encoded(json.dumps(end).encode())}


def _schema_1(**fields: Any) -> bytes:
    """A manifest with these fields after those that may be signed."""
    return PLAIN[:-2] + b"".join(f",\n   {json.dumps(k)}: {json.dumps(v)}".encode() for k, v in fields.items()) + b"\n}"


SIGNATURE = _signature()
SIGNED = _schema_1(signatures=[SIGNATURE])


def _words(layout: Layout, runtime: str, content: bytes, media_type: str = media_types.DOCKER_MANIFEST_1_SIGNED) -> str:
    (error,) = (f for f in _findings(layout, runtime, content, media_type) if f.severity is Severity.ERROR)
    assert (error.id, error.predicted) == ("schema-1", False)
    return error.runtime_error.removeprefix("CannotPullContainerError: ")


def test_a_signed_one_passes_where_docker_25_runs_and_warns_of_all_hosts_that_have_another(layout: Layout) -> None:
    for name, hosts in (
        ("ecs-ec2", "Bottlerocket (aws-ecs-3), whose"),
        (
            "ecs-anywhere",
            "hosts whose Docker is newer than 25.0 and uses its classic image store, and hosts whose Docker uses the "
            "containerd image store",
        ),
    ):
        findings = _findings(layout, name, SIGNED)
        assert {(finding.id, finding.severity) for finding in findings} == {("schema-1", Severity.WARNING)}
        assert f"Affected are only {hosts}" in findings[-1].message


def test_a_signed_one_is_an_error_where_no_host_has_an_old_engine(layout: Layout) -> None:
    for runtime in ("fargate", "eks", "batch"):
        assert _words(layout, runtime, SIGNED) == NO_LONGER


@pytest.mark.parametrize("runtime", ["ecs-ec2", "ecs-anywhere"])
@pytest.mark.parametrize("media_type", sorted(media_types.SCHEMA_1))
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (_schema_1(), "missing signature key"),
        (_schema_1(Signatures=[SIGNATURE]), "missing signature key"),
        (b"null", "missing signature key"),
        (b"{", "error unmarshalling content: unexpected end of JSON input"),
        (
            b"[]",
            "error unmarshalling content: json: cannot unmarshal array into Go value of type "
            "map[string]json.RawMessage",
        ),
    ],
)
def test_docker_25_pulls_none_without_a_signature(
    layout: Layout, runtime: str, media_type: str, content: bytes, words: str
) -> None:
    assert _words(layout, runtime, content, media_type) == words
    assert _findings(layout, runtime, content, media_type)[0].message == WITHOUT


@pytest.mark.parametrize(
    "signatures",
    [
        *([], None, {}, [{}], [{"protected": ""}], ["x"], "x", [{"protected": "e30"}], [{"protected": "!"}]),
        [_signature(formatLength="1")],
        [_signature(formatTail=1)],
        [SIGNATURE, _signature(formatLength=3)],
    ],
)
def test_docker_25_pulls_none_whose_signature_it_cannot_read(layout: Layout, signatures: object) -> None:
    first = _findings(layout, "ecs-ec2", _schema_1(signatures=signatures))[0]
    assert (first.id, first.severity, first.message) == ("schema-1", Severity.ERROR, WITHOUT)


def test_docker_25_pulls_a_signed_one_of_the_unsigned_ones_type_and_containerd_does_not(layout: Layout) -> None:
    content = SIGNED
    findings = _findings(layout, "ecs-ec2", content, media_types.DOCKER_MANIFEST_1)
    assert {finding.severity for finding in findings} == {Severity.WARNING}
    unexpected = f"unexpected media type {media_types.DOCKER_MANIFEST_1} for {sha256(content)}: not found"
    assert _words(layout, "eks", content, media_types.DOCKER_MANIFEST_1) == (
        f"get image config descriptor: {unexpected}"
    )
    for runtime in ("fargate", "ecs-managed-instances"):
        assert _words(layout, runtime, content, media_types.DOCKER_MANIFEST_1) == (
            f"failed to unpack image on snapshotter overlayfs: {unexpected}"
        )


def test_one_without_a_signature_is_refused_in_each_engines_words(layout: Layout) -> None:
    assert _words(layout, "fargate", _schema_1()) == "no signatures"
    assert _words(layout, "eks", _schema_1()) == NO_LONGER
    assert _words(layout, "ecs-managed-instances", _schema_1()).startswith(
        f'not implemented: media type "{media_types.DOCKER_MANIFEST_1_SIGNED}" is no longer supported'
    )


def test_a_signed_one_has_the_digest_of_what_is_signed(layout: Layout) -> None:
    """As registries name it, and as dockerd 25.0.16 pulls it by digest."""
    for digest, runs in ((sha256(PLAIN), True), (sha256(SIGNED), True), (sha256(b""), False)):
        document = Document(media_types.DOCKER_MANIFEST_1_SIGNED, digest, SIGNED)
        assert document.is_intact == runs
        image = StoredImage(digest, {digest: (document.media_type, SIGNED)}, {})
        report = verify(image, Policy(("ecs-ec2",), Platform.parse("linux/amd64")))
        assert (report.verdict == "pass") == runs
        assert ("manifest-digest-mismatch" in {finding.id for finding in report.findings}) != runs
