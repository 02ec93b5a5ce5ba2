"""The zip of a Lambda: what its handler imports of the installed `image_verifier`, without Docker or network."""

from __future__ import annotations

import atexit
import hashlib
import re
import stat
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import image_verifier
from aws_cdk import Stage
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from .synthesis.facts import node_of

# Lambda compiles the sources in each cold start, so prose costs time there. Strings are matched so that a # or """ in
# one is not taken for prose. Each alternative begins with a character of its own, for which `re` looks first.
_PROSE_OR_STRING: Final = re.compile(
    r'''
    (?P<comment> \#[^\n]* )
    | (?P<long> """ [^"\\]* (?: (?: \\. | "(?!"") ) [^"\\]* )* """ )
    | " [^"\\\n]* (?: \\. [^"\\\n]* )* " | ' [^'\\\n]* (?: \\. [^'\\\n]* )* '
    ''',
    re.DOTALL | re.VERBOSE,
)


# The package has only relative imports of its own modules.
_IMPORT: Final = re.compile(r"^ *from (\.+)([\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE)
_WORD: Final = re.compile(r"\w+")
# What a package reads beside its modules: the style and the script of pages.
_DATA: Final = (".css", ".js")
_READABLE_FILE: Final = stat.S_IFREG | 0o644


def verifier_code(scope: Construct, entry_point: str) -> lambda_.Code:
    """The code of a Lambda and nothing else, as a zip that exists until the process ends.

    The Lambdas of all stacks share the zip: CDK copies it once for each app. A folder would be copied file by file.
    The asset's hash is computed here. CDK would compute it by reading the copy, and the bytes of a zip depend on the
    version of zlib.

    :param scope: the construct that the asset belongs to.
    :param entry_point: the name of the handler's module in `image_verifier.entrypoints`.
    """
    node = node_of(scope)
    folder = _temporary_folder()
    if node.try_get_context("aws:cdk:disable-asset-staging"):
        # `cdk synth --no-staging`: CDK copies nothing, and tools that read the assembly expect the code here.
        folder = Path(Stage.of(scope).asset_outdir)  # type: ignore[union-attr] # every asset belongs to an app
    # CDK adds the salt to the hashes that it computes itself.
    salt = node.try_get_context("@aws-cdk/core:assetHashSalt") or ""
    return lambda_.Code.from_asset(str(_zipped(folder, entry_point)), asset_hash=f"{_digest(entry_point)}{salt}")


@cache
def _temporary_folder() -> Path:
    folder = TemporaryDirectory(prefix="cdk-safe-image-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


@cache
def _zipped(folder: Path, entry_point: str) -> Path:
    return write_zip(folder / f"cdk-safe-image-{entry_point}.zip", entry_point)


@cache
def _digest(entry_point: str) -> str:
    digest = hashlib.sha256()
    for path, content in _files(entry_point).items():
        digest.update(f"{path} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def write_zip(path: Path, entry_point: str) -> Path:
    """Write the code of a Lambda to a zip, and return its path.

    The zip contains only texts, whose lines end as on Linux. So the asset's hash is the same from a checkout and
    from a wheel, on each system, before and after Python writes `__pycache__`.

    :param path: the zip.
    :param entry_point: the name of the handler's module in `image_verifier.entrypoints`.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as code:
        for name, content in _files(entry_point).items():
            # Its time is 1980, and the mode that Lambda requires is readable for all.
            # https://docs.aws.amazon.com/lambda/latest/dg/python-package.html
            file = zipfile.ZipInfo(name)
            file.external_attr = _READABLE_FILE << 16
            # The smallest zip costs 2 ms more, once in an app.
            code.writestr(file, content, zipfile.ZIP_DEFLATED, 9)
    return path


@cache
def _files(entry_point: str) -> dict[str, bytes]:
    """The files of a Lambda by their paths, sorted: the modules, and the data beside them."""
    package = Path(image_verifier.__file__).parent
    if not package.is_dir():
        raise ValueError(
            f"The verifier's code is {package}, which is not a folder, so that no Lambda can be made of it: install "
            "cdk-safe-image in a virtual environment instead of running it from an archive"
        )
    programs = _imported(package, ("entrypoints", entry_point))
    files = {f"{'/'.join(name)}.py": without_prose(program) for name, program in programs.items()}
    for folder in {package.joinpath(*name[:-1]) for name in programs}:
        data = (path for path in folder.iterdir() if path.suffix in _DATA)
        files |= {path.relative_to(package).as_posix(): path.read_text(encoding="utf-8") for path in data}
    return {f"{package.name}/{path}": files[path].encode() for path in sorted(files)}


# A module's name in the package, such as `("checks", "size")`; that of a package ends in `__init__`.
_Name = tuple[str, ...]


def _imported(package: Path, module: _Name) -> dict[_Name, str]:
    """A module and all that it imports of its package, at once or later: the text of each file."""
    # One look at the package: most of the names that are looked up below are those of classes and functions.
    modules = {path.relative_to(package).with_suffix("").parts for path in package.rglob("*.py")}
    found: dict[_Name, str] = {}
    seen: set[_Name] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in modules:
            continue
        seen.add(name)
        found[name] = package.joinpath(*name[:-1], f"{name[-1]}.py").read_text(encoding="utf-8")
        waiting += ((*name[:depth], "__init__") for depth in range(len(name)))
        for dots, base, words in _IMPORT.findall(found[name]):
            imported = (*name[: -len(dots)], *filter(None, base.split(".")))
            # Each word is a module or something that one contains.
            for path in (imported, *((*imported, word) for word in _WORD.findall(words))):
                waiting += filter(None, (path, (*path, "__init__")))
    return found


def without_prose(program: str) -> str:
    """A program without its comments, and with empty docstrings; all the rest stays on its line and in its column.

    It edits the text, since `ast` and `tokenize` give another text on another version of Python. An empty docstring
    remains, since it may be all of a function's body.

    :param program: the source of a module, formatted by ruff.
    """
    kept, end = [], 0
    for match in _PROSE_OR_STRING.finditer(program):
        before = program[end : match.start()]
        if match["comment"]:
            kept.append(before.rstrip(" "))
        elif match["long"] and _is_whole_line(program, match):
            kept += [before, '""', "\n" * match["long"].count("\n")]
        else:
            continue
        end = match.end()
    return "".join([*kept, program[end:]])


def _is_whole_line(program: str, string: re.Match[str]) -> bool:
    """Whether nothing but indentation is beside a string."""
    indentation = program[program.rfind("\n", 0, string.start()) + 1 : string.start()]
    return not indentation.strip(" ") and program[string.end() : string.end() + 1] in ("", "\n")
