"""Each example of docs/commands/explain.md that needs no AWS gives the output that the page has."""

from __future__ import annotations

import re
import shlex
import textwrap
from typing import Final

import pytest

from safe_image.cli import main
from tests.explanations.document import PATH

_EXAMPLE: Final = re.compile(r"    \$ (safe-image explain [^\n]*)\n((?:    [^\n]*\n|\n)*?)\nExit code (\d)\.")
EXAMPLES: Final = [match.groups() for match in _EXAMPLE.finditer(PATH.read_text())]


@pytest.mark.parametrize(("command", "shown", "exit_code"), [it for it in EXAMPLES if "--service" not in it[0]])
def test_an_example_gives_the_output_of_the_page(
    command: str, shown: str, exit_code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shlex.split(command)[1:]) == int(exit_code)
    assert capsys.readouterr().out.rstrip("\n") == textwrap.dedent(shown).rstrip("\n")


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) == 5
