"""Fixes are confirmed by a person: at a terminal by an answer, elsewhere by `--yes`."""

from __future__ import annotations

import io
import os
import pty
import sys

import pytest

from safe_image.machine.carry_out import is_confirmed
from safe_image.machine.docker import Docker
from safe_image.machine.fixes import RemoveLocalImage

FIXES = [RemoveLocalImage(Docker("docker"), "cdkasset-aa")]


@pytest.mark.parametrize(
    ("typed", "confirmed"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("\x04", False)]
)
def test_a_terminal_gets_a_prompt_and_only_yes_is_yes(
    typed: str, confirmed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outer, inner = pty.openpty()
    with os.fdopen(inner, "r") as terminal:
        os.write(outer, typed.encode())
        monkeypatch.setattr(sys, "stdin", terminal)
        assert is_confirmed(FIXES, ["heal"], yes=False) is confirmed
    os.close(outer)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Proceed? [y/N] ")


def test_without_a_terminal_the_exact_line_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert is_confirmed(FIXES, [], yes=True)
    assert not is_confirmed(FIXES, ["heal", "--stack", "My shop", "--region", "eu-west-1"], yes=False)
    assert capsys.readouterr().err == (
        "Nothing was done: stdin is not a terminal. Run: safe-image heal --stack 'My shop' --region eu-west-1 --yes\n"
    )
