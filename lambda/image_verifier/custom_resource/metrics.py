"""Metrics: one line in the log for each verification, from which CloudWatch Logs extracts metrics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

The only dimension is the stack: CloudWatch charges for every combination of a metric's dimensions, and an image's name
or tag would make a new combination with every build.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from .events import Event, properties_of
from .response import Response
from .schema import Property

NAMESPACE: Final = "CdkSafeImage"
_DIMENSIONS: Final = [[], ["Stack"]]
_UNITS: Final = {
    "Duration": "Seconds",
    "InventoryAge": "Seconds",
    "SizeInBytes": "Bytes",
}
_COUNTS: Final = {"pass": "Verified", "tolerated": "LetPass", "fail": "Refused", "unknown": "Unverified"}


def log_metrics(event: Event, response: Response, seconds: float) -> None:
    """Log the metrics of a response, if an image was judged.

    :param seconds: how long it took.
    """
    if response.verdict:
        print(
            line(
                response.verdict,
                at=time.time(),
                seconds=seconds,
                size=response.size,
                stack=event["StackId"].split("/")[1],
                Construct=str(properties_of(event).get(Property.CONSTRUCT_PATH, "")),
            )
        )


def line(verdict: str, *, at: float, seconds: float, size: int | None, stack: str, **about: str) -> str:
    """The line of one verification.

    :param verdict: `pass`, `tolerated` where the image passes only because the policy never refuses, `fail` or
        `unknown`.
    :param at: when it ended, in seconds since 1970.
    :param seconds: how long it took.
    :param size: the image's compressed size in bytes; None or 0 where it is not known.
    :param stack: the stack's name.
    :param about: further members of the line.
    """
    values: dict[str, float] = {name: int(name == _COUNTS[verdict]) for name in _COUNTS.values()}
    values["Duration"] = round(seconds, 3)
    if size:
        values["SizeInBytes"] = size
    return embedded(values, at=at, stack=stack, **about)


def embedded(values: Mapping[str, float], *, at: float, stack: str, **about: str) -> str:
    """The line of some metrics.

    :param values: the metrics.
    :param at: their time, in seconds since 1970.
    :param stack: the stack's name.
    :param about: further members of the line.
    """
    metrics: list[dict[str, Any]] = [{"Name": name, "Unit": _UNITS.get(name, "Count")} for name in values]
    directive = {"Namespace": NAMESPACE, "Dimensions": _DIMENSIONS, "Metrics": metrics}
    return json.dumps(
        {"_aws": {"Timestamp": int(at * 1000), "CloudWatchMetrics": [directive]}, "Stack": stack, **values, **about}
    )
