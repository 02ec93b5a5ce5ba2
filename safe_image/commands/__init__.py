"""The commands: one module each, which is imported only where its command is run or its help is asked for.

A command is a row here and a module that has `DESCRIPTION` and `EXAMPLES` for its help, `add_arguments(parser)`, and
`run(arguments)`, which gives the exit code.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib import import_module
from typing import Final, Protocol, cast


class Command(Protocol):
    """What a command's module has."""

    DESCRIPTION: str
    EXAMPLES: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Tell the parser what the command takes."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Carry it out, and give the exit code. Raises `UsageError` or `Fault` for what cannot be done."""


# What each is for, in one line.
COMMANDS: Final[Mapping[str, str]] = {
    "check": "tell whether images can be pulled and started",
    "audit": "judge every image of ECR repositories, those in use first",
    "diff": "compare two images, and tell which difference breaks which runtime",
    "preflight": "before cdk deploy: find broken tags and stale images that it would go on with",
    "heal": "after a failed deploy: remove the rejected tag and the image that made it",
    "doctor": "tell what on this machine and in this account can make broken images",
    "explain": "tell what an error of ECS, Lambda, containerd or docker means, and what mends it",
    "completion": "print what completes the command in a shell",
}


def load(name: str) -> Command:
    """The module of a command.

    :param name: one of `COMMANDS`.
    """
    return cast(Command, import_module(f"{__name__}.{name}"))
