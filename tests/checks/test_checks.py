"""Every finding is in the catalogue, can occur, and is documented in docs/checks.md as the code has it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import image_verifier
import pytest
from image_verifier.report import Severity
from image_verifier.rules.catalog import CATALOG, Stage
from image_verifier.rules.remedies import remedy
from image_verifier.rules.runtimes import RUNTIMES, Runtime

from tests.checks.document import PATH, found, page, verdicts
from tests.checks.examples import EXAMPLES, NAMES, Example
from tests.corpus.cases import Case

SOURCES = Path(image_verifier.__file__).parent


def _ids_in_the_code() -> Iterator[str]:
    """Every string that is the first argument of a finding, or of an error that becomes one."""
    for path in [*SOURCES.joinpath("checks").glob("*.py"), SOURCES / "layers/unpack_errors.py"]:
        calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and node.args)
        for call in calls:
            if ast.unparse(call.func) in ("finding", "UnpackError", "cls") and isinstance(call.args[0], ast.Constant):
                yield str(call.args[0].value)


def test_every_finding_in_the_code_is_in_the_catalogue() -> None:
    assert set(_ids_in_the_code()) <= set(CATALOG)


def test_every_finding_of_the_catalogue_has_an_example() -> None:
    assert list(EXAMPLES) == list(CATALOG)


@pytest.mark.parametrize("finding_id", CATALOG)
def test_every_finding_occurs_in_its_example(finding_id: str) -> None:
    assert found(finding_id)


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=lambda runtime: runtime.name)
def test_the_image_that_the_examples_change_is_healthy(runtime: Runtime) -> None:
    for platform in runtime.platforms:
        assert [f for f in Example().findings(runtime, platform) if f.severity is Severity.ERROR] == []


@pytest.mark.parametrize("finding_id", CATALOG)
def test_every_finding_says_how_to_fix_it(finding_id: str) -> None:
    for finding in found(finding_id).values():
        assert remedy(finding, NAMES)
        assert finding.message.endswith(".")


@pytest.mark.parametrize("finding_id", [i for i, stage in CATALOG.items() if stage in (Stage.START, Stage.RUN)])
def test_the_content_of_an_image_is_fixed_before_it_is_pushed_again(finding_id: str) -> None:
    for finding in found(finding_id).values():
        assert not remedy(finding, NAMES)[0].startswith(("$ ", "Then "))


def test_the_page_says_what_the_code_does(corpus: Sequence[Case]) -> None:
    assert PATH.read_text() == page(corpus), "run python -m tests.checks"


def test_with_the_layers_no_broken_image_of_the_corpus_passes(corpus: Sequence[Case]) -> None:
    wrong_accepts, _ = verdicts(corpus)["safe-image check --layers"]
    assert wrong_accepts == 0
