"""`safe-image doctor`: find the settings and leftovers that can make broken images, here and in the account."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from image_verifier.text import printable

from ..errors import UsageError
from ..formats.json_text import json_text
from ..formats.text.text_page import TextPage
from ..machine.carry_out import Result, carry_out
from ..machine.diagnosis import Diagnosis, Status
from ..machine.docker import Docker
from ..machine.probes import diagnose
from ..results.report_facts import report_head
from ..sources.aws_sessions import AwsSessions
from .output import open_output

DESCRIPTION: Final = (
    "Find the settings and leftovers that can make broken images, on this machine and in this account: Docker and its "
    "image store, buildx, the CDK CLI, the environment, images that CDK stored here, and the bootstrap repository. "
    "Nothing changes without --fix."
)
EXAMPLES: Final = """\
  safe-image doctor
  safe-image doctor --fix
  safe-image doctor --offline --format json
"""
_COLOURS: Final = {Status.OK: "pass", Status.WARNING: "warning", Status.ERROR: "error", Status.UNKNOWN: "unknown"}
_EXIT_CODES: Final = {Status.OK: 0, Status.WARNING: 0, Status.ERROR: 1, Status.UNKNOWN: 2}
# The text report shows no more commands of one diagnosis.
_MAX_COMMANDS: Final = 5
_INDENT: Final = " " * 9


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("--fix", action="store_true", help="apply the fixes that are safe, after confirmation")
    parser.add_argument("--yes", action="store_true", help="with --fix: do not ask for confirmation")
    parser.add_argument("--offline", action="store_true", help="look at this machine only, without calling AWS")
    parser.add_argument(
        "--qualifier",
        default="hnb659fds",
        metavar="TEXT",
        help="the CDK bootstrap's qualifier; default: hnb659fds",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report to this file, not to standard output")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image doctor` parses them.
    :returns: the exit code: 1 if something makes broken images and was not fixed; 2 if something could not be read, or
        a fix failed.
    :raises UsageError: if `--yes` is passed without `--fix`.
    """
    if arguments.yes and not arguments.fix:
        raise UsageError("--yes does nothing without --fix: use --fix --yes")
    sessions = None if arguments.offline else AwsSessions()
    lines = diagnose(Docker(), sessions, arguments.qualifier, Path())
    fixes = [fix for line in lines for fix in line.fixes]
    with open_output(arguments.output) as stream:
        if arguments.format == "json":
            stream.write(json_text({**report_head("doctor"), "lines": [_json(line) for line in lines]}) + "\n")
        else:
            stream.write(_text(lines, TextPage.of(stream)))
    if not arguments.fix or not fixes:
        return _exit_code(lines)
    messages = sys.stdout if arguments.format == "text" and not arguments.output else sys.stderr
    result = carry_out(fixes, sessions or AwsSessions(), messages, arguments.words, yes=arguments.yes)
    if result is Result.FAILED:
        return 2
    return _exit_code(lines if result is Result.LEFT else [line for line in lines if not line.fixes])


def _exit_code(lines: Iterable[Diagnosis]) -> int:
    """The exit code. An error outweighs an unknown result: it is certain that something is wrong."""
    codes = {_EXIT_CODES[line.status] for line in lines}
    return 1 if 1 in codes else max(codes, default=0)


def _text(lines: Sequence[Diagnosis], page: TextPage) -> str:
    text = []
    for line in lines:
        status = page.paint(_COLOURS[line.status], f"{line.status.value:8}")
        first, *more = page.wrap(f"{line.subject}: {line.message}", _INDENT)
        text += [f"{status} {first.lstrip()}", *more]
        if line.source:
            text.append(page.paint("dim", _INDENT + line.source))
        commands = [*line.commands, *(fix.command for fix in line.fixes)]
        text += [_INDENT + page.paint("command", printable(command)) for command in commands[:_MAX_COMMANDS]]
        if len(commands) > _MAX_COMMANDS:
            text.append(f"{_INDENT}and {len(commands) - _MAX_COMMANDS} more, which --fix shows")
    counts = {status: sum(line.status is status for line in lines) for status in Status}
    tally = ", ".join(_number(count, status) for status, count in counts.items() if count)
    fixable = sum(bool(line.fixes) for line in lines)
    hint = f" (--fix fixes {fixable} of them)" if fixable else ""
    return "\n".join([*text, f"{tally}{hint}"]) + "\n"


def _number(count: int, status: Status) -> str:
    return f"{count} {status.value}{'s' * (count > 1 and status in (Status.WARNING, Status.ERROR))}"


def _json(line: Diagnosis) -> dict[str, Any]:
    return {
        "subject": line.subject,
        "status": line.status.value,
        "message": line.message,
        "source": line.source,
        "commands": list(line.commands),
        "fixes": [fix.command for fix in line.fixes],
    }
