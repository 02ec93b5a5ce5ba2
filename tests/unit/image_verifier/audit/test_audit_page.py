"""The page of an audit: bounded, incomplete audits are marked as such, and texts of images are only texts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from image_verifier.audit.audit_page import MAX_IMAGES, AuditHead, audit_page
from image_verifier.audit.row import Row
from image_verifier.audit.totals import AuditTotals

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
FINDING = {
    "id": "not-an-image",
    "severity": "error",
    "runs_on": ["fargate"],
    "message": "The tag points at a <b>build attestation</b>.",
    "expected": "",
    "found": "",
    "runtime_error": "no processor",
    "runtime_error_predicted": True,
    "remedy": ["$ safe-image heal --stack X"],
    "acknowledged": "",
}


def row(number: int = 0, verdict: str = "fail", **values: Any) -> Row:
    """The row of one image."""
    return {
        "reference": f"{HOST}/shop:{number}",
        "digest": f"sha256:{number:064}",
        "verdict": verdict,
        "runs_on": ["fargate"],
        "platform": "linux/amd64",
        "size_bytes": 1024,
        "findings": [FINDING] if verdict == "fail" else [],
        "fault": None,
        "repository": f"{HOST}/shop",
        "tags": [str(number)],
        "pushed_at": None,
        "in_use_by": [],
        **values,
    }


def rendered(*rows: Row, **head: Any) -> str:
    return "".join(audit_page(lambda: rows, AuditHead(datetime(2026, 5, 1), "refuses errors", **head)))


def test_a_page_lists_a_bounded_number_of_images_and_says_where_the_others_are() -> None:
    def rows() -> Iterator[Row]:
        return (row(number) for number in range(MAX_IMAGES + 7))

    head = AuditHead(datetime(2026, 5, 1), "refuses errors", rest="s3://reports/Guard/sweeps/1/results/")
    page = "".join(audit_page(rows, head))
    assert page.count('<details class="sheet listed') == MAX_IMAGES
    assert "7 more images refused or unknown: see s3://reports/Guard/sweeps/1/results/." in page
    assert "1,007 of 1,007 images are refused" in page


def test_a_page_of_an_incomplete_audit_never_looks_like_a_healthy_registry() -> None:
    page = rendered(row(verdict="pass"), incomplete=["The batch 4 failed: <denied>"])
    assert '<header class="top is-unknown">' in page
    assert "The batch 4 failed: &lt;denied&gt;" in page
    assert '<header class="top is-pass">' in rendered(row(verdict="pass"))


def test_a_skipped_artifact_is_neither_listed_nor_counted() -> None:
    page = rendered(row(1, "pass"), row(2, "skipped"))
    assert "1 image, and none is refused" in page
    assert "listed" not in page.partition("<main>")[2]


def test_texts_of_an_image_are_escaped() -> None:
    page = rendered(row(reference=f"{HOST}/shop:<script>\x1b", in_use_by=["<img src=x>"]))
    assert "shop:&lt;script&gt;\\x1b" in page
    assert "in use by <b>&lt;img src=x&gt;</b>" in page
    assert "&lt;b&gt;build attestation" in page


def test_the_accounts_are_those_of_the_repositories() -> None:
    totals = AuditTotals.of([row(), row(repository=""), row(repository=f"{HOST}/other")])
    assert totals.accounts == [("123456789012", "eu-west-1")]
    assert "123456789012 in eu-west-1" in rendered(row())


def test_the_page_is_the_same_where_only_the_listed_rows_are_passed_beside_the_totals() -> None:
    rows = [row(1, "pass"), row(2), row(3, "pass"), row(4, "unknown")]
    head = AuditHead(datetime(2026, 5, 1), "refuses errors")
    listed = [one for one in rows if one["verdict"] != "pass"]
    assert [*audit_page(lambda: listed, head, AuditTotals.of(rows))] == [*audit_page(lambda: rows, head)]
