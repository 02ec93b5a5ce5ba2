"""The demo's needs, which `make demo` prints before it downloads anything: Docker or Debian, space, time.

`python3 local_aws/demo/needs.py` runs on the machine's own Python, without the project's environment.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# Measured on 2 cores, from a fresh clone: 4.1 GB under `.local/`, and 377 s beside another test run.
_GIGABYTES: Final = 4.5
_MINUTES: Final = 7
_GB: Final = 1_000_000_000
_DEBIAN: Final = Path("/etc/debian_version")


def main(folder: Path) -> int:
    """Print the demo's needs and what this machine lacks, and return the exit code.

    :param folder: the folder for everything that the demo downloads and builds.
    """
    is_first = not (folder / "base-images").exists()
    free = shutil.disk_usage(folder.parent).free / _GB
    print(*_needs(folder, free, is_first), sep="\n", flush=True)
    missing = list(_missing(folder, free, is_first))
    for text in missing:
        print(f"The demo cannot run on this machine: {text}", file=sys.stderr)
    return 2 if missing else 0


def _needs(folder: Path, free: float, is_first: bool) -> Iterator[str]:
    yield "The demo needs"
    yield "  - Docker, or root on Debian: then it downloads Docker's packages, and installs nothing"
    if is_first:
        yield f"  - {_GIGABYTES} GB of space under {folder}, where {free:.1f} GB are free"
        yield f"  - up to {_MINUTES} minutes, and the network for its downloads"
    else:
        yield f"  - space under {folder}, where {free:.1f} GB are free; the downloads of an earlier run are there"
        yield f"  - less than {_MINUTES} minutes"
    yield "  - no AWS account: it deploys to an AWS on this machine, and leaves nothing running"


def _missing(folder: Path, free: float, is_first: bool) -> Iterator[str]:
    if is_first and free < _GIGABYTES:
        yield (
            f"{free:.1f} GB are free at {folder.parent}, and the first run needs {_GIGABYTES} GB: free some space, or "
            "use a checkout on another disk"
        )
    if not shutil.which("docker") and not (_DEBIAN.exists() and os.geteuid() == 0):
        yield "it has no docker, and this is not root on Debian: install Docker, or use a Debian machine as root"


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[2] / ".local"))
