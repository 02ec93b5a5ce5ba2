"""The ways into pipelines without CDK: the files of the image, the hooks of pre-commit, and the job of GitLab."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import pytest
import yaml
from image_verifier import __version__

from local_engines.checkout import ROOT
from release.image.tree import MACHINES, PYTHON, make_tree
from tests.unit.registry_server import serving

_BIN: Final = Path(sys.executable).parent
_HOOKS: Final[list[dict[str, Any]]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
_HERE: Final = {machine: name for name, machine in MACHINES.items()}[platform.machine()]


def test_the_files_of_the_image_run_with_nothing_else(tmp_path: Path) -> None:
    make_tree(tmp_path / "tree", _HERE, f"{sys.version_info.major}.{sys.version_info.minor}")
    work = tmp_path / "work"
    work.mkdir()
    # The image's working folder may hold the code of a stranger.
    (work / "json.py").write_text("raise SystemExit('imported')")
    command = [os.path.realpath(sys.executable), "-I", str(tmp_path / "tree")]
    done = subprocess.run([*command, "--version"], cwd=work, env={}, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"safe-image {__version__}\n", "")
    reference = f"oci-archive:{ROOT / 'examples' / 'broken-image.tar'}"
    done = subprocess.run([*command, "check", reference, "--layers"], cwd=work, env={}, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "FAIL" in done.stdout


def test_the_dockerfile_has_the_python_of_its_files_and_another_user_than_root() -> None:
    lines = (ROOT / "release" / "image" / "Dockerfile").read_text().splitlines()
    assert f"ARG BASE=python:{PYTHON}-slim-trixie" in lines
    (user,) = (line.removeprefix("USER ") for line in lines if line.startswith("USER "))
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert not [line for line in lines if line.startswith("RUN ")], "another processor needs no emulation"


@pytest.mark.parametrize("hook", _HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_of_pre_commit_runs_as_pre_commit_runs_it(hook: dict[str, Any], tmp_path: Path) -> None:
    # pre-commit installs the repository into an environment, and runs the entry with the arguments there.
    assert hook["language"] == "python"
    arguments = [f"oci-archive:{ROOT / 'examples' / 'broken-image.tar'}"] if "check" in hook["entry"] else []
    (tmp_path / "safe-image.toml").write_text("runs-on = 'fargat'\n")

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [*shlex.split(hook["entry"]), *arguments, *more]
        path = {"PATH": f"{_BIN}:{os.environ['PATH']}"}
        return subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True)

    assert run().returncode == 2
    (tmp_path / "safe-image.toml").write_text("runs-on = 'fargate'\n")
    done = run()
    assert done.returncode == (1 if arguments else 0), done.stderr
    assert ("FAIL" in done.stdout) is bool(arguments)


def test_the_configuration_hook_runs_for_the_files_that_may_hold_it() -> None:
    pattern = next(hook["files"] for hook in _HOOKS if hook["id"] == "safe-image-config")
    named = ["safe-image.toml", "shop/safe-image.toml", "pyproject.toml", "other.toml", "unsafe-image.toml"]
    assert [name for name in named if re.search(pattern, name)] == named[:3]


def test_gitlabs_job_signs_in_checks_the_image_and_writes_its_reports(tmp_path: Path) -> None:
    (job,) = yaml.safe_load((ROOT / "examples" / "gitlab_ci.yml").read_text()).values()
    lines = [line for line in (*job["before_script"], *job["script"]) if not line.startswith("pip install ")]
    with serving() as registry:
        registry.image("team/shop", "abc")
        environment = {
            "PATH": f"{_BIN}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "CI_REGISTRY": registry.host,
            "CI_REGISTRY_USER": "gitlab-ci-token",
            "CI_REGISTRY_PASSWORD": "secret",
            "IMAGE": f"{registry.host}/team/shop:abc",
        }
        script = "set -eo pipefail\n" + "\n".join(lines)
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert "1 image: 1 passed" in done.stdout
    suites = ElementTree.parse(tmp_path / job["artifacts"]["reports"]["junit"]).getroot()
    assert suites.get("tests") == "1"
    assert all((tmp_path / path).exists() for path in job["artifacts"]["paths"])
    assert (tmp_path / ".docker" / "config.json").read_text().count("Z2l0bGFiLWNpLXRva2VuOnNlY3JldA==") == 1
