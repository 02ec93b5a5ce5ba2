"""`python -m release.pyz FILE`: build the command as one file, with all its dependencies and without CDK.

The file runs with Python 3.10 or later on Linux (x86_64 and arm64), and has the compiled decoders for each of them.
Compiled code and data files cannot be used from within a zip, so pex builds a file that unpacks itself once into a
cache. Pinned dependencies and fixed timestamps make the build reproducible.
https://docs.pex-tool.org/
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parent.parent
_REQUIREMENTS: Final = _ROOT / "requirements" / "pyz.txt"
_PACKAGES: Final = (_ROOT / "safe_image", _ROOT / "lambda" / "image_verifier")
_PYTHONS: Final = ("3.10", "3.11", "3.12", "3.13", "3.14")
_MACHINES: Final = ("x86_64", "aarch64")


def build(file: Path, pythons: Sequence[str] = _PYTHONS, machines: Sequence[str] = _MACHINES) -> None:
    """Build the file.

    :param file: the file to write.
    :param pythons: the releases of Python that can run it.
    :param machines: the processors, by Linux's names.
    """
    platforms = [
        f"--platform=manylinux_2_28_{machine}-cp-{python}.0-cp{python.replace('.', '')}"
        for python in pythons
        for machine in machines
    ]
    with tempfile.TemporaryDirectory() as folder:
        for package in _PACKAGES:
            shutil.copytree(package, Path(folder) / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        command = [
            str(Path(sys.executable).with_name("pex")),
            f"--requirement={_REQUIREMENTS}",
            f"--sources-directory={folder}",
            "--entry-point=safe_image.cli:main",
            "--python-shebang=/usr/bin/env python3",
            "--venv=prepend",
            "--no-compile",
            "--no-emit-warnings",
            f"--output-file={file}",
            *platforms,
        ]
        # The machine's own settings of pex must not change the file.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PEX_")}
        subprocess.run(command, env=environment, check=True)


def main() -> None:
    """Build the file as it is released, with its checksum."""
    parser = argparse.ArgumentParser(description="Build safe-image as one file.")
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args().file
    file.parent.mkdir(parents=True, exist_ok=True)
    build(file)
    # Released beside the file: the action verifies its download with it.
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file.with_name(f"{file.name}.sha256").write_text(f"{digest}  {file.name}\n")
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB, sha256 {digest}")


if __name__ == "__main__":
    main()
