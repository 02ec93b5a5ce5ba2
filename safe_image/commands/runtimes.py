"""`safe-image runtimes`: show each runtime's engines, how they were confirmed, and what the runtime accepts."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import Final

from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.text import nearest

from ..errors import UsageError
from ..formats import RUNTIMES_FORMATS

DESCRIPTION: Final = (
    "Show the engines that each runtime uses, how many of its hosts have each, how and when each was confirmed, and "
    "which kinds of images the runtime accepts and refuses. Without NAME, every runtime is shown."
)
EXAMPLES: Final = """\
  safe-image runtimes
  safe-image runtimes eks ecs-ec2
  safe-image runtimes --format json
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"a runtime: {', '.join(RUNTIMES)}")
    parser.add_argument("--format", choices=RUNTIMES_FORMATS, default="text", help="default: text")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image runtimes` parses them.
    :returns: the exit code.
    :raises UsageError: if a name is not a runtime's.
    """
    for name in arguments.names:
        if name not in RUNTIMES:
            raise UsageError(f"{name!r} is not a runtime: use {nearest(name, RUNTIMES)}")
    runtimes = [RUNTIMES[name] for name in dict.fromkeys(arguments.names or RUNTIMES)]
    sys.stdout.writelines(RUNTIMES_FORMATS.report(arguments.format)(runtimes, sys.stdout))
    return 0
