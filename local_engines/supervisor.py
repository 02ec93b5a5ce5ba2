"""Runs one daemon and leaves nothing of it behind, whatever happens to the process that asked for it.

`Keeper` runs this file as a script of its own, with the order as one JSON line on standard input. The script
keeps the daemon until that input is closed, by `Keeper.close` or because the asking process died, and then
ends it and removes the bridge, the cgroups and the folder that belong to it. The daemon is the first process
of a PID namespace and lives in a mount namespace, so that the kernel itself ends every shim, container and
mount when the daemon is gone, also where the script is killed:
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

# Then the kernel ends what is left: a container that does not listen to SIGTERM holds dockerd for 10 s.
_SECONDS_TO_STOP = 5
# The end is told by closing the input, and by nothing else.
_IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


@dataclass(frozen=True)
class DaemonSpec:
    """What to run and what belongs to it.

    `folder` is removed at the end. `covered` are folders that the daemon writes to by a fixed name: it gets
    an empty one of its own there. `bridge` is (interface, address, netmask). `cgroup` names the cgroups to
    remove.
    """

    argv: list[str]
    env: dict[str, str]
    log: str
    folder: str
    covered: list[str] = field(default_factory=list)
    bridge: tuple[str, str, str] | None = None
    cgroup: str | None = None


class Supervisor:
    """A daemon that runs until `close`, or until this process ends in whatever way."""

    def __init__(self, order: DaemonSpec, *, hold: int | None = None) -> None:
        """Start the daemon; `hold` is a descriptor (a lock) that stays open until all is cleaned up."""
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the terminal must reach the caller, not the daemon
            pass_fds=[] if hold is None else [hold],
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        self._process.stdin.flush()

    def running(self) -> bool:
        """Whether the daemon still runs."""
        return self._process.poll() is None

    def close(self) -> str:
        """End the daemon, wait until nothing of it is left, and return what went wrong, or nothing."""
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        assert self._process.stderr is not None
        said = self._process.stderr.read().decode(errors="replace")
        self._process.wait()
        return said.strip()


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _fail_on(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _as_first_process(covered: list[str]) -> None:
    """In the daemon before it is executed: mounts of its own, and its end if the keeper dies."""
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
    """A bridge with an address, made with ioctl: `ip` is not on every Debian machine."""
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


def _remove(order: DaemonSpec) -> None:
    shutil.rmtree(order.folder, ignore_errors=True)
    for folder in order.covered:
        with contextlib.suppress(OSError):
            Path(folder).rmdir()  # only where it is empty, that is, where it was ours
    if order.cgroup:
        tops = [top for pattern in ("", "*/") for top in Path("/sys/fs/cgroup").glob(pattern + order.cgroup)]
        for top in tops:
            for group, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    Path(group).rmdir()


def _wait(daemon: subprocess.Popen[bytes]) -> None:
    """Until the daemon ends, or standard input is closed; then end it."""
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
    order = DaemonSpec(**json.loads(sys.stdin.buffer.readline()))
    try:
        with _bridge(order.bridge), Path(order.log).open("wb") as log:
            for folder in order.covered:
                Path(folder).mkdir(parents=True, exist_ok=True)
            _fail_on(_libc().unshare(_CLONE_NEWPID), "unshare the PID namespace")
            daemon = subprocess.Popen(
                order.argv,
                env=order.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                restore_signals=True,
                preexec_fn=functools.partial(_as_first_process, order.covered),
            )
            _wait(daemon)
            return daemon.returncode
    except (OSError, subprocess.SubprocessError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        _remove(order)


if __name__ == "__main__":
    sys.exit(_main())
