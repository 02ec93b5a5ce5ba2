"""The summary of a sweep: what one program writes another reads, and what was not checked is said."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from image_verifier.audit.sweep_summary import SweepBounds, SweepSummary, UnfinishedBatch

SHOP = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop"
SUMMARY = SweepSummary(
    id="2026-11-28T13-30-00Z",
    started=datetime(2026, 11, 28, 13, 30, tzinfo=timezone.utc),
    ended=datetime(2026, 11, 28, 13, 34, tzinfo=timezone.utc),
    tool_version="0.1.0",
    account="123456789012",
    region="eu-west-1",
    depth="default",
    rules=({"pattern": "shop/*", "policy": {}},),
    counts={"images": 3, "passed": 3, "refused": 0, "unknown": 0, "unfinished": 0},
)
UNFINISHED = UnfinishedBatch(4, SHOP, ("sha256:1", "sha256:2"), "ecr:BatchGetImage was denied")


def text(**values: Any) -> bytes:
    return json.dumps({**SUMMARY.as_json(), **values}).encode()


def test_a_summary_that_was_written_is_read_again() -> None:
    summary = replace(SUMMARY, unfinished=(UNFINISHED,), bounds=SweepBounds(100, None, True, {SHOP: 7}))
    read = SweepSummary.parse(json.dumps(summary.as_json()).encode())
    assert json.dumps(read.as_json()) == json.dumps(summary.as_json())
    assert read.incomplete == summary.incomplete


def test_keys_of_later_versions_are_ignored() -> None:
    assert SweepSummary.parse(text(owner="shop")).id == SUMMARY.id


def test_everything_that_was_not_checked_is_said() -> None:
    bounds = SweepBounds(1000, 2 * 1024**3, True, {SHOP: 11_000, "other": 1000})
    summary = replace(SUMMARY, unfinished=(UNFINISHED,), bounds=bounds)
    assert summary.incomplete == (
        f"{SHOP}: 2 images were not checked: ecr:BatchGetImage was denied",
        f"12,000 images were left out of {SHOP}, other: the bound of a sweep is 1,000 images and 2.0 GiB.",
    )
    assert SUMMARY.incomplete == ()
    many = replace(SUMMARY, unfinished=(UNFINISHED,) * 12).incomplete
    assert many[-1] == "2 more batches were not checked: see unfinished in summary.json."
    counted = replace(SUMMARY, unfinished=(UNFINISHED,), counts={**SUMMARY.counts, "unfinished": 5000}).incomplete
    assert counted[-1] == "4,999 more batches were not checked: see unfinished in summary.json."


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "is not valid JSON"),
        (b'{"schema_ver', "is not valid JSON"),
        (b"[]", "is not the summary of a sweep"),
        (b"{}", "is not the summary of a sweep"),
        (b"\xff", "is not valid JSON"),
        (text(schema_version=2), "has schema_version 2, and this version reads 1"),
        (text(ended="today"), "has the time 'today'"),
        (text(unfinished=[{}]), "is not the summary of a sweep"),
        (text(unfinished=None), "is not the summary of a sweep"),
        (text(new=["x"]), "is not the summary of a sweep"),
        (text(bounds=[]), "is not the summary of a sweep"),
    ],
)
def test_a_file_that_is_not_a_summary_is_refused_in_a_few_words(content: bytes, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        SweepSummary.parse(content)


def test_the_policy_names_the_rules_and_what_has_none() -> None:
    assert SUMMARY.policy == (
        "the rules for shop/*, else refuses only images that no runtime can pull; "
        "reads manifests and configs, not the layers' bytes"
    )
    assert replace(SUMMARY, rules=(), depth="layers").policy == (
        "refuses only images that no runtime can pull; reads every layer"
    )
