"""A check at default depth against the local ECR with 20 ms for each request: images of few layers and of many.

A round trip is a request that had to wait for another's response: the longest chain of requests without overlap.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.retry import RetryBudget
from image_verifier.sources.ecr_image import EcrImage
from image_verifier.verify import verify

from local_aws import ACCOUNT, REGION, LocalAws
from tests.pushing import push
from tests.unit.images import GZIP, Layout

RUNS: Final = 5
LAYERS: Final = (1, 8, 30, 125)
DELAY: Final = 0.020
_REPOSITORY: Final = "benchmark"
_POLICY: Final = Policy(("fargate",), Platform.parse("linux/amd64"))


def main() -> None:
    """Print the table."""
    with LocalAws.start() as aws, tempfile.TemporaryDirectory() as folder:
        client = aws.client("ecr")
        client.create_repository(repositoryName=_REPOSITORY)
        for layers in LAYERS:
            layout = Layout(Path(folder) / str(layers))
            layout.path.mkdir()
            layout.source(layout.image(layer_types=(GZIP,) * layers))
            push(aws, layout.path, _REPOSITORY, str(layers))
        aws.faults.latency("*", DELAY)
        seconds: dict[int, list[float]] = {layers: [] for layers in LAYERS}
        trips: dict[int, int] = {}
        _check(client, LAYERS[0])
        for _ in range(RUNS):
            for layers in LAYERS:
                aws.reset_calls()
                began = time.perf_counter()
                _check(client, layers)
                seconds[layers].append(time.perf_counter() - began)
                calls = [call for call in aws.calls() if call["name"].startswith(("ecr:", "layer:"))]
                trips[layers] = _round_trips(calls)
    medians = {layers: statistics.median(times) for layers, times in seconds.items()}
    print(f"Against ECR with {DELAY * 1000:.0f} ms for a request, median of {RUNS} runs, {os.cpu_count()} cores")
    for layers, median in medians.items():
        times = f"{median / medians[LAYERS[0]]:.2f} times {LAYERS[0]} layer"
        print(f"  {layers:3} layers   {median * 1000:4.0f} ms   {times}   {trips[layers]} round trips")


def _check(client: Any, layers: int) -> None:
    source = EcrImage(
        client,
        repository_arn=f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{_REPOSITORY}",
        repository_uri=f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{_REPOSITORY}",
        tag=str(layers),
        retry_budget=RetryBudget.of(60),
    )
    report = verify(source, _POLICY)
    assert report.verdict == "pass", report.findings


def _round_trips(calls: Sequence[dict[str, Any]]) -> int:
    """How many calls began after the previous one had its answer."""
    count, ended = 0, 0.0
    for call in sorted(calls, key=lambda call: call["time"] + call["seconds"]):
        if call["time"] >= ended:
            count, ended = count + 1, call["time"] + call["seconds"]
    return count


if __name__ == "__main__":
    main()
