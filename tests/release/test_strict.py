"""The examples by the real CDK CLI with `--strict`, for which every warning is an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_aws.toolchain import install
from local_engines.checkout import ROOT

_EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", _EXAMPLES, ids=lambda path: path.name)
def test_an_example_synthesizes_strictly(example: Path, tmp_path: Path) -> None:
    toolchain = install()
    environment = {**os.environ, "JSII_NODE": str(toolchain.node_bin / "node")}
    environment["PATH"] = f"{toolchain.node_bin}{os.pathsep}{environment['PATH']}"
    command = [str(toolchain.cdk), "synth", "--strict", "--quiet", f"--app={sys.executable} {example}"]
    done = subprocess.run(
        [*command, f"--output={tmp_path / 'out'}"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
