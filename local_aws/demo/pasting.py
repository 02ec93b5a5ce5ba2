"""The commands of a refusal, selected from the CDK CLI's output as a person selects them, and run in bash."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_STEPS = "To fix it:"
_NUMBER = re.compile(r"(\d+)\. ")
_END = re.compile(r"(?<!\S)(?:To prevent it|Construct|Image):")


@dataclass(frozen=True)
class PrintedStep:
    """One numbered step of a refusal.

    :param text: the step without its number and its command.
    :param command: the command's lines with their padding, as a terminal copies them; empty where it has none.
    """

    text: str
    command: str = ""


def last_block(output: str) -> str:
    """The CDK CLI's last block about a refused deploy; the end of the output where there is none."""
    start = output.rfind("❌")
    return output[start:] if start >= 0 else output[-4000:]


def printed_steps(output: str) -> list[PrintedStep]:
    """The steps of the last refusal, as the CLI's last block shows them, line by line.

    :param output: of `cdk deploy`.
    """
    found: list[list[str]] = []
    for row in _rows(last_block(output)):
        if number := _NUMBER.match(row):
            found.append([row[number.end() :]])
        elif found:
            found[-1].append(row)
    return [_step(rows) for rows in found]


def _step(rows: list[str]) -> PrintedStep:
    """A step. Its command begins below the last row that ends with a colon, and ends as no sentence does."""
    if rows[-1].rstrip().endswith("."):
        return PrintedStep(" ".join(" ".join(rows).split()))
    title = max((number for number, row in enumerate(rows, start=1) if row.rstrip().endswith(":")), default=len(rows))
    return PrintedStep(" ".join(" ".join(rows[:title]).split()), "\n".join(rows[title:]))


def collapsed_steps(reason: str) -> list[PrintedStep]:
    """The steps of a reason whose white space is collapsed, as in a cell of CloudFormation's console.

    :param reason: the reason of one event.
    """
    cell = " ".join(reason.split()).partition(_STEPS)[2]
    cell = cell[: end.start()].rstrip() if (end := _END.search(cell)) else cell
    parts = re.split(r" (?=\d+\. [A-Z])", cell)[1:]
    return [_step_of_a_cell(part.partition(" ")[2]) for part in parts]


def _step_of_a_cell(step: str) -> PrintedStep:
    """A step. No command contains a colon before a space, and none ends as a sentence."""
    text, colon, command = step.rpartition(": ")
    return PrintedStep(f"{text}:", command) if colon and not step.endswith(".") else PrintedStep(step)


def _rows(block: str) -> Iterator[str]:
    """The rows below the heading of the steps, without the columns before them."""
    rows = iter(block.splitlines())
    for row in rows:
        if row.strip() == _STEPS:
            break
    for row in rows:
        if _END.match(row.lstrip()):
            return
        yield row.lstrip()


def heal_commands(steps: Sequence[PrintedStep]) -> list[str]:
    """The command that does everything."""
    return [step.command for step in steps if "safe-image heal " in step.command]


def commands_by_hand(steps: Sequence[PrintedStep]) -> list[str]:
    """The commands for a person who does not have `safe-image`."""
    every = [step.command for step in steps if step.command]
    return [command for command in every if command not in heal_commands(steps)]


def paste(command: str, env: Mapping[str, str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Paste a command into bash on a terminal, and confirm with `y` if it asks.

    :param command: the text as it was selected.
    :param env: the environment of the shell.
    :param folder: the shell's working directory; by default this process's.
    """
    terminal, end = pty.openpty()
    try:
        os.write(terminal, b"y\n")
        return subprocess.run(
            ["bash", "-c", command],
            env=dict(env),
            cwd=folder,
            stdin=end,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    finally:
        os.close(terminal)
        os.close(end)
