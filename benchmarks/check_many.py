"""`safe-image check` of twenty images beside one, on the local ECR with 20 ms for each request.

It measures the whole command, and the check without the command's start-up, which alone would make twenty look cheap.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from local_aws import ACCOUNT, REGION, LocalAws
from safe_image.commands.arguments import DEFAULT_POLICY
from safe_image.results.check_runner import run_checks
from safe_image.sources.targets import TargetResolver
from tests.pushing import push
from tests.unit.images import GZIP, Layout

RUNS: Final = 5
IMAGES: Final = 20
LAYERS: Final = 8
DELAY: Final = 0.020
LIMIT: Final = 3
_REPOSITORY: Final = "benchmark"


def main() -> int:
    """Print the table.

    :returns: 0, or 1 if twenty images take more than the limit.
    """
    # Like an installed command: compiled once, and not for every start.
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with LocalAws.start() as aws, tempfile.TemporaryDirectory() as folder:
        references = _pushed(aws, Path(folder))
        aws.faults.latency("*", DELAY)
        os.environ.update(aws.env())
        environment = {**inherited, **aws.env()}
        ways: dict[str, Callable[[Sequence[str]], None]] = {
            "whole command": lambda names: _command(names, environment),
            "without start-up": _in_process,
        }
        seconds = {way: _measured(check, references) for way, check in ways.items()}
    print(f"check on ECR with {DELAY * 1000:.0f} ms for a request, median of {RUNS} runs, {os.cpu_count()} cores")
    for way, (one, many) in seconds.items():
        print(
            f"  {way:18} 1 image {one * 1000:5.0f} ms   {IMAGES} images {many * 1000:5.0f} ms   "
            f"{many / one:.2f} times (at most {LIMIT})"
        )
    one, many = seconds["whole command"]
    return int(many > LIMIT * one)


def _pushed(aws: LocalAws, folder: Path) -> Sequence[str]:
    aws.client("ecr").create_repository(repositoryName=_REPOSITORY)
    host = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
    for number in range(IMAGES):
        layout = Layout(folder / str(number))
        layout.path.mkdir()
        # Each image has its own config.
        layout.source(layout.image(layer_types=(GZIP,) * LAYERS, config={"author": str(number)}))
        push(aws, layout.path, _REPOSITORY, str(number))
    return [f"{host}/{_REPOSITORY}:{number}" for number in range(IMAGES)]


def _measured(check: Callable[[Sequence[str]], None], references: Sequence[str]) -> tuple[float, float]:
    seconds: dict[int, list[float]] = {1: [], IMAGES: []}
    check(references)
    for _ in range(RUNS):
        for count, times in seconds.items():
            began = time.perf_counter()
            check(references[:count])
            times.append(time.perf_counter() - began)
    return statistics.median(seconds[1]), statistics.median(seconds[IMAGES])


def _command(references: Sequence[str], environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "safe_image", "check", *references]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def _in_process(references: Sequence[str]) -> None:
    resolver = TargetResolver()
    targets = [(resolver.target(reference, "linux/amd64"), DEFAULT_POLICY) for reference in references]
    assert {o.verdict for o in run_checks(targets, debug=True, done=lambda: None)} == {"pass"}


if __name__ == "__main__":
    sys.exit(main())
