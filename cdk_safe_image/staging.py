"""Stages the Lambda's code: the installed `image_verifier` package, without Docker and without network."""

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


def verifier_code(scope: Construct) -> str:
    """A folder that contains the code of the Lambda and nothing else. It exists until the process ends.

    The verifiers of all stacks share it: CDK reads and copies a folder once for each app.

    :param scope: the construct that the asset belongs to.
    """
    if scope.node.try_get_context("aws:cdk:disable-asset-staging"):
        # `cdk synth --no-staging`: CDK copies nothing, and tools that read the assembly expect the code here.
        outdir = Stage.of(scope).asset_outdir  # type: ignore[union-attr] # every asset belongs to an app
        return _staged(Path(outdir, "cdk-safe-image"))
    return _staged(_temporary_folder())


@cache
def _temporary_folder() -> Path:
    folder = TemporaryDirectory(prefix="cdk-safe-image-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


@cache
def _staged(folder: Path) -> str:
    return str(stage(folder))


def stage(folder: Path) -> Path:
    """Write the code of the Lambda to a folder, which is returned.

    The folder contains only sources, whose lines end as on Linux. So the asset's hash is the same from a checkout and
    from a wheel, on each system, before and after Python writes `__pycache__`.

    :param folder: where `image_verifier` is to lie; made if it does not exist.
    """
    package = Path(image_verifier.__file__).parent
    for source in package.rglob("*.py"):
        target = folder / package.name / source.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(without_prose(source.read_text(encoding="utf-8")).encode())
    return folder


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
