"""`safe-image completion`: what a shell reads to complete the command, made of the command's own parser."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Final

from ..errors import UsageError

DESCRIPTION: Final = "Print what completes the command in a shell. The shell reads it when it starts."
EXAMPLES: Final = """\
  safe-image completion bash > ~/.local/share/bash-completion/completions/safe-image
  safe-image completion zsh > ~/.zfunc/_safe-image
  safe-image completion fish > ~/.config/fish/completions/safe-image.fish
"""
_SHELLS: Final = ("bash", "zsh", "fish")


def add_arguments(parser: ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("shell", choices=_SHELLS, metavar="SHELL", help=", ".join(_SHELLS))


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image completion` parses them.
    :returns: the exit code.
    """
    try:
        import shtab
    except ImportError:
        raise UsageError("completion needs shtab: pip install 'cdk-safe-image[cli]'") from None
    from ..cli import parser
    from . import COMMANDS

    print(shtab.complete(parser(tuple(COMMANDS)), shell=arguments.shell))
    return 0
