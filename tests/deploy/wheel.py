"""The built wheel in an environment of its own: what `pip install` gives a user, without the checkout."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from local_aws.toolchain import uv
from local_engines.checkout import LOCAL, ROOT

_PINS = ROOT / "requirements" / "dev.txt"


def installed_wheel() -> Path:
    """The interpreter of an environment that holds the wheel and its dependencies, and nothing else.

    The environment is kept for as long as the wheel stays the same.
    """
    LOCAL.mkdir(exist_ok=True)
    # Beside other test processes: one builds, the others find it built.
    with (LOCAL / "wheel.lock").open("w") as lock, TemporaryDirectory() as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, str(ROOT))
        (wheel,) = Path(folder).glob("*.whl")
        _forget_old()
        environment = LOCAL / "wheel" / hashlib.sha256(wheel.read_bytes() + _PINS.read_bytes()).hexdigest()[:16]
        python = environment / "bin" / "python"
        if not (environment / "complete").exists():
            shutil.rmtree(environment, ignore_errors=True)
            _run(uv(), "venv", "--quiet", "--python", sys.executable, str(environment))
            _run(uv(), "pip", "install", "--quiet", "--python", str(python), f"--constraint={_PINS}", str(wheel))
        (environment / "complete").touch()
        return python


def _forget_old() -> None:
    """Remove the environments for which nobody has asked for a day."""
    for complete in LOCAL.glob("wheel/*/complete"):
        if complete.stat().st_mtime < time.time() - 24 * 3600:
            shutil.rmtree(complete.parent, ignore_errors=True)


def _run(*command: str) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
