"""`safe-image config`: show the configuration file that is used, and what it sets."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Any, Final

from image_verifier.text import printable

from ..configuration.configuration import Configuration, shown
from ..formats.json_text import json_text
from .arguments import add_configuration_options, configuration_of

DESCRIPTION: Final = (
    "Show the configuration file that the other commands use here, and its settings: all of them, or those for one "
    "image. An error in the file is reported with its place and a correction."
)
EXAMPLES: Final = """\
  safe-image config
  safe-image config 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.4
  safe-image config --config ci/safe-image.toml --format json
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("reference", nargs="?", metavar="REFERENCE", help="an image: show the settings for it alone")
    add_configuration_options(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image config` parses them.
    :returns: the exit code.
    :raises UsageError: if the file is wrong.
    """
    configuration = configuration_of(arguments)
    content = _content(configuration, arguments.reference)
    if arguments.format == "json":
        sys.stdout.write(json_text({"schema_version": 1, **content}) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in _lines(content))
    return 0


def _content(configuration: Configuration, reference: str | None) -> Mapping[str, Any]:
    file = str(configuration.file) if configuration.file else None
    if reference is not None:
        return {"file": file, "settings": shown(configuration.settings_for([reference]))}
    sections = [{"match": list(section.match), **shown(section.settings)} for section in configuration.sections]
    return {"file": file, "settings": shown(configuration.settings), "images": sections}


def _lines(content: Mapping[str, Any]) -> Iterator[str]:
    if content["file"] is None:
        yield "no configuration file: the default options are used"
        return
    yield printable(content["file"])
    yield from _settings(content["settings"], "  ")
    for section in content.get("images", []):
        yield f"  images that match {_value(section['match'])}"
        yield from _settings({key: value for key, value in section.items() if key != "match"}, "    ")


def _settings(settings: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in settings.items():
        if key != "acknowledge":
            yield f"{indent}{key}: {_value(value)}"
            continue
        for waiver in value:
            until = f", until {waiver['expires']}" if "expires" in waiver else ""
            yield f"{indent}acknowledge: {printable(waiver['id'])} ({printable(waiver['reason'])}{until})"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return printable(", ".join(value) if isinstance(value, list) else str(value))
