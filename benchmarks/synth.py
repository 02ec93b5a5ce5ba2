"""The cost of verified images at synth: plain, protected (`SafeImages`) and swapped (`SafeDockerImageAsset`).

`bare` is CDK's own share: a plain app with a custom resource of the same size for each image and a Lambda for each
stack, and nothing of ours.

Fifty images with contexts of 1 MB in one stack, and one in each of fifty stacks; each with CDK's validation of the
templates and without it. Five rounds, each with one run of each kind, every one in a process of its own, with both of
CDK's halves: Python's and Node.js's. A run is compared with the plain one of its round, since machines change their
speed within minutes. Python's modules are compiled before, as in each environment that has run once.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks._one_synth import KINDS

_IMAGES = 50
_BYTES = 1_000_000
_RUNS = 5
_Runs = dict[str, list[dict[str, Any]]]


def main() -> int:
    """Print the figures.

    :returns: 0.
    """
    print(f"synth: {_IMAGES} images with contexts of {_BYTES / 1e6:.0f} MB, {_RUNS} runs each, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        contexts = Path(folder, "contexts")
        _make_contexts(contexts)
        for kind in KINDS:
            _run(kind, folder, 1, validation=False)
        for stacks in (1, _IMAGES):
            for validation in (True, False):
                runs: _Runs = {kind: [] for kind in KINDS}
                for _ in range(_RUNS):
                    for kind, done in runs.items():
                        done.append(_run(kind, folder, stacks, validation=validation))
                _print(runs, stacks, validation=validation)
    return 0


def _make_contexts(folder: Path) -> None:
    for number in range(_IMAGES):
        context = folder / str(number)
        context.mkdir(parents=True)
        (context / "Dockerfile").write_text("FROM scratch\nCOPY data /data\n")
        (context / "data").write_bytes(os.urandom(_BYTES))


def _run(kind: str, folder: str, stacks: int, *, validation: bool) -> dict[str, Any]:
    """One synth, with the CPU seconds of its process and of its Node.js."""
    command = [sys.executable, "-m", "benchmarks._one_synth", kind, str(Path(folder, "contexts")), str(stacks)]
    environment = os.environ | ({} if validation else {"CDK_VALIDATION": "false"})
    environment |= {"PYTHONPYCACHEPREFIX": str(Path(folder, "pycache")), "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def _print(runs: _Runs, stacks: int, *, validation: bool) -> None:
    print(f"  {stacks} {'stack' if stacks == 1 else 'stacks'}, {'with' if validation else 'without'} CDK's validation:")
    plain = [run["cpu"] for run in runs["plain"]]
    for kind, done in runs.items():
        cpu, first = [run["cpu"] for run in done], done[0]
        times = statistics.median(own / base for own, base in zip(cpu, plain, strict=True))
        extra = statistics.median(own - base for own, base in zip(cpu, plain, strict=True)) / _IMAGES * 1000
        print(
            f"    {kind:10} CPU median {statistics.median(cpu):.2f} s ({min(cpu):.2f} to {max(cpu):.2f}), "
            f"{times:.2f} times plain, {extra:.0f} ms more for each image; "
            f"{first['calls']} calls between Python and Node.js; {first['walks']} walks of the tree"
        )
        added = Counter(first["resources"]) - Counter(runs["plain"][0]["resources"])
        if added:
            print(f"    {'':10} resources added: {', '.join(f'{n} {k}' for k, n in added.items())}")


if __name__ == "__main__":
    sys.exit(main())
