"""The README's transcripts are the command's output, and its first screen has the commands and the problem."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from image_verifier.rules.runtimes import RUNTIMES

from tests.docs.broken_image import ARCHIVE, archive
from tests.docs.transcripts import shown_as, transcripts

ROOT: Final = Path(__file__).resolve().parents[2]
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
# tests/local_aws/test_explain.py compares the answer about a service.
LOCAL: Final = [(call, lines) for call, lines in transcripts(README) if "--service" not in call]
_FIRST_SCREEN: Final = 40


@pytest.mark.parametrize(("call", "lines"), LOCAL, ids=lambda value: value if isinstance(value, str) else "")
def test_the_output_that_the_readme_shows_is_the_commands(call: str, lines: list[str]) -> None:
    program, *arguments = shlex.split(call)
    assert program == "safe-image"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAFE_IMAGE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "safe_image", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert shown_as(lines, done.stdout.splitlines()), done.stdout


def test_the_readme_shows_a_text_that_is_explained_and_an_archive_that_is_refused() -> None:
    assert [call.split()[1] for call, _ in LOCAL] == ["explain", "check"]


def test_a_transcript_with_another_line_is_not_the_output() -> None:
    assert shown_as(["a", "…", "d"], ["a", "b", "c", "d"])
    assert shown_as(["a", "…", "b"], ["a", "b"])
    assert shown_as(["a … (c)"], ["a b (c)"])
    assert not shown_as(["a … (c)"], ["a b (c), d"])
    assert not shown_as(["a", "…", "x"], ["a", "b"])
    assert not shown_as(["a"], ["a", "b"])


def test_the_broken_image_of_the_examples_can_be_made_again() -> None:
    assert ARCHIVE.read_bytes() == archive(), "run python -m tests.docs.broken_image"


def test_the_first_screen_has_the_two_commands_the_problem_and_the_picture() -> None:
    screen = "\n".join(README.splitlines()[:_FIRST_SCREEN])
    for text in ("$ make demo ", "$ make test ", "## The problem", "docs/pictures/refused-deploy.svg"):
        assert text in screen


def test_the_readme_names_every_runtime() -> None:
    assert [name for name in RUNTIMES if f"`{name}`" not in README] == []
