"""The message about a sweep, where it found something that the sweep before did not, and its metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ..audit.sweep_summary import SweepSummary
from ..custom_resource.layout import Reason, prose
from ..custom_resource.metrics import NAMESPACE
from ..pages.markup import plural
from ..text import shortened

# The most images that the message names, and findings of one image.
_MAX_IMAGES: Final = 20
_MAX_FINDINGS: Final = 3


def notice(summary: SweepSummary, page: str) -> tuple[str, Reason] | None:
    """The subject and the text of the message; None where there is nothing to report.

    :param summary: the sweep's summary.
    :param page: the URI of its page.
    """
    new, unknown = summary.new, plural(summary.counts["unknown"], "result")
    if not new.count and not summary.incomplete and not summary.counts["unknown"]:
        return None
    found = f"{unknown} unknown" if summary.counts["unknown"] and not new.count else ""
    headline = f"Sweep {summary.id}: {found or plural(new.count, 'image') + ' newly refused'}"
    lines = [
        *(f"{image['reference']}: {_findings(image)}" for image in new.images[:_MAX_IMAGES]),
        *([f"And {new.count - _MAX_IMAGES:,} more."] if new.count > _MAX_IMAGES else []),
        *summary.incomplete,
        *([f"{unknown} unknown: the page says why."] if summary.counts["unknown"] else []),
        f"All: {_tally(summary.counts)}.",
        f"Page: {page}",
    ]
    return headline, Reason(f"{headline}.", [paragraph for line in lines for paragraph in prose(line)])


def metrics_line(summary: SweepSummary, at: float, stack: str) -> str:
    """The line of the log from which CloudWatch extracts the metrics of a sweep.

    :param summary: the sweep's summary.
    :param at: when it ended, in seconds since 1970.
    :param stack: the guard's name.
    """
    counts = summary.counts
    values = {
        "SweptImages": counts["images"],
        "SweepRefused": counts["refused"],
        "SweepNewlyRefused": summary.new.count,
        "SweepUnknown": counts["unknown"],
        "SweepUnfinished": counts["unfinished"],
    }
    metrics = [{"Name": name, "Unit": "Count"} for name in values]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["Stack"]], "Metrics": metrics}
    return json.dumps(
        {"_aws": {"Timestamp": int(at * 1000), "CloudWatchMetrics": [directive]}, "Stack": stack, **values}
    )


def _findings(image: Mapping[str, Any]) -> str:
    return "; ".join(f"{shortened(one['message'])} [{one['id']}]" for one in image["findings"][:_MAX_FINDINGS])


def _tally(counts: Mapping[str, int]) -> str:
    parts = ", ".join(f"{counts[name]:,} {name}" for name in ("passed", "refused", "unknown", "skipped"))
    repositories = "1 repository" if counts["repositories"] == 1 else f"{counts['repositories']:,} repositories"
    return f"{plural(counts['images'], 'image')} in {repositories}: {parts}"
