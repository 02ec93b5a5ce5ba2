"""The demo's needs, which it prints before it starts: space, time, and Docker or Debian."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from local_aws.process import LocalAwsError

# Measured on 2 cores, from a fresh clone: 4.1 GB under `.local/`, and 377 s beside another test run.
_GIGABYTES: Final = 4.5
_MINUTES: Final = 7
_GB: Final = 1_000_000_000


def print_needs(folder: Path) -> None:
    """Print the demo's needs, and the space that is free.

    :param folder: the folder for everything that the demo downloads and builds.
    :raises LocalAwsError: if the space does not suffice for the first run.
    """
    is_first = not (folder / "base-images").exists()
    free = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free / _GB
    print(*_lines(folder, free, is_first), sep="\n", flush=True)
    if is_first and free < _GIGABYTES:
        raise LocalAwsError(
            f"{free:.1f} GB are free at {folder}, and the first run needs {_GIGABYTES} GB: free some space, or use a "
            "checkout on another disk"
        )


def _lines(folder: Path, free: float, is_first: bool) -> Iterator[str]:
    yield "The demo needs"
    yield "  - Docker, or root on Debian: then it downloads Docker's packages, and installs nothing"
    if is_first:
        yield f"  - {_GIGABYTES} GB of space under {folder}, where {free:.1f} GB are free"
        yield f"  - up to {_MINUTES} minutes, and the network for its downloads"
    else:
        yield f"  - space under {folder}, where {free:.1f} GB are free; the downloads of an earlier run are there"
        yield f"  - less than {_MINUTES} minutes"
    yield "  - no AWS account: it deploys to an AWS on this machine, and leaves nothing running"
