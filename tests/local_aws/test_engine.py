"""A real Docker pushes to the registry and pulls from it, with ECR's own token."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws import LocalAws
from local_aws.engine import Engine


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine.start() as running:
        yield running


def test_docker_pushes_and_pulls_an_image_unchanged(secured: LocalAws, engine: Engine, tmp_path: Path) -> None:
    ecr = secured.client("ecr")
    ecr.create_repository(repositoryName="engine", imageTagMutability="IMMUTABLE")
    data = ecr.get_authorization_token()["authorizationData"][0]
    password = base64.b64decode(data["authorizationToken"]).partition(b":")[2]
    engine.docker("login", "--username", "AWS", "--password-stdin", data["proxyEndpoint"], stdin=password)
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY bytes /bytes\nCMD ["/bytes"]\n')
    (tmp_path / "bytes").write_bytes(os.urandom(5_000_000))
    reference = f"{secured.registry}/engine:a"
    engine.docker(
        "build", "--quiet", "--output=type=docker,attestation-inline=false", "--tag", reference, str(tmp_path)
    )
    try:
        engine.docker("push", reference)
        detail = ecr.describe_images(repositoryName="engine", imageIds=[{"imageTag": "a"}])["imageDetails"][0]
        assert 5_000_000 < detail["imageSizeInBytes"] < 5_100_000
        engine.docker("image", "rm", reference)
        reference = f"{secured.registry}/engine@{detail['imageDigest']}"
        assert detail["imageDigest"] in engine.docker("pull", "--quiet", reference)
    finally:
        engine.docker("image", "rm", "--force", reference)
