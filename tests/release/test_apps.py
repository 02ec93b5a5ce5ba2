"""Two of the apps of `make apps`: images of nested stacks, and functions with versions. `make apps` has the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from release.apps.run import KINDS, run
from release.apps.shapes import SHAPES, functions, nested_stacks


@pytest.mark.parametrize("shape", [functions, nested_stacks])
def test_an_app_only_gets_what_the_docs_say(shape: object, tmp_path: Path) -> None:
    (function,) = [it for it in SHAPES if it is shape]
    result = run(function, tmp_path)
    assert result.problems == {kind: [] for kind in KINDS[1:]}
    for comparison in result.comparisons.values():
        assert comparison.images == comparison.consumers == 2
        assert comparison.added["Custom::ImageVerification"] == 2
