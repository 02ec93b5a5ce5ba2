"""Writes the README for PyPI while a distribution is built: its relative links and pictures become absolute."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)(\[[^\]]*\]\()(?![a-z]+:|#)([^)]+)\)")


class AbsoluteReadme(MetadataHookInterface):
    """The README as PyPI shows it, which has no files beside it."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme of the distribution.

        :param metadata: the table `project` of pyproject.toml.
        """
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        readme = absolute(text, metadata["urls"]["Source"])
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}


def absolute(text: str, source: str) -> str:
    """A Markdown text whose links and pictures are absolute.

    :param text: the text, of a file at the root of the repository.
    :param source: the repository's address on GitHub.
    """
    raw = source.replace("https://github.com/", "https://raw.githubusercontent.com/")

    def link(match: re.Match[str]) -> str:
        picture, words, path = match.groups()
        return f"{picture}{words}{raw if picture else f'{source}/blob'}/main/{path})"

    return _LINK.sub(link, text)
