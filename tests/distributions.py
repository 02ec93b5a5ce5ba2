"""The two distributions, built and installed in environments of their own: what users get, without the checkout."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from local_aws.toolchain import uv
from local_engines.checkout import LOCAL, ROOT

COMMAND: Final = ROOT
CONSTRUCTS: Final = ROOT / "cdk_safe_image"
_PINS = ROOT / "requirements" / "dev.txt"


def build(project: Path, folder: Path, *kinds: str) -> Path:
    """Build a distribution.

    :param project: the folder of its pyproject.toml, or its unpacked sdist.
    :param folder: the folder to write it to.
    :param kinds: `--sdist` or `--wheel`.
    :returns: the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    _run(sys.executable, "-m", "build", *kinds, "--no-isolation", "--outdir", str(folder), str(project))
    (made,) = set(folder.iterdir()) - before
    return made


def installed(*projects: Path) -> Path:
    """The interpreter of an environment that holds the wheels of these projects and their dependencies, and no others.

    The environment is kept for as long as the wheels stay the same.
    """
    LOCAL.mkdir(exist_ok=True)
    # Beside other test processes: one builds, the others find it built.
    with (LOCAL / "wheel.lock").open("w") as lock, TemporaryDirectory() as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wheels = [build(project, Path(folder), "--wheel") for project in projects]
        _forget_old()
        environment = LOCAL / "wheel" / _digest([*wheels, _PINS])
        python = environment / "bin" / "python"
        if not (environment / "complete").exists():
            shutil.rmtree(environment, ignore_errors=True)
            empty_environment(environment)
            _run(uv(), "pip", "install", "--quiet", f"--python={python}", f"--constraint={_PINS}", *map(str, wheels))
        (environment / "complete").touch()
        return python


def empty_environment(folder: Path) -> None:
    """Make an environment that holds nothing.

    :param folder: its folder.
    """
    _run(uv(), "venv", "--quiet", "--python", sys.executable, str(folder))


def _digest(files: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _forget_old() -> None:
    """Remove the environments that no test has used for a day."""
    for complete in LOCAL.glob("wheel/*/complete"):
        if complete.stat().st_mtime < time.time() - 24 * 3600:
            shutil.rmtree(complete.parent, ignore_errors=True)


def _run(*command: str) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
