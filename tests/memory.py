"""The most memory that a process has had."""

from __future__ import annotations

from pathlib import Path


def most_memory(process: int | str = "self") -> int:
    """The most memory that a process has had so far, in bytes.

    Not getrusage or wait4: those count what the parent had, too, before it became this process.

    :param process: its id; by default this one.
    :raises OSError: it has ended.
    """
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {process} has ended")
