"""Carries fixes out: what runs is spared, the plan is shown, a person confirms it, and then it is done."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from enum import Enum
from typing import TextIO

from image_verifier.text import printable

from ..formats.text.text_page import TextPage
from ..sources.aws_sessions import AwsSessions
from .fixes import Fix, apply, plan
from .spare_running import spare_running


class Result(Enum):
    """How far the fixes got."""

    DONE = "every fix was applied"
    LEFT = "a fix was spared, not confirmed, or only shown"
    FAILED = "a fix failed"


def carry_out(
    fixes: Sequence[Fix],
    sessions: AwsSessions,
    stream: TextIO,
    words: Sequence[str],
    *,
    yes: bool,
    dry_run: bool = False,
) -> Result:
    """Show the fixes, ask for confirmation, and apply them.

    :param fixes: the fixes.
    :param sessions: the AWS sessions, which look at what runs.
    :param stream: where the plan and the applied fixes are reported.
    :param words: the command line, which is repeated with `--yes` where nobody can be asked.
    :param yes: whether nobody has to be asked.
    :param dry_run: whether the fixes are only shown.
    """
    spared, page = spare_running(fixes, sessions), TextPage.of(stream)
    for message in spared.messages:
        print("\n".join(page.wrap(message, "")), file=stream)
    if spared.fixes:
        print(plan(spared.fixes), file=stream, flush=True)
        if dry_run or not is_confirmed(spared.fixes, words, yes=yes):
            return Result.LEFT
        if apply(spared.fixes, stream):
            return Result.FAILED
    return Result.LEFT if spared.is_any_kept else Result.DONE


def is_confirmed(fixes: Sequence[Fix], words: Sequence[str], *, yes: bool) -> bool:
    """Whether a person confirms the fixes, after the plan was shown.

    :param fixes: the fixes.
    :param words: the command line.
    :param yes: whether nobody has to be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        line = printable(shlex.join(["safe-image", *words, "--yes"]))
        print(f"Nothing was done: stdin is not a terminal. Run: {line}", file=sys.stderr)
        if permissions := dict.fromkeys(permission for fix in fixes for permission in fix.permissions):
            print("The credentials need these permissions, which the roles of a CDK pipeline lack:", file=sys.stderr)
            print("\n".join(f"  {printable(permission)}" for permission in permissions), file=sys.stderr)
        return False
    # input() would write the prompt to standard output, where the report may be.
    print("Proceed? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
