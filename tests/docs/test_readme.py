"""The README's transcripts are the command's output, and its first screen has the commands and the problem."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from image_verifier.rules.runtimes import RUNTIMES

from tests.docs.broken_image import ARCHIVE, archive

ROOT: Final = Path(__file__).resolve().parents[2]
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
_BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Stands for lines that are left out.
_CUT: Final = "…"
_FIRST_SCREEN: Final = 40


def transcripts() -> Iterator[tuple[str, list[str]]]:
    """Each call of the command whose output is shown, with that output."""
    for block in _BLOCK.findall(README):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            call, *lines = part.splitlines()
            if lines and call.startswith("safe-image "):
                yield call, lines


def shown_as(lines: list[str], output: list[str]) -> bool:
    """Whether the lines are the output, with a cut for any number of its lines."""
    if not lines:
        return not output
    if lines[0] == _CUT:
        return any(shown_as(lines[1:], output[skipped:]) for skipped in range(len(output) + 1))
    return bool(output) and lines[0] == output[0] and shown_as(lines[1:], output[1:])


@pytest.mark.parametrize(
    ("call", "lines"), list(transcripts()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_output_that_the_readme_shows_is_the_commands(call: str, lines: list[str]) -> None:
    program, *arguments = shlex.split(call)
    assert program == "safe-image"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAFE_IMAGE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "safe_image", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert shown_as(lines, done.stdout.splitlines()), done.stdout


def test_the_readme_shows_a_text_that_is_explained_and_an_archive_that_is_refused() -> None:
    assert [call.split()[1] for call, _ in transcripts()] == ["explain", "check"]


def test_a_transcript_with_another_line_is_not_the_output() -> None:
    assert shown_as(["a", _CUT, "d"], ["a", "b", "c", "d"])
    assert shown_as(["a", _CUT, "b"], ["a", "b"])
    assert not shown_as(["a", _CUT, "x"], ["a", "b"])
    assert not shown_as(["a"], ["a", "b"])


def test_the_broken_image_of_the_examples_can_be_made_again() -> None:
    assert ARCHIVE.read_bytes() == archive(), "run python -m tests.docs.broken_image"


def test_the_first_screen_has_the_two_commands_the_problem_and_the_picture() -> None:
    screen = "\n".join(README.splitlines()[:_FIRST_SCREEN])
    for text in ("$ make demo ", "$ make test ", "## The problem", "docs/pictures/refused-deploy.svg"):
        assert text in screen


def test_the_readme_names_every_runtime() -> None:
    assert [name for name in RUNTIMES if f"`{name}`" not in README] == []
