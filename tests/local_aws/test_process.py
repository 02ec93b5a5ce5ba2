"""The local AWS listens on loopback only, leaves nothing behind, and ignores the user's own settings."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAws, LocalAwsError
from local_aws.toolchain import install
from local_engines.checkout import ROOT
from tests.local_aws.helpers import until

_STARTED_AND_LEFT = """
import os, signal, sys
from local_aws import LocalAws
with LocalAws.start() as aws:
    aws.client("sts").get_caller_identity()
    print(aws.pid, aws.log.parent, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _alive(pid: int) -> bool:
    return _stat(pid)[:1] not in ([], ["Z"])


def _group(leader: int) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if _alive(pid) and _stat(pid)[2:3] == [str(leader)]]


def _stat(pid: int) -> list[str]:
    """The state, the parent, the process group of a process, and more; empty once it has ended.

    A process of another test may end between the opening of the file and its reading, which then fails.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _of_ministack() -> set[str]:
    """The names of ministack's files in its default folder, where our server lets it make none."""
    return {path.name for path in Path(tempfile.gettempdir()).glob("ministack*")}


def test_the_local_aws_listens_on_loopback_only(aws: LocalAws) -> None:
    for address in ("127.0.0.1", "::1"):
        socket.create_connection((address, aws.port), timeout=5).close()
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, _, port = line.split()[1].partition(":")
            if int(port, 16) == aws.port and line.split()[3] == "0A":
                listening.add(address)
    assert listening == {"0100007F", "00000000000000000000000001000000"}


def test_the_local_aws_leaves_nothing_behind(deploy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _of_ministack()
    # A folder of its own: other test processes start and stop a local AWS at the same time.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with LocalAws.start() as aws:
        deploy(aws)
        assert list(tmp_path.iterdir()) == [aws.log.parent]
        processes = _group(aws.pid)
        assert len(processes) == 2  # the server and a function
    # The kernel needs a moment to end a killed process, and longer where all cores are busy.
    assert until(lambda: not any(_alive(pid) for pid in processes))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert _of_ministack() <= before


def test_the_local_aws_ends_when_its_parent_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _STARTED_AND_LEFT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    pid, folder = done.stdout.split()
    assert until(lambda: not _alive(int(pid)))
    assert not Path(folder).exists()


def test_the_environment_has_none_of_the_users_aws_settings(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    monkeypatch.setenv("DOCKER_CONFIG", "/home/user/.docker")
    environment = aws.env()
    assert "AWS_PROFILE" not in environment
    assert "secret" not in environment.values()
    assert environment["DOCKER_CONFIG"] != "/home/user/.docker"
    assert not Path(environment["AWS_CONFIG_FILE"]).exists()


def test_the_tools_are_installed_once(capsys: pytest.CaptureFixture[str]) -> None:
    install()
    capsys.readouterr()
    toolchain = install()
    assert capsys.readouterr().out == "", "the second call installs nothing"
    version = subprocess.run([toolchain.node_bin / "node", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("v24.")


def test_the_cdk_cli_comes_from_the_lock_file() -> None:
    lock = json.loads((ROOT / "local_aws" / "package-lock.json").read_text())
    pinned = lock["packages"]["node_modules/aws-cdk"]["version"]
    installed = json.loads((ROOT / ".local" / "cdk" / "node_modules" / "aws-cdk" / "package.json").read_text())
    assert installed["version"] == pinned


def test_a_cli_that_times_out_is_killed_and_its_output_is_reported(aws: LocalAws, tmp_path: Path) -> None:
    (tmp_path / "cdk.json").write_text(json.dumps({"app": "echo started >&2; sleep 120"}))
    started = time.monotonic()
    with pytest.raises(LocalAwsError, match=r"cdk ls timed out after 20 s:\n(.*\n)*started"):
        aws.cdk("ls", cwd=tmp_path, timeout=20)
    assert time.monotonic() - started < 60
