"""The parser of the command line, its help and its usage errors.

Measured against a bare `python -c pass`, importing argparse costs 1.9 times as much, click 4, and rich's
tables 6. Pipelines start this command for every image: it uses argparse, and imports everything else when it is needed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator, Iterable, Sequence
from typing import Any, Final, NoReturn

from image_verifier import __version__

from ..terminal import columns
from . import COMMANDS, load
from .exit_codes import EXIT_CODES_HELP, UNKNOWN

# The columns of a help that is not written to a terminal.
_HELP_COLUMNS: Final = 100
# With fewer columns, the help of an option would be one word a line.
_FEWEST_COLUMNS: Final = 50


def command_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command line.

    :param words: the command line. Only a command whose name is in it is imported, and adds its arguments.
    """
    parser = _CommandParser(
        prog="safe-image",
        description="Check whether container images can be pulled and started where they must run, and say why not.",
        epilog=EXIT_CODES_HELP,
        allow_abbrev=False,
        formatter_class=_HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"safe-image {__version__}")
    _add_common_options(parser)
    parser.set_defaults(run=lambda _: _print_help(parser), **dict.fromkeys(_SWITCHES.values(), False))
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=purpose, formatter_class=_HelpFormatter, allow_abbrev=False)
        if name in words:
            command = load(name)
            subparser.description = command.DESCRIPTION
            subparser.epilog = f"examples:\n{command.EXAMPLES}\n{EXIT_CODES_HELP}"
            command.add_arguments(subparser)
            subparser.set_defaults(run=command.run)
        _add_common_options(subparser)
    helper = subparsers.add_parser("help", help="show the help of a command", formatter_class=_HelpFormatter)
    helped = (*COMMANDS, "help")
    helper.add_argument("command", nargs="?", choices=helped, metavar="COMMAND", help=", ".join(helped))
    _add_common_options(helper)
    helper.set_defaults(run=lambda arguments: _print_help(subparsers.choices.get(arguments.command, parser)))
    return parser


# The options of every command that are either set or not, and their names.
_SWITCHES: Final = {"--debug": "debug", "--quiet": "quiet", "--verbose": "verbose", "--no-color": "no_color"}


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that may be passed before and after the command's name."""
    # Suppressed, so that the command's default does not replace what was passed before its name.
    common = parser.add_argument_group("options of every command", argument_default=argparse.SUPPRESS)
    loudness = common.add_mutually_exclusive_group()
    loudness.add_argument(
        "-q", "--quiet", action="store_true", help="show only what is wrong: no progress, and no image that passes"
    )
    loudness.add_argument(
        "-v", "--verbose", action="store_true", help="show each request to a registry or to AWS on standard error"
    )
    common.add_argument("--no-color", action="store_true", help="show no colors, as with NO_COLOR=1")
    common.add_argument("--debug", action="store_true", help="show Python's traceback of an error")


def _print_help(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return 0


def print_error(message: str, prog: str = "safe-image") -> None:
    """Print one line to standard error, without control characters.

    :param message: the line.
    :param prog: the program's name, which the line begins with.
    """
    # Imported here, since most runs have no error to print.
    from image_verifier.text import printable

    print(f"{prog}: {printable(message)}", file=sys.stderr, flush=True)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help of the terminal's width.

    argparse would import shutil to find the width, which takes as long as Python's start.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=max(columns(sys.stdout) or _HELP_COLUMNS, _FEWEST_COLUMNS))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Wrap a description; examples and exit codes have line breaks already."""
        formatter = argparse.RawDescriptionHelpFormatter if "\n" in text else argparse.HelpFormatter
        return formatter._fill_text(self, text, width, indent)

    def _split_lines(self, text: str, width: int) -> list[str]:
        """Wrap an option's help; names with hyphens, such as no-latest-base, stay whole so that they can be copied."""
        from textwrap import wrap

        return wrap(text, width, break_on_hyphens=False)

    def _iter_indented_subactions(self, action: argparse.Action) -> Generator[argparse.Action, None, None]:
        """The commands, not indented: argparse leaves no room for the indent, and would wrap after long names."""
        for subaction in super()._iter_indented_subactions(action):
            self._dedent()
            yield subaction
            self._indent()


class _CommandParser(argparse.ArgumentParser):
    """A parser that reports a usage error in one line, without the whole usage, and suggests what was meant."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse unknown options here, where the command is known, so that the message names its own help."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            option = unknown[0].partition("=")[0]
            suggestion = _suggestion(option, self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{suggestion}")
        return known, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            suggestion = _suggestion(value, action.choices) or f": use one of {', '.join(action.choices)}"
            raise argparse.ArgumentError(action, f"invalid choice: {value!r}{suggestion}")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print a help; argparse would ignore that it cannot be written."""
        (file or sys.stderr).write(message)

    def error(self, message: str) -> NoReturn:
        """Print the error and exit."""
        print_error(f"{message} (see {self.prog} --help)", self.prog)
        self.exit(UNKNOWN)


def _suggestion(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant; empty where none is close."""
    # Imported here, since most command lines are right, and the command must start quickly.
    from difflib import get_close_matches

    close = get_close_matches(word, list(known), n=1, cutoff=0.8)
    return f": did you mean {close[0]}?" if close else ""
