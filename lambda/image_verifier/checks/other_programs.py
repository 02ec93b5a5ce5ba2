"""The programs besides the image's command: on a base for another machine, the first call of a shell fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from ..layers.facts import Contents
from ..layers.paths import shown
from ..report import Finding, Severity
from .command_lookup import DEFAULT_PATH, Launch
from .container_user import Account
from .mounts import file_systems
from .start import has_its_command
from .subject import Subject, finding

_SHELL: Final = b"/bin/sh"
# An image with more folders or names in PATH is judged by these.
_MAX_FOLDERS: Final = 100
_MAX_NAMES: Final = 10_000
# A program whose name has one of these is for that machine on purpose: the image serves it, or emulates the machine.
_MACHINE_NAMES: Final[Mapping[str, tuple[bytes, ...]]] = {
    "386": (b"386", b"i686", b"x86"),
    "amd64": (b"amd64", b"x86_64", b"x86-64", b"x64"),
    "arm": (b"arm",),
    "arm64": (b"arm64", b"aarch64"),
    "loong64": (b"loong",),
    "mips": (b"mips",),
    "ppc": (b"ppc",),
    "ppc64": (b"ppc64",),
    "riscv64": (b"riscv",),
    "s390x": (b"s390",),
}


def are_for_the_machine(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """The shell and most programs in PATH are for the platform; skipped where the command itself fails."""
    if any(has_its_command(subject, contents)):
        return
    for files, engine, config in file_systems(subject, contents):
        launch = Launch(files, engine, config, Account())
        programs = dict(_programs(launch))
        runnable = {platform.architecture for platform in subject.policy.platform.accepts()}
        runnable |= _emulated(programs, runnable)
        counts = Counter(machine for path, machine in programs.items() if not _says(path, machine))
        others = ((count, machine) for machine, count in counts.items() if machine not in runnable)
        count, machine = max(others, default=(0, ""))
        shell = _machine(launch, _SHELL)
        shell_fails = bool(shell) and shell not in runnable
        if shell_fails or 2 * count > counts.total():
            share = f"{count} of {counts.total()} programs in PATH"
            yield _wrong_machine(subject, shell if shell_fails else "", machine, share)


def _wrong_machine(subject: Subject, shell: str, machine: str, share: str) -> Finding:
    what = f"{shown(_SHELL)} is built for {shell}" if shell else f"{share} are built for {machine}"
    also = f", like {share}" if shell and shell == machine else ""
    return finding(
        "programs-wrong-machine",
        f"{what}{also}, but {subject.policy.platform} is required: a container starts, and fails when it calls such a "
        "program.",
        "any",
        severity=Severity.WARNING,
        expected=subject.policy.platform.architecture,
        found=shell or machine,
        program=shown(_SHELL) if shell else "…",
    )


def _programs(launch: Launch) -> Iterator[tuple[bytes, str]]:
    """The compiled programs in the folders of PATH, each with its machine."""
    for path in islice(_names(launch), _MAX_NAMES):
        machine = _machine(launch, path)
        if machine:
            yield path, machine


def _names(launch: Launch) -> Iterator[bytes]:
    seen: set[int] = set()
    paths = dict.fromkeys((*DEFAULT_PATH.encode().split(b":"), *launch.path[:_MAX_FOLDERS]))
    for path in paths:
        folder = launch.folder(path) if path.startswith(b"/") else None
        # /bin is a link to /usr/bin in most images.
        if folder is not None and id(folder) not in seen:
            seen.add(id(folder))
            yield from (path + b"/" + name for name in folder)


def _machine(launch: Launch, path: bytes) -> str:
    """The machine for which a program is built; empty where there is none, or a script."""
    file, _ = launch.find(path)
    return file.program.architecture if file and file.program else ""


def _says(path: bytes, machine: str) -> bool:
    """Whether the name of a program says for which machine it is."""
    name = path.rpartition(b"/")[2]
    return any(word in name for word in _MACHINE_NAMES.get(machine, ()))


def _emulated(programs: Mapping[bytes, str], runnable: set[str]) -> set[str]:
    """The machines that an emulator of the image runs, such as qemu-aarch64-static."""
    emulators = [path for path, machine in programs.items() if machine in runnable and b"/qemu-" in path]
    return {machine for machine in _MACHINE_NAMES if any(_says(path, machine) for path in emulators)}
