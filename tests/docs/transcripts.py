"""The transcripts on a page: the calls of the command whose output is shown, and whether an output is the shown one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

_BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Stands for lines that are left out, or for a part of a line.
_CUT: Final = "…"


def transcripts(page: str) -> Iterator[tuple[str, list[str]]]:
    """Each call of the command whose output the page shows, with that output."""
    for block in _BLOCK.findall(page):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            call, *lines = part.splitlines()
            if lines and call.startswith("safe-image "):
                yield call, lines


def shown_as(lines: Sequence[str], output: Sequence[str]) -> bool:
    """Whether the lines are the output, with a cut for any number of its lines or any part of one."""
    if not lines:
        return not output
    if lines[0] == _CUT:
        return any(shown_as(lines[1:], output[skipped:]) for skipped in range(len(output) + 1))
    return bool(output) and _is_line(lines[0], output[0]) and shown_as(lines[1:], output[1:])


def _is_line(shown: str, line: str) -> bool:
    return re.fullmatch(".+".join(map(re.escape, shown.split(_CUT))), line) is not None
