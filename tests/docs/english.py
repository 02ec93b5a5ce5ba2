"""Finds wordings that a reader must read twice: `python -m tests.docs.english` prints each with its place.

The rules are those of CONTRIBUTING.md ("How texts are written"). Pages, docstrings and the string literals of the
product are read; code blocks, code spans and engines' own words are quotations and are left out.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]

# Where a sentence begins: the text's start, a list item, a table's cell, or behind the end of another sentence.
_START: Final = r"(?:\A|(?<=[.!?:;] )|(?<=\n\n)|^\s*(?:[-*#|]+|\d+\.) (?:\*\*)?|(?<=\| ))"
# Verbs and prepositions after which a clause with "what" stands for a thing that has a name. Verbs of saying and
# knowing are not among them: "the message says what is wrong" is an indirect question.
_BEFORE_OBJECT: Final = (
    "read|reads|reading|hold|holds|holding|keep|keeps|take|takes|give|gives|make|makes|made|use|uses|using|run|runs|"
    "running|remove|removes|delete|deletes|need|needs|get|gets|allow|allows|verify|verifies|return|returns|add|adds|"
    "pass|passes|write|writes|build|builds|publish|publishes|fetch|fetches|store|stores|start|starts|find|finds|"
    "print|prints|send|sends|for|of|with|by|than|beside|besides|under|behind"
)

RULES: Final = {
    "a sentence needs a noun as its subject": re.compile(
        rf"{_START}(?:What|Who|Whoever|Whatever|Whichever|Which) (?![^.?!\n]*(?:\n[^.?!\n]+)*\?)", re.MULTILINE
    ),
    "an object needs a noun": re.compile(
        rf"\b(?:{_BEFORE_OBJECT}) what\s+(?!kind|sort|size|type)|\bwhoever\b"
        r"|\bwhatever (?:is|was|has|uses|names|comes|goes|makes|runs|needs|references|it|they|we|you)\b",
        re.IGNORECASE,
    ),
    '"of which"': re.compile(r"\bof which\b", re.IGNORECASE),
    'a sentence does not begin with "Of"': re.compile(rf"{_START}Of (?!course)", re.MULTILINE),
    '"is not a", never "is no"': re.compile(
        r"(?<!\bthere )\b(?:is|are|was|were|be) no (?!longer|more\b)", re.IGNORECASE
    ),
    "fix, not mend": re.compile(r"\b(?:mend|mends|mended|mending)\b", re.IGNORECASE),
    "report, not tell": re.compile(r"\b(?:tell|tells|told|telling)\b", re.IGNORECASE),
    "set, pass or use, not write": re.compile(
        r"[:;] write\b|\bwrite (?:such as|it as|that as|--?\w|`?[\w-]+=|`?--|[\"'`{\d]|the `?\w+=)", re.IGNORECASE
    ),
}

PAGES: Final = ("*.md", "docs/**/*.md", "examples/*.md", "tests/*.md", "action.yml", "Makefile", ".github/**/*.*")
PROGRAMS: Final = ("cdk_safe_image", "safe_image", "lambda", "local_aws", "local_engines", "release")
OTHERS: Final = ("tests", "benchmarks", "examples", "example_app")

# Places that quote somebody else's words, or a name that is a contract: `mended` is a key of the JSON of `diff`.
ALLOWED: Final = ("safe_image/results/comparison.py",)


class Passage(NamedTuple):
    """A text and the line of the file on which it begins."""

    path: str
    line: int
    text: str


class Offence(NamedTuple):
    """A wording that a rule refuses."""

    path: str
    line: int
    rule: str
    excerpt: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.excerpt}"


def offences(allowed: tuple[str, ...] = ALLOWED) -> list[Offence]:
    """Every refused wording of the repository.

    :param allowed: the beginnings of paths that are left out.
    """
    passages = [passage for passage in _everything() if not passage.path.startswith(allowed)]
    return [offence for passage in passages for offence in _offences(passage)]


def refused(text: str) -> list[str]:
    """The rules that refuse a text."""
    return [offence.rule for offence in _offences(Passage("", 1, text))]


@cache
def _everything() -> tuple[Passage, ...]:
    return (*pages(), *programs())


def _offences(passage: Passage) -> Iterator[Offence]:
    for rule, pattern in RULES.items():
        for match in pattern.finditer(passage.text):
            line = passage.line + passage.text.count("\n", 0, match.start())
            excerpt = " ".join(passage.text[max(0, match.start() - 30) : match.end() + 50].split())
            yield Offence(passage.path, line, rule, excerpt)


def pages() -> Iterator[Passage]:
    """The pages and the other texts that are not Python, without their code."""
    for path in sorted({path for pattern in PAGES for path in ROOT.glob(pattern) if path.is_file()}):
        yield Passage(str(path.relative_to(ROOT)), 1, _without_code(path.read_text()))


def _without_code(text: str) -> str:
    blocks = re.sub(r"^( *)```.*?^\1```$", lambda block: "\n" * block[0].count("\n"), text, flags=re.S | re.M)
    return re.sub(r"`[^`\n]+`", "`…`", blocks)


def programs() -> Iterator[Passage]:
    """The docstrings of all Python files, and the string literals of those that users see the output of."""
    for folder in (*PROGRAMS, *OTHERS):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield from _passages(str(path.relative_to(ROOT)), path.read_text(), literals=folder in PROGRAMS)


def _passages(path: str, source: str, *, literals: bool) -> Iterator[Passage]:
    tree = ast.parse(source)
    docstrings = {id(node) for node in _docstrings(tree)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            if id(node) in docstrings or (literals and " " in node.value):
                yield Passage(path, node.lineno, _without_code(node.value))
        elif isinstance(node, ast.JoinedStr) and literals:
            yield Passage(path, node.lineno, _without_code(_template(node)))


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                yield statement.value


def _template(node: ast.JoinedStr) -> str:
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{…}" for part in node.values)


def main() -> None:
    """Print every offence, and how many each folder has."""
    found = offences(ALLOWED)
    for folder, count in sorted(Counter(str(Path(offence.path).parent) for offence in found).items()):
        print(f"{count:5} {folder}")
    print(f"{len(found):5} in all\n", *found, sep="\n")


if __name__ == "__main__":
    main()
