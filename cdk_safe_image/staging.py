"""Stages a Lambda's code: what its handler imports of the installed `image_verifier`, without Docker or network."""

from __future__ import annotations

import atexit
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import image_verifier
from aws_cdk import Stage
from constructs import Construct

# Lambda compiles the sources in each cold start, so prose costs time there. Strings are matched so that a # or """ in
# one is not taken for prose.
_PROSE_OR_STRING: Final = re.compile(
    r'''
    (?P<docstring> ^[ ]* """ (?:[^"\\]|\\.|"(?!""))* """$ )
    | (?P<comment> [ ]*\#[^\n]* )
    | """ (?:[^"\\]|\\.|"(?!""))* """ | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'
    ''',
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)


# The package has only relative imports of its own modules.
_IMPORT: Final = re.compile(r"^ *from (\.+)([\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE)
_WORD: Final = re.compile(r"\w+")
# What a package reads beside its modules: the style and the script of pages.
_DATA: Final = (".css", ".js")


def verifier_code(scope: Construct, entry_point: str) -> str:
    """A folder that contains the code of a Lambda and nothing else. It exists until the process ends.

    The Lambdas of all stacks share it: CDK reads and copies a folder once for each app.

    :param scope: the construct that the asset belongs to.
    :param entry_point: the name of the handler's module in `image_verifier.entrypoints`.
    """
    if scope.node.try_get_context("aws:cdk:disable-asset-staging"):
        # `cdk synth --no-staging`: CDK copies nothing, and tools that read the assembly expect the code here.
        outdir = Stage.of(scope).asset_outdir  # type: ignore[union-attr] # every asset belongs to an app
        return _staged(Path(outdir, f"cdk-safe-image-{entry_point}"), entry_point)
    return _staged(_temporary_folder() / entry_point, entry_point)


@cache
def _temporary_folder() -> Path:
    folder = TemporaryDirectory(prefix="cdk-safe-image-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


@cache
def _staged(folder: Path, entry_point: str) -> str:
    return str(stage(folder, entry_point))


def stage(folder: Path, entry_point: str) -> Path:
    """Write the code of a Lambda to a folder, which is returned.

    The folder contains only texts, whose lines end as on Linux. So the asset's hash is the same from a checkout and
    from a wheel, on each system, before and after Python writes `__pycache__`.

    :param folder: where `image_verifier` is to lie; made if it does not exist.
    :param entry_point: the name of the handler's module in `image_verifier.entrypoints`.
    """
    package = Path(image_verifier.__file__).parent
    for source, program in _imported(package, package / "entrypoints" / f"{entry_point}.py").items():
        target = folder / package.name / source.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((without_prose(program) if source.suffix == ".py" else program).encode())
    return folder


def _imported(package: Path, module: Path) -> dict[Path, str]:
    """A module, all that it imports of its package, at once or later, and their data: the text of each file."""
    found: dict[Path, str] = {}
    waiting = [module]
    while waiting:
        file = waiting.pop()
        if file in found or not file.is_file():
            continue
        found[file] = file.read_text(encoding="utf-8")
        waiting += (folder / "__init__.py" for folder in file.parents if folder.is_relative_to(package))
        waiting += (path for path in sorted(file.parent.iterdir()) if path.suffix in _DATA)
        for dots, name, words in _IMPORT.findall(found[file]):
            base = file.parents[len(dots) - 1].joinpath(*filter(None, name.split(".")))
            # Each word is a module or something that one contains.
            for path in (base, *(base / word for word in _WORD.findall(words))):
                waiting += (path.with_name(f"{path.name}.py"), path / "__init__.py")
    return found


def without_prose(program: str) -> str:
    """A program without its comments, and with empty docstrings; all the rest stays on its line and in its column.

    It edits the text, since `ast` and `tokenize` give another text on another version of Python. An empty docstring
    remains, since it may be all of a function's body.

    :param program: the source of a module, formatted by ruff.
    """
    return _PROSE_OR_STRING.sub(_emptied, program)


def _emptied(match: re.Match[str]) -> str:
    if match["comment"]:
        return ""
    if (docstring := match["docstring"]) is None:
        return match[0]
    indentation = " " * (len(docstring) - len(docstring.lstrip()))
    return indentation + '""' + "\n" * docstring.count("\n")
