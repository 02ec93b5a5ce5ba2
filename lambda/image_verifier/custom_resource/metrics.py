"""Metrics: one line of log for each verification, which CloudWatch Logs itself makes metrics of.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

Each value is counted over all stacks and by stack, and by nothing else: CloudWatch charges for every combination of a
metric's dimensions, and an image's name or tag would make a new one with every build.
"""

from __future__ import annotations

import json
from typing import Any, Final

NAMESPACE: Final = "CdkSafeImage"
_DIMENSIONS: Final = [[], ["Stack"]]
_UNITS: Final = {
    "Verified": "Count",
    "LetPass": "Count",
    "Refused": "Count",
    "Unverified": "Count",
    "Duration": "Seconds",
    "SizeInBytes": "Bytes",
}
_COUNTS: Final = {"pass": "Verified", "excused": "LetPass", "fail": "Refused", "unknown": "Unverified"}


def line(verdict: str, *, at: float, seconds: float, size: int | None, stack: str, **about: str) -> str:
    """The line of a verification.

    :param verdict: `pass`, `excused` where only the policy lets it pass, `fail`, or `unknown` where it could not be
        told.
    :param at: when it ended, in seconds since 1970.
    :param seconds: how long it took.
    :param size: the image's compressed size in bytes; None or 0 where it is not known.
    :param stack: the stack's name.
    :param about: what else is to be found in the log with it.
    """
    values: dict[str, float] = {name: int(name == _COUNTS[verdict]) for name in _COUNTS.values()}
    values["Duration"] = round(seconds, 3)
    if size:
        values["SizeInBytes"] = size
    metrics: list[dict[str, Any]] = [{"Name": name, "Unit": _UNITS[name]} for name in values]
    directive = {"Namespace": NAMESPACE, "Dimensions": _DIMENSIONS, "Metrics": metrics}
    return json.dumps(
        {"_aws": {"Timestamp": int(at * 1000), "CloudWatchMetrics": [directive]}, "Stack": stack, **values, **about}
    )
