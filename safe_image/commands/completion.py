"""`safe-image completion`: what a shell reads to complete the command, made of the command's own parser."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.requirement_types import KINDS
from image_verifier.rules.runtimes import RUNTIMES

from ..errors import UsageError
from ..formats import CHECK_FORMATS

DESCRIPTION: Final = "Print what completes the command in a shell. The shell reads it when it starts."
EXAMPLES: Final = """\
  safe-image completion bash > ~/.local/share/bash-completion/completions/safe-image
  safe-image completion zsh > ~/.zfunc/_safe-image
  safe-image completion fish > ~/.config/fish/completions/safe-image.fish
"""
_SHELLS: Final = ("bash", "zsh", "fish")
# What is completed beyond what the parser itself holds an argument to.
_WORDS: Final[Mapping[str, Sequence[str]]] = {
    "runs_on": tuple(RUNTIMES),
    "platform": tuple(dict.fromkeys(platform for runtime in RUNTIMES.values() for platform in runtime.platforms)),
    "format": CHECK_FORMATS,
    "require": tuple(KINDS),
    "acknowledge": tuple(f"{finding}=" for finding in CATALOG),
}
_FILES: Final = frozenset({"output", "assembly", "file"})


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

    whole = parser(tuple(COMMANDS))
    for action in _actions(whole):
        if action.choices is None and action.dest in _WORDS:
            action.choices = _WORDS[action.dest]
        elif action.dest in _FILES:
            # shtab's own way to say that files are completed.
            setattr(action, "complete", shtab.FILE)  # noqa: B010 - an attribute that argparse's type does not have
    print(shtab.complete(whole, shell=arguments.shell))
    return 0


def _actions(parser: ArgumentParser) -> Iterator[Action]:
    """What the command and each of its commands take."""
    # argparse has no public way to ask for them.
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for one in action.choices.values():
                yield from _actions(one)
        else:
            yield action
