"""`make fuzz`: feed mutated images, layers, archives and registry answers to the verifier and the reports.

A failure is an exception that is not a fault, an outcome that differs between two runs, a report that cannot be
written, 2 seconds of CPU, or 200 MB of memory. Each failure is printed with the number that repeats it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from release.fuzz.cases import run_case
from release.fuzz.seeds import Seeds
from release.fuzz.surfaces import SURFACES

_SHOWN: Final = 20


def main() -> int:
    """Run the fuzzer.

    :returns: 0 if nothing failed.
    """
    parser = argparse.ArgumentParser(description="Feed hostile input to the verifier and the reports.")
    parser.add_argument("--seconds", type=float, default=180, help="how long; default: 180")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first case; default: 0")
    parser.add_argument("--surface", choices=SURFACES, action="append", help="only this surface; repeat for more")
    parser.add_argument("--case", metavar="SURFACE:NUMBER", help="repeat one case, with its traceback")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="csi-fuzz-") as folder:
        seeds = Seeds.of_corpus(Path(folder))
        if arguments.case:
            surface, _, number = arguments.case.partition(":")
            problem = run_case(surface, int(number), seeds, debug=True)
            print(problem or "nothing fails")
            return 1 if problem else 0
        return _run(seeds, arguments.surface or list(SURFACES), arguments.seed, arguments.seconds)


def _run(seeds: Seeds, surfaces: list[str], first: int, seconds: float) -> int:
    counts: Counter[str] = Counter()
    failures: list[str] = []
    ends_at, number = time.monotonic() + seconds, first
    while time.monotonic() < ends_at:
        for surface in surfaces:
            problem = run_case(surface, number, seeds)
            counts[surface] += 1
            if problem:
                failures.append(f"{surface}:{number}: {problem}")
                print(failures[-1], flush=True)
                if len(failures) == _SHOWN:
                    ends_at = 0.0
        number += 1
    print(f"cases {first} to {number - 1}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    print(f"{len(failures)} failures" + (": repeat one with --case SURFACE:NUMBER" if failures else ""))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
