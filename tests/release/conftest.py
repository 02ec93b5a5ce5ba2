"""The command as one file, built once for the present sources."""

from __future__ import annotations

import fcntl
import hashlib
import platform
import sys
from pathlib import Path

import pytest

from local_engines.checkout import LOCAL
from release.pyz import build

_ROOT = Path(__file__).parent.parent.parent
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# The Python that runs the tests, and this machine's processor.
THIS_MACHINE = ((_PYTHON,), (platform.machine(),))


@pytest.fixture(scope="session")
def pyz() -> Path:
    """The file for the Python that runs the tests, on this machine's processor."""
    sources = [
        _ROOT / "requirements/pyz.txt",
        *sorted((_ROOT / "release").glob("*.py")),
        *sorted((_ROOT / "safe_image").rglob("*.*")),
        *sorted((_ROOT / "lambda").rglob("*.py")),
    ]
    # Other test processes compile modules meanwhile, in files that are renamed.
    contents = b"\0".join(path.read_bytes() for path in sources if path.parent.name != "__pycache__")
    folder = LOCAL / "pyz"
    file = folder / f"{hashlib.sha256(contents).hexdigest()[:16]}-{_PYTHON}" / "safe-image.pyz"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            new = file.with_suffix(".tmp")
            build(new, *THIS_MACHINE)
            new.rename(file)
    return file
