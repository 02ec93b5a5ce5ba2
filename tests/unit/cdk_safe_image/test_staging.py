"""The staged code of the Lambda is small, and it is the same program as the sources."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import zipfile
from pathlib import Path

import image_verifier
import pytest

from cdk_safe_image.staging import stage, without_prose

SOURCES = Path(image_verifier.__file__).parent
MODULES = sorted(str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.py"))
# What the zip had when the verifier was one room that also held the command's registries and archives.
LARGEST_ZIP = 137_331


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stage(tmp_path_factory.mktemp("staged")) / "image_verifier"


class _WithoutDocstrings(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node


def code(program: str) -> str:
    """The program with the line and the column of each part, but without the strings that do nothing."""
    tree = _WithoutDocstrings().visit(ast.parse(program))
    # A class or function also ends elsewhere if its only or last statement is a docstring.
    return re.sub(r", end_lineno=\d+, end_col_offset=\d+", "", ast.dump(tree, include_attributes=True))


@pytest.mark.parametrize("module", MODULES)
def test_the_staged_program_is_the_sources_program_on_the_same_lines(module: str, staged: Path) -> None:
    assert code((staged / module).read_text()) == code((SOURCES / module).read_text())


def test_the_staged_code_has_neither_comments_nor_docstrings(staged: Path) -> None:
    for module in MODULES:
        program = (staged / module).read_text()
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
    package.mkdir()
    (package / "__init__.py").write_bytes(b"FIRST = 1\r\nSECOND = 2\r\n")
    monkeypatch.setattr(image_verifier, "__file__", str(package / "__init__.py"))
    assert (stage(tmp_path / "staged") / "image_verifier" / "__init__.py").read_bytes() == b"FIRST = 1\nSECOND = 2\n"


def test_the_zip_is_smaller_than_it_was_with_the_commands_sources_in_it(staged: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as code:
        for module in MODULES:
            code.write(staged / module, f"image_verifier/{module}")
    assert len(archive.getvalue()) < LARGEST_ZIP


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
