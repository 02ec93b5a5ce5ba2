"""The `safe-image` command: run one command, and turn every error into one line and an exit code."""

from __future__ import annotations

import argparse
import codecs
import errno
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from io import TextIOWrapper
from typing import Final, TextIO

from image_verifier.faults import Fault

from .commands.command_parser import command_parser, print_error
from .commands.exit_codes import UNKNOWN
from .errors import UsageError

# 128 + SIGINT, as shells report it.
_INTERRUPTED: Final = 130
# The name of the error handler of the output's encoding, and the characters of our own texts that ASCII does not have.
_ERRORS: Final = "safe-image"
_IN_ASCII: Final = {"·": "-", "…": "...", "│": "|", "−": "-"}
_DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: its arguments; None uses the process's own.
    :returns: the exit code.
    """
    _replace_closed_streams()
    _replace_what_cannot_be_encoded()
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except BrokenPipeError:
        # The reader of the output has closed it.
        _discard(sys.stdout, sys.stderr)
        return UNKNOWN
    except KeyboardInterrupt:
        print_error("interrupted")
        # Exits without waiting for other threads, whose requests may take long.
        os._exit(_INTERRUPTED)


def _run(words: Sequence[str]) -> int:
    is_debug = "--debug" in words
    try:
        arguments = _parsed(words)
        arguments.words = words
        if arguments.no_color:
            # Every library that writes to a terminal knows the variable.
            os.environ["NO_COLOR"] = "1"
        run: Callable[[argparse.Namespace], int] = arguments.run
        with _shown_requests() if arguments.verbose else nullcontext():
            code = run(arguments)
        # Python would report at exit, and in its own words, that the rest cannot be written.
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        raise
    except Exception as e:
        if is_debug and not isinstance(e, UsageError):
            raise
        print_error(_explain(e))
        try:
            sys.stdout.flush()
        except OSError:
            _discard(sys.stdout)
        return UNKNOWN


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    try:
        return command_parser(words).parse_args(words)
    except SystemExit:
        # After the help, for the same reason.
        sys.stdout.flush()
        raise


def _shown_requests() -> AbstractContextManager[None]:
    # Imported here, since most runs show no requests.
    from .request_log import shown_requests

    return shown_requests()


def _discard(*streams: TextIO) -> None:
    """Discard what is left in a stream that cannot be written: Python would try it once more at exit, and fail."""
    for stream in streams:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _replace_closed_streams() -> None:
    """Open a standard stream on the null device where the caller has closed it: Python has None there."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if name == "stdin" else "w"))


def _replace_what_cannot_be_encoded() -> None:
    """Let one character that the terminal's encoding does not have not take the whole report with it."""
    codecs.register_error(_ERRORS, _replacement)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _replacement(error: UnicodeError) -> tuple[str | bytes, int]:
    """The text for characters that cannot be encoded: ASCII for our own, and escapes for those of an image."""
    if isinstance(error, UnicodeEncodeError) and (ours := _IN_ASCII.get(error.object[error.start])):
        return ours, error.start + 1
    return codecs.backslashreplace_errors(error)


def _explain(error: Exception) -> str:
    """One line that says what went wrong and what to do."""
    if isinstance(error, UsageError):
        return str(error)
    if isinstance(error, Fault):
        return error.text
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return f"{error.strerror}: check the disk that the output is written to"
    return f"a bug in safe-image, please report it: {type(error).__name__}: {error} (--debug shows the traceback)"
