"""An audit of a repository on the local AWS with 20 ms for each request, beside crane for each of its tags.

`xargs` runs 16 of Debian's crane at a time, a common way to validate many tags; like the audit, it reads no layers.
Each image has 8 layers; 7 of them are a base that it shares with 19 others. Both results include the cost of the
server, which runs on the same cores. `python -m benchmarks.repository_audit IMAGES...` sets other numbers of images;
only the first is measured with crane.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from local_aws import LocalAws
from local_engines import debian
from tests.memory import most_memory
from tests.pushing import push_many

IMAGES: Final = (1000,)
DELAY: Final = 0.020
RUNS: Final = 3
_CRANES: Final = 16
# The interval of the memory measurements, in seconds.
_LOOK: Final = 0.02
_COMMAND: Final = Path(sys.executable).with_name("safe-image")


def main() -> None:
    """Print the table."""
    numbers = tuple(map(int, sys.argv[1:])) or IMAGES
    crane = debian.unpacked("sid", ("crane", "docker-registry")) / "usr/bin/crane"
    with LocalAws.start() as aws, tempfile.TemporaryDirectory() as folder:
        print(f"{DELAY * 1000:.0f} ms for a request, {os.cpu_count()} cores, {RUNS} runs side by side")
        for number in numbers:
            repository = f"bench-{number}"
            distinct = push_many(aws, repository, number)
            aws.faults.latency("*", DELAY)
            environment = {**aws.env(), "DOCKER_CONFIG": folder}
            audit = [str(_COMMAND), "audit", repository, "--format", "json", "-o", str(Path(folder) / "report.json")]
            names = Path(folder) / "names"
            names.write_text("".join(f"{aws.registry}/{repository}:{i}\n" for i in range(number)))
            cranes = [
                *("xargs", "-a", str(names), "-P", str(_CRANES), "-n", "1"),
                *(str(crane), "validate", "--fast", "--remote"),
            ]
            commands = {"safe-image audit": audit}
            if number == numbers[0]:
                commands[f"xargs -P {_CRANES} crane validate --fast"] = cranes
            _measure(aws, f"{number} images, {distinct} distinct layers", commands, environment)
            aws.faults.clear()
            report = json.loads(Path(folder, "report.json").read_text())
            assert report["repositories"][0]["passed"] == number, report["repositories"]


def _measure(aws: LocalAws, title: str, commands: dict[str, Sequence[str]], environment: dict[str, str]) -> None:
    best: dict[str, float] = {}
    memory: dict[str, int] = {}
    calls: dict[str, Counter[str]] = {}
    for _ in range(RUNS):
        for name, command in commands.items():
            aws.reset_calls()
            began = time.perf_counter()
            process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
            most = 0
            while process.poll() is None:
                with contextlib.suppress(OSError):  # the process has just ended
                    most = most_memory(process.pid)
                time.sleep(_LOOK)
            seconds = time.perf_counter() - began
            assert process.returncode == 0, f"{name} ended with {process.returncode}"
            best[name] = min(seconds, best.get(name, seconds))
            memory[name] = max(most, memory.get(name, 0))
            calls[name] = Counter(call["name"] for call in aws.calls())
    print(f"  {title}, the best run")
    ours = next(iter(best.values()))
    for name, seconds in best.items():
        # The memory of xargs would not count: it starts hundreds of processes.
        in_memory = "" if name.startswith("xargs") else f"   {memory[name] / 1e6:5.0f} MB at most"
        print(f"    {name:36} {seconds:6.1f} s   {seconds / ours:4.1f} times ours{in_memory}")
        print(f"      {calls[name].total()} requests: {', '.join(f'{n} {c}' for n, c in calls[name].most_common())}")


if __name__ == "__main__":
    main()
