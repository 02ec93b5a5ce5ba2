"""Completion in real shells, fetched from Debian: fish completes with the script, and zsh accepts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_engines import debian


@pytest.fixture
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file with the output of `safe-image completion SHELL`."""
    command = [sys.executable, "-m", "safe_image", "completion", request.param]
    file = tmp_path / "safe-image"
    file.write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return file


@pytest.mark.parametrize("script", ["fish"], indirect=True)
def test_fish_completes_commands_options_and_the_values_of_options(script: Path, tmp_path: Path) -> None:
    tree = debian.unpacked("bookworm", ("fish", "fish-common", "libpcre2-32-0"))
    libraries = next(tree.glob("usr/lib/*/libpcre2-32.so.0")).parent
    environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries), "HOME": str(tmp_path)}

    def completed(line: str) -> set[str]:
        words = [str(tree / "usr/bin/fish"), "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"']
        done = subprocess.run([*words, str(script), line], env=environment, capture_output=True, text=True, check=True)
        return {found.partition("\t")[0] for found in done.stdout.splitlines()}

    assert {"check", "diff", "doctor"} <= completed("safe-image ")
    assert completed("safe-image check --fo") == {"--format"}
    assert completed("safe-image check --runs-on l") == {"lambda"}


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh_accepts_the_completion_script(script: Path) -> None:
    zsh = debian.unpacked("bookworm", ("zsh",)) / "bin/zsh"
    done = subprocess.run([str(zsh), "-f", "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert script.read_text().startswith("#compdef safe-image\n")
