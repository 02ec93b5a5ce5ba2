"""The start-up time of the command beside a bare `python -c pass`, and that of a whole check of a local layout.

The start-up is what every run costs before it has anything to do: `--version` and the help. A whole check costs more:
half of the layout's are modules of the standard library (argparse, dataclasses, json, hashlib, pathlib), a quarter are
the frozen dataclasses of the model, and the rest are the verifier's tables and the check itself.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.unit.images import GZIP, Layout

RUNS: Final = 5
# Each run is the best of this many, so that one interruption does not decide the result.
_TRIES: Final = 3
_COMMAND: Final = str(Path(sys.executable).with_name("safe-image"))


def main() -> None:
    """Print the table."""
    # Like an installed command: compiled once, and not for every start.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    # The commands run in that folder, since the pyproject.toml of this checkout would be searched for a configuration.
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(Path(folder))
        layout.source(layout.image(layer_types=(GZIP,) * 8))
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "safe-image --version": [_COMMAND, "--version"],
            "safe-image --help": [_COMMAND, "--help"],
            "safe-image check (layout)": [_COMMAND, "check", f"oci-layout:{folder}"],
            "the same, as JSON": [_COMMAND, "check", f"oci-layout:{folder}", "--format", "json"],
        }
        limits = dict(zip(commands, (None, 6, 6, 10, 10), strict=True))
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for command in commands.values():
            _seconds(command, environment, folder)
        for _ in range(RUNS):
            for name, command in commands.items():
                seconds[name].append(min(_seconds(command, environment, folder) for _ in range(_TRIES)))
    bare = statistics.median(seconds["python -c pass"])
    print(f"Start-up, median of {RUNS} runs side by side, {os.cpu_count()} cores")
    for name, times in seconds.items():
        median = statistics.median(times)
        limit = f"   (at most {limits[name]})" if limits[name] else ""
        print(f"  {name:26} {median * 1000:6.0f} ms   {median / bare:5.1f} times{limit}")


def _seconds(command: Sequence[str], environment: dict[str, str], folder: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
