"""The cost of a verification in a deploy with one changed image: plain and verified, interleaved, on the local AWS.

Two times: that of the whole CDK CLI, which looks every 5 seconds whether a stack is ready, so that a fraction of a
second more can cost it 5; and that of the verification by the events of the stack. Both stacks run an image of one
repository, which nobody builds here.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from local_aws import LocalAws
from tests.pushing import push
from tests.unit.images import Layout

_ROOT: Final = Path(__file__).parent.parent
_REPOSITORY: Final = "benchmark"
_KINDS: Final = ("plain", "verified")
_RUNS: Final = 3
_VERIFICATION: Final = "Custom::ImageVerification"


def main() -> int:
    """Print the figures.

    :returns: 0.
    """
    seconds: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    by_events: list[float] = []
    with LocalAws.start() as aws, tempfile.TemporaryDirectory() as folder:
        aws.bootstrap()
        aws.client("ecr").create_repository(repositoryName=_REPOSITORY)
        # The first deploy of each makes the stack; only the changes after it count.
        for run in range(_RUNS + 1):
            _push(aws, Path(folder, f"image-{run}"), f"tag-{run}")
            for kind in _KINDS:
                took = _deploy(aws, kind, f"tag-{run}", Path(folder))
                if run:
                    seconds[kind].append(took)
        by_events += _verifications(aws)[1:]
    print(f"deploy: one changed image, {_RUNS} runs each, {os.cpu_count()} cores")
    for kind, times in seconds.items():
        print(f"  {kind:10} the CDK CLI: {statistics.median(times):.1f} s ({min(times):.1f} to {max(times):.1f})")
    print(
        f"  {'':10} the verification by the stack's events: {statistics.median(by_events):.2f} s "
        f"({min(by_events):.2f} to {max(by_events):.2f})"
    )
    return 0


def _push(aws: LocalAws, folder: Path, tag: str) -> None:
    folder.mkdir()
    layout = Layout(folder)
    layout.source(layout.image(config={"author": tag}))
    push(aws, layout.path, _REPOSITORY, tag)


def _deploy(aws: LocalAws, kind: str, tag: str, folder: Path) -> float:
    command = ["deploy", "--require-approval=never", f"--app={sys.executable} -m benchmarks._deploy_app"]
    context = {"kind": kind, "tag": tag, "repository": _REPOSITORY}
    command += [f"--context={name}={value}" for name, value in context.items()]
    started = time.perf_counter()
    done = aws.cdk(*command, f"--output={folder / kind}", cwd=_ROOT)
    took = time.perf_counter() - started
    assert done.returncode == 0, done.stdout
    return took


def _verifications(aws: LocalAws) -> list[float]:
    """The seconds between the start and the end of each verification that was made, oldest first."""
    pages = aws.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName="Verified")
    events: list[Any] = [event for page in pages for event in page["StackEvents"]]
    times: dict[str, dict[str, datetime]] = {}
    for event in events:
        name, status = event["LogicalResourceId"], event["ResourceStatus"]
        # The local AWS calls a new resource of an update an update, too.
        if event["ResourceType"] == _VERIFICATION and status.startswith(("CREATE_", "UPDATE_")):
            times.setdefault(name, {})[status.partition("_")[2]] = event["Timestamp"]
    found = sorted((its["IN_PROGRESS"], its["COMPLETE"]) for its in times.values())
    return [(end - start).total_seconds() for start, end in found]


if __name__ == "__main__":
    sys.exit(main())
