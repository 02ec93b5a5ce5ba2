"""The supervisor of an engine's daemon, with shell scripts for daemons."""

from __future__ import annotations

import os
import time
from pathlib import Path

from local_engines.supervisor import DaemonSpec, Supervisor

# Writes into the covered folder, then says whether that is still there.
_DAEMON = (
    'trap exit TERM; touch "$COVERED/mark"; while sleep 0.02; do test -e "$COVERED/mark"; echo $? > "$STATE"; done'
)


def test_a_folder_that_two_daemons_cover_stays_until_the_last_one_ends(tmp_path: Path) -> None:
    covered = tmp_path / "run"
    first, second = started(tmp_path, "first", covered), started(tmp_path, "second", covered)
    assert first.close() == ""
    assert state_of(tmp_path, "second") == "0", "its folder was removed under it"
    assert covered.exists()
    assert second.close() == ""
    assert not covered.exists()


def started(tmp_path: Path, name: str, covered: Path) -> Supervisor:
    (tmp_path / name).mkdir()
    spec = DaemonSpec(
        argv=["/bin/sh", "-c", _DAEMON],
        env={**os.environ, "COVERED": str(covered), "STATE": str(tmp_path / f"{name}.state")},
        log=str(tmp_path / f"{name}.log"),
        folder=str(tmp_path / name),
        covered=[str(covered)],
    )
    supervisor = Supervisor(spec)
    assert state_of(tmp_path, name) == "0"
    return supervisor


def state_of(tmp_path: Path, name: str) -> str:
    """The next line of the daemon."""
    state, ends = tmp_path / f"{name}.state", time.monotonic() + 30
    state.unlink(missing_ok=True)
    while not (state.exists() and (text := state.read_text().strip())):
        assert time.monotonic() < ends, (tmp_path / f"{name}.log").read_text()
        time.sleep(0.01)
    return text
