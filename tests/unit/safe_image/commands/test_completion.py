"""`safe-image completion`: a shell that has read it completes commands and options, all known to the parser."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from safe_image.cli import main
from safe_image.commands import COMMANDS

_COMPLETE = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_shtab_safe_image
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", "bash"]) == 0
    path = tmp_path / "safe-image"
    path.write_text(capsys.readouterr().out)
    return path


def completed(script: Path, *words: str) -> list[str]:
    """The completions that bash offers for the last word."""
    command = ["bash", "-c", _COMPLETE, "bash", str(script), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_bash_completes_every_command(script: Path) -> None:
    assert set(COMMANDS) <= set(completed(script, "safe-image", ""))
    assert completed(script, "safe-image", "hea") == ["heal"]


def test_bash_completes_the_options_of_a_command_and_their_values(script: Path) -> None:
    assert completed(script, "safe-image", "heal", "--dr") == ["--dry-run"]
    assert "--offline" in completed(script, "safe-image", "doctor", "--")
    assert completed(script, "safe-image", "preflight", "--format", "j") == ["json"]
    assert completed(script, "safe-image", "completion", "z") == ["zsh"]


def test_bash_completes_values_that_the_parser_does_not_restrict(script: Path) -> None:
    def values(*words: str) -> list[str]:
        return completed(script, "safe-image", "check", *words)

    assert values("--runs-on", "eks", "--runs-on", "l") == ["lambda"]
    assert values("--platform", "linux/ar") == ["linux/arm64"]
    assert values("shop:1", "--format", "ma") == ["markdown"]
    assert values("--acknowledge", "layer-for") == ["layer-foreign="]
    assert values("docker-d") == ["docker-daemon:"]
    script.with_name("report.json").touch()
    assert values("-o", f"{script.parent}/rep") == [f"{script.parent}/report.json"]


@pytest.mark.parametrize(("shell", "words"), [("zsh", "#compdef safe-image"), ("fish", "complete -c safe-image")])
def test_other_shells_have_scripts_of_their_own(shell: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert words in said
    assert all(command in said for command in COMMANDS)


def test_an_unknown_shell_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as e:
        main(["completion", "tcl"])
    assert e.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
