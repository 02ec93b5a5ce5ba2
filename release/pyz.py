"""`python -m release.pyz FILE`: the command as one file, with everything in it but CDK.

It runs wherever there is a Python of 3.10 or later, on Linux of x86_64 and arm64: the file has the compiled decoders
for each of them. pex makes it, since what has compiled parts and data files cannot run from within a zip: what it makes
unpacks itself once into a cache. Pinned dependencies and fixed timestamps make the same file of the same sources.
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
    """Make the file.

    :param file: where it is written to.
    :param pythons: the releases of Python that can run it.
    :param machines: the processors, as Linux names them.
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
        # The same on every machine, whatever its own settings of pex are.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PEX_")}
        subprocess.run(command, env=environment, check=True)


def main() -> None:
    """Make it as it is released."""
    parser = argparse.ArgumentParser(description="Make safe-image as one file.")
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args().file
    file.parent.mkdir(parents=True, exist_ok=True)
    build(file)
    # Released beside it: the action holds what it downloads to this.
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file.with_name(f"{file.name}.sha256").write_text(f"{digest}  {file.name}\n")
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB, sha256 {digest}")


if __name__ == "__main__":
    main()
