"""The commands: one module each, imported only where its command is run or its help is shown.

A command is a row here and a module that has `DESCRIPTION` and `EXAMPLES` for its help, `add_arguments(parser)`, and
`run(arguments)`, which returns the exit code.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib import import_module
from typing import Final, Protocol, cast


class Command(Protocol):
    """The contents of a command's module."""

    DESCRIPTION: str
    EXAMPLES: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments to its parser."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Run the command, and return the exit code. Raises `UsageError` for wrong arguments, else `Fault`."""


# Each command's purpose, in one line.
COMMANDS: Final[Mapping[str, str]] = {
    "check": "check whether images can be pulled and started",
    "audit": "check every image of ECR repositories, and find the bad ones that are in use",
    "diff": "compare two images, and find the difference that breaks a runtime",
    "preflight": "before cdk deploy: find broken tags and stale images that it would reuse",
    "heal": "after a failed deploy: remove the rejected tag and the local image behind it",
    "doctor": "find settings and leftovers, here and in the account, that can make broken images",
    "explain": "explain an error of ECS, Lambda, containerd or docker, and how to fix it",
    "runtimes": "show the engines of each runtime, and which images it accepts and refuses",
    "config": "show the configuration file that is used, and the settings for an image",
    "completion": "print a shell's completion script for this command",
}


def load(name: str) -> Command:
    """The module of a command.

    :param name: one of `COMMANDS`.
    """
    return cast(Command, import_module(f"{__name__}.{name}"))
