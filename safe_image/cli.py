"""The `safe-image` command: its arguments, and what becomes of whatever goes wrong.

Exit codes: 0, every image is fine; 1, at least one is refused; 2, wrong usage, or something could not be told.

Measured against a bare `python -c pass`, importing argparse costs 1.9 times as much, click 4, and rich's
tables 6: what a pipeline starts for every image is built on the first, and imports everything else when it is used.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from image_verifier import __version__

from .errors import UsageError

EXIT_CANNOT_TELL: Final = 2
_INTERRUPTED: Final = 130
_HELP_COLUMNS: Final = 100

_EXAMPLES: Final = """\
examples:
  safe-image check 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.4
  safe-image check registry.example.com/shop:1.4 --runs-on fargate --runs-on lambda --platform linux/arm64
  safe-image check oci-layout:./build/shop:latest --max-size 500MiB --format json -o report.json

exit codes:
  0  every image is fine
  1  at least one image is refused
  2  wrong usage, or it could not be told whether an image is good
"""
_REFERENCES: Final = (
    "an image in ECR (through its API), in any other registry (with Docker's own credentials), or in a folder: "
    "oci-layout:PATH[:tag]"
)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Is told its width: to ask for it, which argparse does for every argument, costs as much as Python's start."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_HELP_COLUMNS)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_CANNOT_TELL, f"{self.prog}: {message} ({self.prog} --help shows how it is used)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="safe-image",
        description="Tell whether a container image can be pulled and started where it is meant to run.",
        allow_abbrev=False,
        formatter_class=_Formatter,
    )
    parser.add_argument("--version", action="version", version=f"safe-image {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = commands.add_parser(
        "check",
        help="check images",
        description="Check images: each passes, is refused with what is wrong and how it is mended, or is unknown.",
        epilog=_EXAMPLES,
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    check.set_defaults(run=_check)
    check.add_argument("references", nargs="+", metavar="REFERENCE", help=_REFERENCES)
    check.add_argument(
        "--runs-on",
        action="append",
        metavar="NAME",
        help="where it must run, may be repeated: fargate (the default), ecs-ec2, lambda, eks, batch, app-runner, "
        "sagemaker, agentcore",
    )
    check.add_argument("--platform", default="linux/amd64", metavar="OS/ARCH", help="default: linux/amd64")
    check.add_argument("--layers", action="store_true", help="read every layer's bytes too")
    check.add_argument("--min-size", metavar="SIZE", help="refuse a smaller image, compressed; such as 50MiB")
    check.add_argument("--max-size", metavar="SIZE", help="refuse a larger image, compressed; such as 2GiB")
    check.add_argument(
        "--acknowledge",
        action="append",
        default=[],
        metavar="ID=REASON",
        help="let a finding pass, with the reason that the report then shows; may be repeated",
    )
    check.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    check.add_argument("-o", "--output", metavar="FILE", help="write the report to this file")
    check.add_argument("--debug", action="store_true", help="show Python's traceback of what could not be told")
    return parser


def _check(arguments: argparse.Namespace) -> int:
    from .check import check

    return check(arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: its arguments; None takes the process's own.
    :returns: the exit code.
    """
    arguments = _parser().parse_args(argv)
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
        return _say(f"a bug of its own, please report it: {type(e).__name__}: {e} (--debug shows where)")


def _say(message: str) -> int:
    print(f"safe-image: {message}", file=sys.stderr, flush=True)
    return EXIT_CANNOT_TELL
