"""The message about a sweep: a doubt never looks as if all was well."""

from __future__ import annotations

from dataclasses import replace

from image_verifier.audit.sweep_summary import SweepChange
from image_verifier.sweep.notice import notice

from tests.unit.image_verifier.audit.test_sweep_summary import SUMMARY

COUNTS = {"repositories": 2, "images": 3, "passed": 3, "refused": 0, "unknown": 0, "skipped": 0, "unfinished": 0}
PAGE = "s3://reports/Guard/sweeps/2026-11-28T13-30-00Z/page.html"


def test_a_sweep_that_verified_everything_and_found_nothing_sends_no_message() -> None:
    assert notice(replace(SUMMARY, counts=COUNTS), PAGE) is None


def test_a_sweep_that_could_read_nothing_sends_a_message() -> None:
    message = notice(replace(SUMMARY, counts={**COUNTS, "passed": 0, "unknown": 3}), PAGE)
    assert message
    subject, text = message
    assert subject == f"Sweep {SUMMARY.id}: 3 results unknown"
    assert "3 results unknown: the page says why." in text.shown


def test_a_newly_refused_image_is_named_before_a_doubt() -> None:
    image = {"reference": "shop:1", "findings": [{"id": "not-an-image", "message": "It is none."}]}
    message = notice(replace(SUMMARY, counts={**COUNTS, "unknown": 1}, new=SweepChange(1, (image,))), PAGE)
    assert message
    subject, text = message
    assert subject == f"Sweep {SUMMARY.id}: 1 image newly refused"
    assert {"shop:1: It is none. [not-an-image]", "1 result unknown: the page says why."} <= set(text.shown)
