"""The `safe-image` command: its arguments, and what becomes of whatever goes wrong.

Exit codes: 0, all is well; 1, at least one image is refused, or something is wrong; 2, wrong usage, or something could
not be told.

Measured against a bare `python -c pass`, importing argparse costs 1.9 times as much, click 4, and rich's
tables 6: what a pipeline starts for every image is built on the first, and imports everything else when it is used.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Final, NoReturn

from image_verifier import __version__
from image_verifier.faults import Fault

from .commands import COMMANDS, load
from .errors import UsageError

EXIT_CANNOT_TELL: Final = 2
_INTERRUPTED: Final = 130
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
_HELP_COLUMNS: Final = 100

_EXIT_CODES: Final = """\
exit codes:
  0  all is well
  1  at least one image is refused, or something is wrong
  2  wrong usage, or it could not be told
"""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Is told its width: to ask for it, which argparse does for every argument, costs as much as Python's start."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_HELP_COLUMNS)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """A description in lines; examples and exit codes have theirs already."""
        kind = argparse.RawDescriptionHelpFormatter if "\n" in text else argparse.HelpFormatter
        return kind._fill_text(self, text, width, indent)

    def _split_lines(self, text: str, width: int) -> list[str]:
        """Not broken within such as no-latest-base, which is there to be copied."""
        from textwrap import wrap

        return wrap(text, width, break_on_hyphens=False)

    def _iter_indented_subactions(self, action: argparse.Action) -> Generator[argparse.Action, None, None]:
        """The commands, not indented: argparse leaves no room for it, and breaks the line after the longest names."""
        for one in super()._iter_indented_subactions(action):
            self._dedent()
            yield one
            self._indent()


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage before it, and what was probably meant."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what is not known at once: a command knows its own options, and has its own help."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            named = unknown[0].partition("=")[0]
            self.error(f"unrecognized arguments: {' '.join(unknown)}{_meant(named, self._option_string_actions)}")
        return known, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            said = f"invalid choice: {value!r}: write one of {', '.join(action.choices)}"
            raise argparse.ArgumentError(action, said + _meant(value, action.choices))

    def error(self, message: str) -> NoReturn:
        _say(f"{message} ({self.prog} --help shows how it is used)", self.prog)
        self.exit(EXIT_CANNOT_TELL)


def _meant(written: str, known: Iterable[str]) -> str:
    """What was probably meant; empty where nothing is near."""
    # Imported here, since most command lines are right, and a run is to be as short as it can.
    from difflib import get_close_matches

    near = get_close_matches(written, list(known), n=1, cutoff=0.8)
    return f": did you mean {near[0]}?" if near else ""


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command line.

    :param words: the command line; of the commands, only one that is named there tells what it takes.
    """
    whole = _Parser(
        prog="safe-image",
        description="Tell whether container images can be pulled and started where they are meant to run, and why not.",
        epilog=_EXIT_CODES,
        allow_abbrev=False,
        formatter_class=_Formatter,
    )
    whole.add_argument("--version", action="version", version=f"safe-image {__version__}")
    parsers = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        one = parsers.add_parser(name, help=purpose, formatter_class=_Formatter, allow_abbrev=False)
        if name in words:
            command = load(name)
            one.description = command.DESCRIPTION
            one.epilog = f"examples:\n{command.EXAMPLES}\n{_EXIT_CODES}"
            command.add_arguments(one)
            one.set_defaults(run=command.run)
        one.add_argument("--debug", action="store_true", help="show Python's traceback of what could not be told")
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: its arguments; None takes the process's own.
    :returns: the exit code.
    """
    for name in ("stdin", "stdout", "stderr"):
        # Where whoever started it has closed one, Python has none.
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if name == "stdin" else "w"))
    words = sys.argv[1:] if argv is None else argv
    arguments = parser(words).parse_args(words)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except UsageError as e:
        return _say(str(e))
    except BrokenPipeError:
        # Whoever read the output has closed it; nothing is to be said when Python closes it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_CANNOT_TELL
    except KeyboardInterrupt:
        _say("interrupted")
        # At once: what other threads wait for may take its time.
        os._exit(_INTERRUPTED)
    except Exception as e:
        if arguments.debug:
            raise
        if isinstance(e, Fault):
            return _say(e.text)
        if isinstance(e, OSError) and e.errno in _NO_ROOM:
            return _say(f"{e.strerror}: look at the disk, and at where the output goes")
        return _say(f"a bug of its own, please report it: {type(e).__name__}: {e} (--debug shows where)")


def _say(message: str, who: str = "safe-image") -> int:
    # Imported here, since most runs have nothing to say.
    from image_verifier.text import printable

    print(f"{who}: {printable(message)}", file=sys.stderr, flush=True)
    return EXIT_CANNOT_TELL
