"""Workflows, forms and hooks parse, and run a contributor's commands: the Makefile's, and the pinned ruff."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
GITHUB: Final = ROOT / ".github"
TARGETS: Final = frozenset(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def jobs() -> Iterator[Any]:
    for path in (GITHUB / "workflows").glob("*.yml"):
        yield from parsed(path)["jobs"].values()


@pytest.mark.parametrize(
    "path",
    [ROOT / ".pre-commit-config.yaml", ROOT / "action.yml", *sorted(GITHUB.rglob("*.yml"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_yaml_file_parses_to_a_mapping(path: Path) -> None:
    assert isinstance(parsed(path), dict)


def test_every_command_of_a_workflow_is_one_of_the_makefile() -> None:
    commands = [step["run"] for job in jobs() for step in job["steps"] if "run" in step]
    assert commands
    assert [command for command in commands if command.removeprefix("make ") not in TARGETS] == []


def test_every_make_command_that_a_page_names_exists() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *GITHUB.rglob("*.md")]
    named = {name for page in pages for names in _make(page.read_text()) for name in names.split()}
    assert named - TARGETS == set()


def _make(text: str) -> list[str]:
    return re.findall(r"(?:`|^\$ )make ([a-z]+(?: [a-z]+)*)", text, re.MULTILINE)


def test_the_unit_tests_run_on_every_python_that_the_project_names() -> None:
    classifiers = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    assert parsed(GITHUB / "workflows" / "test.yml")["jobs"]["unit"]["strategy"]["matrix"]["python"] == classifiers


def test_a_form_asks_for_something_and_gives_each_field_an_id_of_its_own() -> None:
    forms = [path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
    for form in map(parsed, forms):
        fields = [field["id"] for field in form["body"]]
        assert {"name", "description", "body"} <= set(form)
        assert len(set(fields)) == len(fields) > 0


def test_the_hook_runs_the_ruff_that_the_checkout_has() -> None:
    (pinned,) = re.findall(r"^ruff==(\S+)", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE)
    hooks = parsed(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [hook["rev"] for hook in hooks if hook["repo"].endswith("/ruff-pre-commit")] == [f"v{pinned}"]
