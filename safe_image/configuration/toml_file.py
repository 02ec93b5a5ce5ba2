"""Finds the configuration file, upwards from the working folder, and reads its table."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import UsageError
from ..sources.regular_files import file_kind

_OWN: Final = "safe-image.toml"
_PROJECT: Final = "pyproject.toml"
_TABLE: Final = "safe-image"
# As the package is called in Python.
_MISSPELLED: Final = "safe_image"
_MAX_BYTES: Final = 1024 * 1024
# The parser takes the square of the time for a key of many parts.
_MAX_DOTS: Final = 1000


def find(folder: Path) -> Path | None:
    """The nearest configuration file: in the folder, or in one above it.

    :param folder: where the search begins.
    :returns: a `safe-image.toml`, or a pyproject.toml that has `[tool.safe-image]`; None if there is neither. A
        `safe-image.toml` that cannot be read, such as a folder or a dangling link, is returned too: a policy must not
        be passed over.
    :raises UsageError: if a pyproject.toml on the way cannot be read, or names this command and is not TOML.
    """
    for place in (folder, *folder.parents):
        if os.path.lexists(place / _OWN):
            return place / _OWN
        project = place / _PROJECT
        if file_kind(project) == "file" and _has_table(project):
            return project
    return None


def _has_table(file: Path) -> bool:
    try:
        content = _content(file)
    except OSError as e:
        raise UsageError(f"{file} cannot be read: {e.strerror}: use a file that can be read, or --isolated") from e
    # Most projects do not configure this command: parsing their files would only cost time.
    if not any(name.encode() in content for name in (_TABLE, _MISSPELLED)):
        return False
    tools = _tools(_document(file), file)
    if _MISSPELLED in tools:
        raise UsageError(f"{file} has the unknown table [tool.{_MISSPELLED}]: use [tool.{_TABLE}]")
    return _TABLE in tools


def read(file: Path) -> Mapping[str, Any]:
    """The settings in a file, as TOML has them.

    :param file: a pyproject.toml, whose `[tool.safe-image]` is read, or any other TOML file.
    :raises UsageError: if it cannot be read, is not TOML, or has no such table.
    """
    document = _document(file)
    if file.name != _PROJECT:
        return document
    table = _tools(document, file).get(_TABLE)
    if not isinstance(table, dict):
        raise UsageError(f"{file} has no table [tool.safe-image]: add it, or use a safe-image.toml")
    return table


def _tools(document: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    tools = document.get("tool", {})
    if not isinstance(tools, dict):
        raise UsageError(f"{file}: tool is not a table: use [tool.NAME] for the settings of tools")
    return tools


def _document(file: Path) -> Mapping[str, Any]:
    # Imported here, since most runs have no file.
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    if file_kind(file) == "other":
        raise UsageError(f"{file} is a FIFO or a device: use a regular file")
    try:
        # Editors on Windows begin a file with a byte order mark.
        text = _content(file).decode("utf-8-sig")
        _check_limits(text, file)
        document: Mapping[str, Any] = tomllib.loads(text)
        return document
    except OSError as e:
        raise UsageError(f"{file} cannot be read: {e.strerror}: use a file that can be read") from e
    except RecursionError:
        raise UsageError(f"{file} is not a valid TOML file: it is nested too deeply") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not a valid TOML file: it is not text in UTF-8") from None
    except ValueError as e:
        raise UsageError(f"{file} is not a valid TOML file: {_first_line(e)}") from e


def _content(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_MAX_BYTES + 1)


def _check_limits(text: str, file: Path) -> None:
    if len(text) > _MAX_BYTES:
        raise UsageError(f"{file} has more than {_MAX_BYTES:,} bytes: use a safe-image.toml of its own")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _MAX_DOTS:
            raise UsageError(f"{file}:{number}: the line has more than {_MAX_DOTS:,} dots: shorten its key")


def _first_line(error: ValueError) -> str:
    lines: Iterator[str] = iter(str(error).splitlines())
    return next(lines, type(error).__name__)
