"""The page on costs has the table that the model and the simulation give."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks._sweep_costs import ASSUMED, MEASURED, RATES, cost, depths, simulated, tables

PAGE = Path(__file__).resolve().parents[2] / "docs" / "registry-guard-costs.md"
DEFAULT, LAYERS = depths(MEASURED)


def test_the_page_has_the_table_of_the_simulation() -> None:
    assert "\n".join(tables()) in PAGE.read_text()


def test_the_page_has_the_measured_figures() -> None:
    page = PAGE.read_text()
    for figure in (f"{MEASURED.batch_cpu} s", f"{MEASURED.layer_cpu * 1000:.1f} ms", f"{MEASURED.row_bytes} bytes"):
        assert figure in page


@pytest.mark.parametrize("depth", [DEFAULT, LAYERS])
def test_more_lambdas_are_faster_until_a_rate_of_ecr_binds(depth: object) -> None:
    assert depth in (DEFAULT, LAYERS)
    chosen = DEFAULT if depth is DEFAULT else LAYERS
    seconds = [simulated(chosen, 10_000, concurrency)[0] for concurrency in (10, 100, 1000)]
    assert seconds == sorted(seconds, reverse=True)
    downloads = chosen.calls["ecr:GetDownloadUrlForLayer"]
    assert seconds[-1] >= 10_000 * downloads / RATES["ecr:GetDownloadUrlForLayer"]


def test_the_price_does_not_depend_on_the_number_of_lambdas() -> None:
    assert cost(LAYERS, 100_000, 20).total == cost(LAYERS, 100_000, 1000).total


def test_a_batch_is_listed_and_written_at_the_price_of_a_write_and_read_once() -> None:
    found = cost(LAYERS, 1000, 20)
    assert found.s3_requests == 3000
    assert found.dollars["S3"] == pytest.approx(2 * 0.005 + 0.0004)


def test_one_batch_takes_as_long_as_its_calls_its_downloads_and_its_cpu() -> None:
    assert LAYERS.seconds(ASSUMED) > LAYERS.download_mib / ASSUMED.mib_per_second
    assert DEFAULT.seconds(ASSUMED) > DEFAULT.cpu
