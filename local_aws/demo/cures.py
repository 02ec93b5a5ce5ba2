"""The ways from a refusal to a deploy that succeeds: only what the CDK CLI printed is run, or edited in the app."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from local_aws.demo.pasting import commands_by_hand, heal_commands, printed_steps
from local_aws.demo.session import Demo

_REMOVE = re.compile(r"Remove (?P<keyword>\w+)= from (?P<construct>[^\s:]+)")


def by_heal(demo: Demo, app: Path, output: str) -> bool:
    """Run the printed `safe-image heal`, and confirm its plan; whether it was printed and succeeded."""
    commands = heal_commands(printed_steps(output))
    return len(commands) == 1 and demo.paste(commands[0], app)


def by_hand(demo: Demo, app: Path, output: str) -> bool:
    """Run the printed commands for a person without `safe-image`; whether there were any and all succeeded."""
    commands = commands_by_hand(printed_steps(output))
    return bool(commands) and all(demo.paste(command, app) for command in commands)


def by_edit(demo: Demo, app: Path, output: str) -> bool:
    """Remove the printed keyword from the printed construct; whether both were printed and found."""
    matches = [match for step in printed_steps(output) if (match := _REMOVE.match(step.text))]
    if len(matches) != 1:
        return False
    keyword, construct = matches[0]["keyword"], matches[0]["construct"].rpartition("/")[2]
    demo.say(f"  removes {keyword}= from {construct}")
    return remove_keyword(app, construct, keyword)


def remove_keyword(app: Path, construct: str, keyword: str) -> bool:
    """Remove a keyword from the call that makes a construct; whether there is exactly one such call.

    :param app: the folder of the app.
    :param construct: the construct's id.
    :param keyword: the keyword's name.
    """
    places = [(file, *span) for file in sorted(app.rglob("*.py")) for span in _spans(file, construct, keyword)]
    if len(places) != 1:
        return False
    file, start, end = places[0]
    source = file.read_bytes()
    file.write_bytes(source[:start] + re.sub(rb"^\s*,?\s*", b"", source[end:], count=1))
    return True


def _spans(file: Path, construct: str, keyword: str) -> Iterator[tuple[int, int]]:
    """The bytes of the keyword in each call with the construct's id as an argument."""
    source = file.read_text()
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and any(isinstance(a, ast.Constant) and a.value == construct for a in call.args):
            for found in call.keywords:
                if found.arg == keyword and found.end_lineno is not None and found.end_col_offset is not None:
                    start = starts[found.lineno - 1] + found.col_offset
                    yield start, starts[found.end_lineno - 1] + found.end_col_offset
