"""The JSON report of `diff`, `schema_version` 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from image_verifier.outcome_json import policy_as_json
from image_verifier.policy import Policy
from image_verifier.report_json import report_as_json
from image_verifier.rules.names import Names

from ...results.comparison import Comparison, LayerPair
from ...results.layer_rows import LayerRow
from ...results.merge_runtimes import merge_runtimes
from ...results.report_facts import accounts_as_json, report_head
from ..json_text import json_text


def report(comparison: Comparison, names: tuple[Names, Names], policy: Policy, stream: TextIO) -> Iterator[str]:
    """The report, in one piece.

    :param comparison: the comparison of the images.
    :param names: each image's names, which title it and fill in its remedies' commands.
    :param policy: the policy that the images were checked by.
    :param stream: the stream that the report is written to.
    """
    head = {**report_head("diff"), "accounts": accounts_as_json(names), "policy": policy_as_json(policy)}
    yield json_text({**head, **_comparison(comparison, names)}) + "\n"


def _comparison(comparison: Comparison, names: tuple[Names, Names]) -> dict[str, Any]:
    images = [
        {**report_as_json(report, own_names), "reference": own_names.reference}
        for report, own_names in zip((comparison.first, comparison.second), names, strict=True)
    ]
    return {
        "images": images,
        "runtimes": [{"name": name, "first": one, "second": other} for name, one, other in comparison.runtimes],
        **{
            kind: [{"id": f.id, "runs_on": list(f.runs_on)} for f in merge_runtimes(getattr(comparison, kind))]
            for kind in ("broken", "mended", "doubted", "common")
        },
        "fields": [
            {
                "name": field.name,
                "first": field.first,
                "second": field.second,
                "differs": field.differs,
                "breaks": list(field.breaks),
            }
            for field in comparison.fields
        ],
        "layers": [_pair(pair) for pair in comparison.layers],
    }


def _pair(pair: LayerPair) -> dict[str, Any]:
    return {
        "change": pair.change,
        "first": _row(pair.first),
        "second": _row(pair.second),
        "breaks": list(pair.breaks),
    }


def _row(row: LayerRow | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "number": row.number,
        "digest": row.layer.digest,
        "diff_id": row.diff_id,
        "media_type": row.layer.media_type,
        "size_bytes": row.layer.size,
        "step": row.step,
        "findings": [finding.id for finding in row.findings],
    }
