"""Sweeps over images that are large in one way: an index of many manifests, layers of five gigabytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from image_verifier.entrypoints import registry_sweep
from image_verifier.image import media_types
from image_verifier.sweep.settings import VARIABLE, SweepSettings

from tests.docs.refused_push import SweepContext
from tests.unit.aws_server import serving_aws
from tests.unit.ecr_repository import repository
from tests.unit.image_verifier.entrypoints.test_registry_push import Guard, push_index

FIVE_GIGABYTES = 5 << 30


@pytest.fixture
def guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    with serving_aws() as aws:
        aws.use(monkeypatch)
        aws.answers["Publish"] = {"MessageId": "1"}
        aws.answers["DescribeRepositories"] = {"repositories": [{"repositoryName": "shop"}]}
        yield Guard(aws, repository(aws, tmp_path / "shop"), monkeypatch)


def sweep(guard: Guard, settings: SweepSettings) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows and the summary of a sweep."""
    guard.handle()
    guard.monkeypatch.setenv(VARIABLE, json.dumps(settings.as_json()))
    found = registry_sweep.list_images({"started": "2026-11-16T03:00:00Z", "input": {}}, SweepContext())
    folder = f"{guard.settings.bucket}/{found['folder']}"
    for item in map(json.loads, guard.aws.objects[f"{folder}items.jsonl"].splitlines()):
        registry_sweep.verify_batch({"sweep": found, "item": item}, SweepContext())
    registry_sweep.sum_up({"sweep": found}, SweepContext())
    results = [text for name, text in guard.aws.objects.items() if name.startswith(f"{folder}results/")]
    rows = [json.loads(line) for text in results for line in text.splitlines()]
    return rows, json.loads(guard.aws.objects[f"{folder}summary.json"])


def test_an_index_of_a_hundred_manifests_is_one_row_and_each_manifest_is_fetched_once(guard: Guard) -> None:
    push_index(guard, 100, held=100)
    ((row,), summary) = sweep(guard, SweepSettings())
    assert (row["verdict"], row["media_type"]) == ("pass", media_types.OCI_INDEX)
    assert summary["counts"]["passed"] == 1
    assert Counter(action for action, _ in guard.aws.calls)["BatchGetImage"] <= 102


def test_an_image_of_five_gigabytes_is_judged_by_its_documents_and_is_beyond_a_bound_of_layers(guard: Guard) -> None:
    digest = guard.shop.push(guard.shop.layout.image(layers={"size": FIVE_GIGABYTES}), "large")
    described = guard.aws.answers["DescribeImages"]

    def with_size(asked: Any) -> Any:
        answer = described(asked)
        return {"imageDetails": [{**one, "imageSizeInBytes": FIVE_GIGABYTES} for one in answer["imageDetails"]]}

    guard.aws.answers["DescribeImages"] = with_size
    ((row,), _) = sweep(guard, SweepSettings())
    assert (row["digest"], row["verdict"]) == (digest, "pass")
    assert row["size_bytes"] >= FIVE_GIGABYTES
    assert Counter(action for action, _ in guard.aws.calls)["GetDownloadUrlForLayer"] == 1, "the config's"
    guard.aws.objects.clear()
    rows, summary = sweep(guard, SweepSettings(verify_layers=True, max_bytes=FIVE_GIGABYTES - 1))
    assert (rows, summary["bounds"]["left_out"]) == ([], {"shop": 1})
