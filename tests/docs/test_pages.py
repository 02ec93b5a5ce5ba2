"""Every link and path on a page exists, and the reference names every keyword."""

from __future__ import annotations

import inspect
import re
import shlex
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cdk_safe_image import ImageVerifier, SafeDockerImageAsset
from safe_image.commands.command_parser import command_parser
from tests.docs.english import PROGRAMS

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "examples" / "README.md",
]
_LINK: Final = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_PATH: Final = re.compile(r"`([\w.-]+(?:/[\w.-]+)*)`")
_NAME: Final = re.compile(r"`([A-Za-z_]\w+(?:\.py)?)(?:\([\w, ]*\))?`")
_WORD: Final = re.compile(r"[A-Za-z_]\w+")
_HEADING: Final = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The headings' anchors as GitHub makes them."""
    words = (re.sub(r"[^\w\- ]", "", heading).strip().lower() for heading in _HEADING.findall(page.read_text()))
    return {word.replace(" ", "-") for word in words}


def broken(page: Path) -> Iterator[str]:
    for path, anchor in _LINK.findall(page.read_text()):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield f"{path}#{anchor}"


def named_paths(page: Path) -> set[str]:
    """The paths in a page's code spans: those that begin with a file or folder at the top of the repository."""
    top = {path.name for path in ROOT.iterdir()}
    return {path for path in _PATH.findall(page.read_text()) if path.split("/")[0] in top}


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_path_that_a_page_for_contributors_names_exists(name: str) -> None:
    paths = named_paths(ROOT / name)
    assert paths
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_every_name_in_the_steps_for_additions_is_in_the_code() -> None:
    steps = (ROOT / "docs" / "architecture.md").read_text().partition("\n## How to add something\n")[2]
    sources = [path for folder in PROGRAMS for path in (ROOT / folder).rglob("*.py")]
    words = {word for path in sources for word in _WORD.findall(path.read_text())} | {path.name for path in sources}
    named = set(_NAME.findall(steps.partition("\n## ")[0]))
    assert len(named) > 10
    assert named - words - {path.name for path in ROOT.iterdir()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_has_a_target(page: Path) -> None:
    assert list(broken(page)) == []


def test_the_readme_counts_the_images_that_the_engines_were_held_against() -> None:
    counted = re.search(r"for (\d+) images \(`tests/corpus`\)", (ROOT / "README.md").read_text())
    with tarfile.open(ROOT / "tests" / "corpus" / "corpus.tar.xz") as corpus:
        cases = [name for name in corpus.getnames() if name.endswith("/case.json")]
    assert counted
    assert int(counted[1]) == len(cases)


def calls(page: Path) -> Iterator[list[str]]:
    """The arguments of each call of the command in the page's terminal blocks."""
    for line in re.findall(r"^\$ (.*safe-image .*)$", page.read_text(), re.MULTILINE):
        for part in re.split(r" (?:&&|\||>) ", line.partition("  #")[0]):
            words = shlex.split(part)
            if words[:1] == ["safe-image"] and len(words) > 1:
                yield words[1:]


@pytest.mark.parametrize("page", [page for page in PAGES if list(calls(page))], ids=lambda page: page.name)
def test_the_command_accepts_every_call_on_a_page(page: Path) -> None:
    for call in calls(page):
        command_parser(call).parse_args(call)


def test_a_page_that_uses_a_release_says_that_nothing_is_published_yet() -> None:
    assert "(unreleased)" in (ROOT / "CHANGELOG.md").read_text(), "after a release, remove these notes and this test"
    uses = re.compile(r"cdk-safe-image@v\d|(?:pipx?|uv tool) install (?:cdk-safe-image|safe-image)|uvx safe-image")
    files = [*PAGES, *(ROOT / "examples").glob("*.yml")]
    using = [path for path in files if uses.search(path.read_text())]
    assert using
    assert [path.name for path in using if not re.search("[Nn]ot(?:hing is)? published yet", path.read_text())] == []


def test_the_reference_lists_every_keyword() -> None:
    constructs, policy = ((ROOT / "docs" / f"{name}.md").read_text() for name in ("constructs", "policy"))
    verifier = set(inspect.signature(ImageVerifier.__init__).parameters) - {"self", "scope", "id"}
    assert {name for name in verifier if f"`{name}`" not in constructs} == set()
    of_cdk = vars(SafeDockerImageAsset.__bases__[0])["__init__"]
    theirs = set(inspect.signature(of_cdk).parameters) | {"build_contexts"}
    ours = set(inspect.signature(SafeDockerImageAsset.__init__).parameters) - theirs
    assert {name for name in ours if f"`{name}`" not in constructs + policy} == set()
