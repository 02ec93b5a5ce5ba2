"""`safe-image completion`: print a shell's completion script, made from the command's own parser."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import shtab
from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.requirement_types import KINDS
from image_verifier.rules.runtimes import RUNTIMES

from ..formats import CHECK_FORMATS
from ..sources.local_images import DOCUMENTS, PREFIXES
from . import COMMANDS
from .command_parser import command_parser

DESCRIPTION: Final = "Print a completion script for a shell, which reads it when it starts."
EXAMPLES: Final = """\
  safe-image completion bash > ~/.local/share/bash-completion/completions/safe-image
  safe-image completion zsh > ~/.zfunc/_safe-image
  safe-image completion fish > ~/.config/fish/completions/safe-image.fish
"""
_SHELLS: Final = ("bash", "zsh", "fish")
# Words for arguments that the parser itself does not restrict to choices.
_WORDS: Final[Mapping[str, Sequence[str]]] = {
    "runs_on": tuple(RUNTIMES),
    "platform": tuple(dict.fromkeys(platform for runtime in RUNTIMES.values() for platform in runtime.platforms)),
    "format": CHECK_FORMATS,
    "require": tuple(KINDS),
    "acknowledge": tuple(f"{finding}=" for finding in CATALOG),
    "references": (*PREFIXES, *DOCUMENTS),
    **dict.fromkeys(("good", "bad", "against"), PREFIXES),
}
_FILES: Final = frozenset({"output", "assembly", "file"})


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("shell", choices=_SHELLS, metavar="SHELL", help=", ".join(_SHELLS))


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image completion` parses them.
    :returns: the exit code.
    """
    parser = command_parser(tuple(COMMANDS))
    for action in _actions(parser):
        if action.choices is None and action.dest in _WORDS:
            action.choices = _WORDS[action.dest]
        elif action.dest in _FILES:
            # shtab reads this attribute, which argparse's type does not have.
            setattr(action, "complete", shtab.FILE)  # noqa: B010
    print(shtab.complete(parser, shell=arguments.shell))
    return 0


def _actions(parser: ArgumentParser) -> Iterator[Action]:
    """The arguments of a parser and of its commands."""
    # argparse has no public attribute for them.
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for subparser in action.choices.values():
                yield from _actions(subparser)
        else:
            yield action
