"""The calls between Python and Node.js. Each takes CPU time on both sides.

They are counted where jsii sends each request to Node.js: constructions, methods, properties, and the results of
callbacks. The calls of one image are the difference between apps with more and with fewer images, so that the verifier,
which each stack has once, does not count.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks._jsii_calls import counted_calls
from benchmarks._one_synth import KINDS, add_services
from tests.unit.cdk_safe_image.app import new_app

FEWER, MORE = 3, 7


def calls(folder: Path, kind: str, images: int, stacks: int = 1) -> int:
    contexts = []
    for number in range(images):
        context = folder / f"{number}"
        context.mkdir(exist_ok=True)
        (context / "Dockerfile").write_text(f"FROM scratch\nLABEL number={number}\n")
        contexts.append(context)
    app = new_app()
    with counted_calls() as counted:
        add_services(app, kind, contexts, stacks)
        app.synth()
    return counted.count


@pytest.fixture
def calls_for_each_image(tmp_path: Path) -> dict[str, int]:
    differences = {kind: calls(tmp_path, kind, MORE) - calls(tmp_path, kind, FEWER) for kind in KINDS}
    return {kind: difference // (MORE - FEWER) for kind, difference in differences.items()}


def test_an_image_takes_at_most_thirty_five_calls_to_node(calls_for_each_image: dict[str, int]) -> None:
    assert 0 < calls_for_each_image["plain"] < calls_for_each_image["swapped"] <= 35
    assert calls_for_each_image["protected"] <= 35


def test_a_stack_takes_at_most_sixty_calls_more_than_its_image(tmp_path: Path) -> None:
    in_one_stack = calls(tmp_path, "protected", MORE)
    in_own_stacks = calls(tmp_path, "protected", MORE, stacks=MORE)
    assert (in_own_stacks - in_one_stack) / (MORE - 1) <= 60
