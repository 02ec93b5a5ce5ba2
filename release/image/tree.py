"""The files of the image: the command and its pinned dependencies, for one processor."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from local_aws.toolchain import uv
from local_engines.checkout import ROOT

_PACKAGES: Final = (ROOT / "safe_image", ROOT / "lambda" / "image_verifier")
_ENTRY: Final = ROOT / "release" / "image" / "entry.py"
# The Python of the base image.
PYTHON: Final = "3.13"
# uv's names of the processors, by Docker's.
MACHINES: Final[Mapping[str, str]] = {"amd64": "x86_64", "arm64": "aarch64"}


def make_tree(folder: Path, architecture: str, python: str = PYTHON) -> None:
    """Write the files; Python runs the folder as a program.

    :param folder: the folder, which is replaced.
    :param architecture: amd64 or arm64.
    :param python: the version of the Python that runs it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    install = [uv(), "pip", "install", "--quiet", "--only-binary=:all:", "--require-hashes", f"--target={folder}"]
    platform = f"--python-platform={MACHINES[architecture]}-manylinux_2_28"
    requirements = f"--requirement={ROOT / 'requirements' / 'pyz.txt'}"
    subprocess.run([*install, platform, f"--python-version={python}", requirements], check=True)
    for package in _PACKAGES:
        shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(_ENTRY, folder / "__main__.py")
    # The programs of dependencies, which name an interpreter of this machine.
    shutil.rmtree(folder / "bin", ignore_errors=True)
