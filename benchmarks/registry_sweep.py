"""The costs of a sweep of a registry: one batch measured here, and 100,000 and 10,000,000 images computed from it.

CPU is that of the command's process on the local AWS, as the difference of two runs, so that its start does not count.
`docs/registry-guard-costs.md` has the tables.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from benchmarks._sweep_costs import IMAGES_PER_BATCH, Measured, tables
from benchmarks.sample_image import architecture, layout
from local_aws import ACCOUNT, REGION, LocalAws
from local_aws.toolchain import LOCAL
from tests.pushing import push, push_many

_COMMAND: Final = Path(sys.executable).with_name("safe-image")
# The start of the command is in both runs.
_BATCHES: Final = 10
_MIB: Final = 1024 * 1024


def main() -> None:
    """Print the measured figures and the table."""
    measured = _measure()
    print(measured, *tables(measured), sep="\n")


def _measure() -> Measured:
    with LocalAws.start() as aws, tempfile.TemporaryDirectory() as folder:
        for batches in (1, _BATCHES + 1):
            push_many(aws, f"bench-{batches}", batches * IMAGES_PER_BATCH)
        report = Path(folder) / "report.json"
        one, more = (
            _run(aws, "audit", f"bench-{batches}", "--format", "json", "-o", str(report))
            for batches in (1, _BATCHES + 1)
        )
        row = json.loads(report.read_text())["images"][0]
        aws.client("ecr").create_repository(repositoryName="image")
        image = layout(LOCAL / "bench")
        push(aws, image, "image", "1")
        mib = sum(file.stat().st_size for file in (image / "blobs").rglob("*") if file.is_file()) / _MIB
        check = (
            "check",
            f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/image:1",
            "--platform",
            f"linux/{architecture()}",
            "--runs-on",
            "eks",
        )
        without, layers = _run(aws, *check), _run(aws, *check, "--layers")
        return Measured(
            batch_cpu=round((more[0] - one[0]) / _BATCHES, 2),
            batch_calls={name: (count - one[1][name]) // _BATCHES for name, count in more[1].items()},
            row_bytes=len(json.dumps(row)),
            layer_cpu=round((layers[0] - without[0]) / mib, 4),
            layer_calls=dict(layers[1]),
        )


def _run(aws: LocalAws, *arguments: str) -> tuple[float, Counter[str]]:
    """The CPU seconds of the command, and its calls to ECR."""
    aws.reset_calls()
    process = subprocess.Popen([_COMMAND, *arguments], env=aws.env(), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 1), f"{arguments} ended with {process.returncode}"
    calls = Counter(call["name"] for call in aws.calls() if call["name"].startswith("ecr:"))
    return usage.ru_utime + usage.ru_stime, calls


if __name__ == "__main__":
    main()
