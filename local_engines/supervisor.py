"""Runs one daemon and leaves nothing of it behind, even if the process that started it is killed.

`Supervisor` runs this file as a script, with the `DaemonSpec` as one JSON line on standard input. The script runs the
daemon until that input is closed, by `Supervisor.close` or because the parent died. Then it ends the daemon and removes
its bridge, cgroups and folder. The daemon is the first process of a PID namespace and has a mount namespace, so that
the kernel itself ends every shim, container and mount with the daemon, even where the script is killed:
https://man7.org/linux/man-pages/man7/pid_namespaces.7.html
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

# From Linux's sched.h, mount.h, prctl.h, sockios.h and if.h; Python names the first from 3.12 on.
_CLONE_NEWNS, _CLONE_NEWPID = 0x00020000, 0x20000000
_MS_REC, _MS_PRIVATE, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 0x4000, 0x40000, 0x2, 0x4, 0x8
_PR_SET_PDEATHSIG = 1
_SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFFLAGS, _SIOCGIFFLAGS = 0x8916, 0x891C, 0x8914, 0x8913
_SIOCBRADDBR, _SIOCBRDELBR = 0x89A0, 0x89A1
_IFF_UP = 0x1

# Then the kernel ends the rest: dockerd would wait 10 s for a container that ignores SIGTERM.
_SECONDS_TO_STOP = 5
# Only the end of standard input ends the supervisor.
_IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


@dataclass(frozen=True)
class DaemonSpec:
    """How to run a daemon, and what to remove at its end.

    :param folder: removed at the end.
    :param covered: folders with fixed names that the daemon writes to; it sees an empty one of its own there.
    :param bridge: (interface, address, netmask).
    :param cgroup: name of the cgroups to remove.
    """

    argv: list[str]
    env: dict[str, str]
    log: str
    folder: str
    covered: list[str] = field(default_factory=list)
    bridge: tuple[str, str, str] | None = None
    cgroup: str | None = None


class Supervisor:
    """A daemon that runs until `close`, or until this process ends for whatever reason."""

    def __init__(self, spec: DaemonSpec, *, hold: int | None = None) -> None:
        """Start the daemon.

        :param hold: a descriptor, such as a lock's, that stays open until the cleanup is complete.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the terminal must reach the caller, not the daemon
            pass_fds=[] if hold is None else [hold],
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(spec)).encode() + b"\n")
        self._process.stdin.flush()

    def running(self) -> bool:
        """Whether the daemon is running."""
        return self._process.poll() is None

    def close(self) -> str:
        """End the daemon, wait for the cleanup, and return the error message, which is empty if there was no error."""
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        assert self._process.stderr is not None
        errors = self._process.stderr.read().decode(errors="replace")
        self._process.wait()
        return errors.strip()


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _fail_on(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _as_first_process(covered: list[str]) -> None:
    """Run in the daemon's process before exec: give it mounts of its own, and end it with the supervisor."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_DFL)
    libc = _libc()
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _fail_on(libc.unshare(_CLONE_NEWNS), "unshare the mount namespace")
    _fail_on(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "make the mounts private")
    _fail_on(libc.mount(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None), "mount /proc")
    for folder in covered:
        _fail_on(libc.mount(b"tmpfs", folder.encode(), b"tmpfs", 0, None), f"cover {folder}")


@contextlib.contextmanager
def _bridge(bridge: tuple[str, str, str] | None) -> Iterator[None]:
    """A bridge with an address. It uses ioctl, since not every Debian machine has `ip`."""
    if bridge is None:
        yield
        return
    interface, address, netmask = (part.encode() for part in bridge)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:

        def configure(request: int, value: bytes) -> bytes:
            return fcntl.ioctl(control, request, struct.pack("16s24s", interface, value))

        def address_of(text: bytes) -> bytes:
            return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(text.decode()))

        fcntl.ioctl(control, _SIOCBRADDBR, interface + b"\0")
        try:
            configure(_SIOCSIFADDR, address_of(address))
            configure(_SIOCSIFNETMASK, address_of(netmask))
            flags = struct.unpack("16xH", configure(_SIOCGIFFLAGS, b"")[:18])[0]
            configure(_SIOCSIFFLAGS, struct.pack("=H", flags | _IFF_UP))
            yield
        finally:
            with contextlib.suppress(OSError):
                flags = struct.unpack("16xH", configure(_SIOCGIFFLAGS, b"")[:18])[0]
                configure(_SIOCSIFFLAGS, struct.pack("=H", flags & ~_IFF_UP))
                fcntl.ioctl(control, _SIOCBRDELBR, interface + b"\0")


@contextlib.contextmanager
def _covered(folders: list[str]) -> Iterator[None]:
    """Folders that the daemon can cover, which the last daemon's supervisor removes.

    Linux removes a folder that is a mount point in another mount namespace, and the mount with it. So each supervisor
    holds a shared lock, and removes nothing while another one does.
    https://github.com/torvalds/linux/commit/8ed936b5671bfb33d89bc60bdcc7cf0470ba52fe
    """
    parents = sorted({Path(folder).parent for folder in folders})
    locks = [os.open(parent, os.O_RDONLY | os.O_DIRECTORY) for parent in parents]
    try:
        for lock in locks:
            fcntl.flock(lock, fcntl.LOCK_SH)
        for folder in folders:
            Path(folder).mkdir(exist_ok=True)
        yield
    finally:
        with contextlib.suppress(BlockingIOError):
            for lock in locks:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for folder in folders:
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()  # rmdir fails unless the folder is empty, and then it is ours
        for lock in locks:
            os.close(lock)


def _remove(spec: DaemonSpec) -> None:
    shutil.rmtree(spec.folder, ignore_errors=True)
    if spec.cgroup:
        tops = [top for pattern in ("", "*/") for top in Path("/sys/fs/cgroup").glob(pattern + spec.cgroup)]
        for top in tops:
            for group, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    Path(group).rmdir()


def _wait(daemon: subprocess.Popen[bytes]) -> None:
    """Wait until the daemon ends or standard input is closed, and end the daemon."""
    while daemon.poll() is None:
        ready, _, _ = select.select([sys.stdin], [], [], 0.5)
        if ready and not os.read(sys.stdin.fileno(), 1):
            break
    daemon.terminate()
    try:
        daemon.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _main() -> int:
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    spec = DaemonSpec(**json.loads(sys.stdin.buffer.readline()))
    try:
        with _bridge(spec.bridge), _covered(spec.covered), Path(spec.log).open("wb") as log:
            _fail_on(_libc().unshare(_CLONE_NEWPID), "unshare the PID namespace")
            daemon = subprocess.Popen(
                spec.argv,
                env=spec.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                restore_signals=True,
                preexec_fn=functools.partial(_as_first_process, spec.covered),
            )
            _wait(daemon)
            return daemon.returncode
    except (OSError, subprocess.SubprocessError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        _remove(spec)


if __name__ == "__main__":
    sys.exit(_main())
