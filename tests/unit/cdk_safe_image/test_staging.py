"""The zip of a Lambda is small, complete, and the same program as the sources."""

from __future__ import annotations

import ast
import io
import re
import shutil
import subprocess
import sys
import tokenize
import zipfile
from datetime import datetime
from modulefinder import ModuleFinder
from pathlib import Path

import image_verifier
import pytest
from image_verifier.audit.audit_page import AuditHead, audit_page

from cdk_safe_image import staging
from cdk_safe_image.staging import without_prose, write_zip

SOURCES = Path(image_verifier.__file__).parent
MODULES = sorted(str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.py"))
ENTRY_POINTS = sorted(path.stem for path in (SOURCES / "entrypoints").glob("[!_]*.py"))
# What the zip had when the verifier was one room that also held the registries and archives of the command: a deploy
# waits for the custom resource to start. Only events wait for the guards' Lambdas, which may read an inventory.
# A sweep has the audit and its page with the style, too, and nobody waits for it.
LARGEST_ZIPS = {"custom_resource": 137_331, "registry_sweep": 180_000}
LARGEST_ZIP_OF_A_GUARD = 150_000


@pytest.fixture(scope="module", params=ENTRY_POINTS)
def staged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(tmp_path_factory.mktemp("staged"), request.param) / "image_verifier"


def unpacked(folder: Path, entry_point: str) -> Path:
    """A folder with the code of a Lambda, as Lambda unpacks it."""
    code = folder / entry_point
    shutil.unpack_archive(write_zip(folder / f"{entry_point}.zip", entry_point), code)
    return code


class _WithoutDocstrings(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node


def code(program: str) -> str:
    """The program with the line and the column of each part, but without the strings that do nothing."""
    tree = _WithoutDocstrings().visit(ast.parse(program))
    # A class or function also ends elsewhere if its only or last statement is a docstring.
    return re.sub(r", end_lineno=\d+, end_col_offset=\d+", "", ast.dump(tree, include_attributes=True))


@pytest.mark.parametrize("module", MODULES)
def test_a_program_without_prose_is_the_same_program_on_the_same_lines(module: str) -> None:
    program = (SOURCES / module).read_text()
    assert code(without_prose(program)) == code(program)


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_a_lambda_has_exactly_the_modules_that_its_handler_imports_at_once_or_later(
    entry_point: str, tmp_path: Path
) -> None:
    root = unpacked(tmp_path, entry_point)
    finder = ModuleFinder(path=[str(SOURCES.parent)])
    finder.import_hook(f"image_verifier.entrypoints.{entry_point}")
    files = (getattr(module, "__file__", None) for module in finder.modules.values())
    imported = {str(Path(file).resolve()) for file in files if file}
    expected = {str(path) for path in imported if Path(path).is_relative_to(SOURCES)}
    assert {str(SOURCES.parent / path.relative_to(root)) for path in root.rglob("*.py")} == expected


def test_the_staged_code_has_neither_comments_nor_docstrings(staged: Path) -> None:
    for path in staged.rglob("*.py"):
        program = path.read_text()
        tokens = list(tokenize.generate_tokens(io.StringIO(program).readline))
        assert [token for token in tokens if token.type == tokenize.COMMENT] == []
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        assert {ast.get_docstring(node) for node in ast.walk(ast.parse(program)) if isinstance(node, documented)} <= {
            None,
            "",
        }


def test_the_staged_code_ends_its_lines_as_posix_does_also_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "image_verifier"
    (package / "entrypoints").mkdir(parents=True)
    (package / "entrypoints" / "one.py").write_bytes(b"FIRST = 1\r\nSECOND = 2\r\n")
    monkeypatch.setattr(image_verifier, "__file__", str(package / "__init__.py"))
    code = unpacked(tmp_path, "one") / "image_verifier" / "entrypoints" / "one.py"
    assert code.read_bytes() == b"FIRST = 1\nSECOND = 2\n"


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_the_zip_is_smaller_than_it_was_with_the_commands_sources_in_it(entry_point: str, tmp_path: Path) -> None:
    largest = LARGEST_ZIPS.get(entry_point, LARGEST_ZIP_OF_A_GUARD)
    assert write_zip(tmp_path / "code.zip", entry_point).stat().st_size < largest


def test_the_same_files_make_the_same_zip_with_modes_that_lambda_can_read(tmp_path: Path) -> None:
    first, second = (write_zip(tmp_path / f"{name}.zip", "custom_resource") for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as code:
        files = code.infolist()
    assert [file.filename for file in files] == sorted(file.filename for file in files)
    assert {(file.date_time, file.external_attr >> 16) for file in files} == {((1980, 1, 1, 0, 0, 0), 0o100644)}


def test_a_lambda_can_write_the_page_of_an_audit_with_nothing_but_what_is_staged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "image_verifier"
    shutil.copytree(SOURCES, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "entrypoints" / "page.py").write_text(
        "from ..audit.audit_page import AuditHead, audit_page\n"
        "from datetime import datetime\n\n"
        "print(*audit_page(tuple, AuditHead(datetime(2026, 5, 1), 'refuses errors')), sep='', end='')\n"
    )
    monkeypatch.setattr(image_verifier, "__file__", str(package / "__init__.py"))
    folder = unpacked(tmp_path, "page")
    # Without the installed packages, as in a Lambda, where there is no template engine.
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); import image_verifier.entrypoints.page"
    command = [sys.executable, "-I", "-S", "-c", program]
    page = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert page == "".join(audit_page(tuple, AuditHead(datetime(2026, 5, 1), "refuses errors")))
    assert (SOURCES / "pages" / "report.css").read_text() in page


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ('"""A module."""\n\nfrom __future__ import annotations\n', '""\n\nfrom __future__ import annotations\n'),
        ("def f():\n    '''x'''\n", "def f():\n    '''x'''\n"),
        ('def f():\n    """One.\n\n    Two.\n    """\n    g()\n', 'def f():\n    ""\n\n\n\n    g()\n'),
        ('x = "# no comment"  # a comment\n', 'x = "# no comment"\n'),
        ("# A comment with \"one quote and '\nx = 1\n", "\nx = 1\n"),
        ('x = "\\"# still a string"  # "\n', 'x = "\\"# still a string"\n'),
        ('x = """# text\n# text"""\n', 'x = """# text\n# text"""\n'),
        ('x = rb"""\n"""\n', 'x = rb"""\n"""\n'),
        ("x = f\"{a['b']}#\"\n", "x = f\"{a['b']}#\"\n"),
    ],
    ids=["module", "not-ruffs", "long", "hash", "quote", "escape", "multiline", "prefix", "f-string"],
)
def test_only_comments_and_docstrings_are_prose(program: str, expected: str) -> None:
    assert without_prose(program) == expected


def test_a_verifier_in_an_archive_is_refused(tmp_path: Path) -> None:
    """The app would deploy a Lambda without code."""
    archive = tmp_path / "app.pyz"
    with zipfile.ZipFile(archive, "w") as packed:
        for package in (SOURCES, Path(staging.__file__).parent):
            for path in package.rglob("*.py"):
                packed.write(path, path.relative_to(package.parent))
    program = f"""
import sys
sys.path.insert(0, {str(archive)!r})
from aws_cdk import App, Stack
from cdk_safe_image import ImageVerifier
ImageVerifier(Stack(App(), "Demo"), "Verifier")
"""
    run = subprocess.run([sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    last = run.stderr.rstrip().splitlines()[-1]
    assert re.fullmatch(
        r"ValueError: The verifier's code is .*app\.pyz/image_verifier, which is not a folder.*: install .*", last
    )
