"""No unit test sees what a user's shell, AWS configuration or Docker configuration happens to say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest
from image_verifier import aws

_PREFIXES: Final = ("AWS_", "BUILDX_", "CDK_", "DOCKER_", "GITHUB_")
_NAMES: Final = ("ALL_PROXY", "COLUMNS", "FORCE_COLOR", "HTTPS_PROXY", "HTTP_PROXY", "NO_COLOR", "SOURCE_DATE_EPOCH")


@pytest.fixture(autouse=True)
def _environment_of_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(_PREFIXES) or name.upper() in _NAMES:
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # A client keeps the endpoint and the credentials of the test that has made it.
    aws.client.cache_clear()
