"""`python -m benchmarks [NAME...]`: run these benchmarks, one after the other; by default all of them.

Every module of this folder without an underscore that has a `__main__` part is a benchmark. Each interleaves its
candidates in one run, so that other load on the machine affects all of them, and prints the number of cores.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent


def main() -> int:
    """Run the benchmarks.

    :returns: 0; 1 if one of them failed; 2 for an unknown name.
    """
    runnable = sorted(p.stem for p in _HERE.glob("*.py") if p.name[0] != "_" and "__main__" in p.read_text())
    names = sys.argv[1:] or runnable
    unknown = sorted(set(names) - set(runnable))
    if unknown:
        print(f"unknown benchmark {', '.join(unknown)}: use {', '.join(runnable)}", file=sys.stderr)
        return 2
    failed = []
    for name in names:
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
        print(flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
