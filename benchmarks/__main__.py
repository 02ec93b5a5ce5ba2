"""`python -m benchmarks [NAME...]`: run the benches, one after the other; without names, all of them.

Every module here that can be run is one. Each measures side by side in one run, interleaved, and prints the
machine's cores with its numbers; what else runs on the machine meanwhile is in all of them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent


def main() -> int:
    """Run them.

    :returns: 0, or 1 if one of them failed.
    """
    runnable = sorted(p.stem for p in _HERE.glob("*.py") if p.name[0] != "_" and "__main__" in p.read_text())
    names = sys.argv[1:] or runnable
    unknown = sorted(set(names) - set(runnable))
    if unknown:
        print(f"there is no bench {', '.join(unknown)}: write some of {', '.join(runnable)}", file=sys.stderr)
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
