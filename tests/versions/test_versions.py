"""The oldest supported Python and dependencies, the Lambda's Python, and today's newest dependencies.

`make versions` runs all tests of the units, on every Python of the machine.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from local_engines.checkout import ROOT
from release.versions import pythons
from release.versions.environments import Environment

_CONSTRUCTS = "tests/unit/cdk_safe_image"
# Some tests that use aws-cdk-lib, boto3 and the decoders: a new aws-cdk-lib is compiled at its first import.
_WITH_TODAYS = [
    f"{_CONSTRUCTS}/test_gate.py",
    "tests/unit/safe_image/sources/test_targets.py",
    "tests/unit/image_verifier/running/test_uses.py",
    "tests/unit/image_verifier/layers/test_decompression.py",
]
# More of aws-cdk-lib; the oldest jsii is too slow for all of its tests, which `make versions` runs.
_AT_THE_BOUND = [*_WITH_TODAYS, f"{_CONSTRUCTS}/test_verification.py"]


BOUNDS = {
    name: Version(version)
    for project in (ROOT / "pyproject.toml", ROOT / "cdk_safe_image" / "pyproject.toml")
    for name, version in re.findall(
        r'^  "([a-zA-Z0-9._-]+)>=([\d.]+)', project.read_text().partition("[dependency-groups]")[0], re.MULTILINE
    )
}
# Prints the digest of the code that a Lambda gets.
_STAGE = """
import hashlib, tempfile, zipfile
from pathlib import Path
from cdk_safe_image.staging import write_zip

with tempfile.TemporaryDirectory() as folder:
    code = zipfile.ZipFile(write_zip(Path(folder, "code.zip"), "custom_resource"))
    print(hashlib.sha256(b"".join(name.encode() + code.read(name) for name in code.namelist())).hexdigest())
"""


def interpreter(version: str) -> Path:
    found = pythons.python(version)
    if found is None:
        pytest.skip(f"this machine has no Python {version}")
    return found


def passed(output: str) -> int:
    found = re.search(r"(\d+) passed", output)
    return int(found[1]) if found else 0


def test_the_tests_pass_on_the_oldest_python_with_the_lower_bound_of_every_dependency() -> None:
    environment = Environment.oldest(interpreter(pythons.VERSIONS[0]))
    assert environment.installed("aws-cdk-lib") == "2.196.0"
    # A bound below what the others allow would be one that nothing has tried.
    assert {name: Version(environment.installed(name)) for name in BOUNDS} == BOUNDS
    done = environment.test(*_AT_THE_BOUND)
    assert done.returncode == 0, done.stdout
    assert passed(done.stdout) > 60


def test_the_tests_pass_with_todays_newest_version_of_every_dependency() -> None:
    environment = Environment.newest(interpreter(pythons.VERSIONS[-1]))
    done = environment.test(*_WITH_TODAYS)
    assert done.returncode == 0, f"newer than in requirements/dev.txt: {environment.differences()}\n{done.stdout}"
    assert passed(done.stdout) > 60


def test_the_environments_have_every_module_that_the_unit_tests_import() -> None:
    files = [file for file in (ROOT / "tests" / "unit").rglob("*.py") if file.name != "test_nag.py"]
    statements = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    imported = {name.name for node in statements if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module for node in statements if isinstance(node, ast.ImportFrom) and node.module}
    packages = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    assert {"aws_cdk", "boto3", "pytest"} <= packages
    program = (
        "import sys; from importlib.util import find_spec; print([it for it in sys.argv[1:] if not find_spec(it)])"
    )
    python = Environment.pinned(interpreter(pythons.LAMBDA)).python
    command = [str(python), "-c", program, *sorted(packages)]
    assert subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout == "[]\n"


def test_the_verifiers_tests_pass_on_the_lambdas_python() -> None:
    environment = Environment.pinned(interpreter(pythons.LAMBDA))
    done = environment.test("tests/unit/image_verifier")
    assert done.returncode == 0, done.stdout
    assert passed(done.stdout) > 400


def test_the_lambda_gets_the_same_code_from_another_python() -> None:
    pythons_to_compare = (sys.executable, Environment.pinned(interpreter(pythons.LAMBDA)).python)
    digests = [
        subprocess.run([python, "-c", _STAGE], capture_output=True, text=True, check=True).stdout
        for python in pythons_to_compare
    ]
    assert digests[0] == digests[1] != ""
