"""The memory of a sweep's steps does not grow with the images that pass."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from image_verifier.sweep.plan import Earlier
from image_verifier.sweep.summary import SweepTotals

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
MEBIBYTE = 1 << 20


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Rows of images that pass, in repositories of a thousand."""
    for number in range(count):
        repository = f"{HOST}/shop-{number // 1000}"
        yield {
            "reference": f"{repository}:{number}",
            "repository": repository,
            "digest": f"sha256:{number:064x}",
            "verdict": "pass",
            "tags": [str(number)],
            "in_use_by": [],
            "findings": [],
        }


def sum_up(count: int) -> None:
    assert list(SweepTotals().refused_among(rows(count))) == []


def read_the_list_of_the_sweep_before(count: int) -> None:
    batches = (
        {"batch": number, "repository": f"shop-{number // 10:05}", "digests": [f"sha256:{number:064x}"] * 10}
        for number in range(count // 10)
    )
    earlier = Earlier(batches)
    assert sum(len(earlier.of(f"shop-{number:05}")) for number in range(count // 100)) == count // 10


@pytest.mark.parametrize("step", [sum_up, read_the_list_of_the_sweep_before])
def test_ten_times_as_many_images_need_no_more_memory(step: Callable[[int], None]) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        step(count)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(50_000) < peak(5_000) + MEBIBYTE
