"""docs/commands has a page for each command, and its options are those of the parser."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from safe_image.commands import COMMANDS, load
from safe_image.commands.command_parser import command_parser

PAGES = Path(__file__).parents[2] / "docs" / "commands"
_OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def options_of(command: str) -> set[str]:
    """Every option that the parser takes, but for --help."""
    (parsers,) = (a for a in command_parser((command,))._actions if isinstance(a, argparse._SubParsersAction))
    taken = {option for action in parsers.choices[command]._actions for option in action.option_strings}
    return taken - {"-h", "--help"}


def options_in_table(page: str) -> set[str]:
    """The options in the rows of a page."""
    rows = [line for line in page.splitlines() if line.startswith("| `-")]
    options = [option for row in rows for option in _OPTION.findall(row.split("|")[1])]
    assert len(set(options)) == len(options)
    return set(options)


def common_options() -> set[str]:
    """The options of every command, which have a page of their own."""
    return options_in_table((PAGES.parent / "command.md").read_text(encoding="utf-8"))


def page_of(command: str) -> str:
    return (PAGES / f"{command}.md").read_text(encoding="utf-8")


def test_there_is_a_page_for_each_command_and_for_nothing_else() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_table_of_options_has_exactly_the_options_of_the_parser(command: str) -> None:
    assert options_in_table(page_of(command)) | common_options() == options_of(command)
    assert "(../command.md#options-of-every-command)" in page_of(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_synopsis_and_the_examples_use_only_existing_options(command: str) -> None:
    # Of a line of the shell, what comes before and behind the command is others'.
    lines = [part for line in page_of(command).splitlines() for part in re.split(r" (?:&&|\||>) ", line.strip("$ "))]
    calls = [line for line in lines if line.startswith(f"safe-image {command} ")]
    assert calls or not options_of(command) - common_options(), "a page shows how the command is called"
    for call in calls:
        assert set(_OPTION.findall(call.partition(f"safe-image {command}")[2])) <= options_of(command), call


@pytest.mark.parametrize("command", COMMANDS)
def test_a_page_has_the_commands_name_and_its_exit_codes(command: str) -> None:
    page = page_of(command)
    assert page.startswith(f"# safe-image {command}\n")
    assert "\n## Exit codes\n" in page


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_parser_accepts_the_examples_of_its_help(command: str) -> None:
    examples = load(command).EXAMPLES.splitlines()
    parts = [part for line in examples for part in re.split(r" (?:&&|\||>) ", line.strip())]
    calls = [part.split("  #")[0].split()[1:] for part in parts if part.startswith(f"safe-image {command}")]
    assert calls
    for call in calls:
        command_parser(call).parse_args(call)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_commands_help_fits_into_the_terminal_and_breaks_no_word(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safe_image.commands.command_parser.columns", lambda _: width)
    (parsers,) = (a for a in command_parser((command,))._actions if isinstance(a, argparse._SubParsersAction))
    text = parsers.choices[command].format_help().partition("examples:")[0]
    lines = text.splitlines()
    assert [line for line in lines if len(line) > width] == []
    assert [line for line in lines if line.endswith("-")] == []
