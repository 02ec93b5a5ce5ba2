"""The files of the image that a runtime's own user needs: Lambda runs every image as a user who owns none of them.

https://simonko.dev/posts/aws/non-root-lambda-image tried it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..layers.facts import Contents
from ..layers.file_system import FileSystem
from ..layers.file_tree import File, Folder, Node
from ..layers.paths import shown
from ..report import Finding, Severity
from .command_lookup import Launch
from .container_user import OTHERS
from .mounts import file_systems
from .start import MAX_PROGRAMS, command_of
from .subject import Subject, finding

_READ: Final = 4
_EXECUTE: Final = 1
_CODE: Final = b"/var/task"


def may_execute_its_command(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """The runtime's own user may execute the command and its interpreters, and read those that are scripts."""
    if not subject.runtime.own_user:
        return
    for files, engine, config in file_systems(subject, contents):
        command = command_of(engine, config)
        if command:
            name = command[0]
            problem = _command_problem(Launch(files, engine, config, OTHERS), _encoded(name), MAX_PROGRAMS)
            if problem:
                yield finding(
                    "entrypoint-closed",
                    f"The image's command {name!r} fails: {subject.runtime.title} runs every image as a user of its "
                    f"own, who cannot {problem}.",
                    engine.starter,
                    expected="files that everybody can read and execute, in folders that everybody can enter",
                    program=name,
                )


def _command_problem(launch: Launch, name: bytes, programs: int) -> str:
    """The obstacle for the user who runs a command, as the end of a sentence; empty where there is none.

    A command without a slash is searched in PATH, past the files that the user cannot execute.
    """
    paths = [name] if b"/" in name else [folder + b"/" + name for folder in launch.path if folder.startswith(b"/")]
    problems = [_program_problem(launch, path, programs) for path in paths if launch.find(path)[0]]
    return problems[0] if problems and all(problems) else ""


def _program_problem(launch: Launch, path: bytes, programs: int) -> str:
    """The obstacle for the user who runs a program, or one of its interpreters."""
    file, _ = launch.find(path)
    if file is None or not programs:
        return ""
    program = file.program
    if not _enters(launch.files, path, launch.cwd):
        return f"enter a folder on the way to {shown(path)}"
    if not OTHERS.may(file, _EXECUTE):
        return f"execute {shown(path)} (mode {file.mode & 0o7777:04o})"
    if program is None or not program.interpreter:
        return ""
    if program.kind == "script" and not OTHERS.may(file, _READ):
        return f"read the script {shown(path)} (mode {file.mode & 0o7777:04o})"
    below = _program_problem(launch, program.interpreter, programs - 1)
    return below or (_command_problem(launch, program.env_name, programs - 1) if program.env_name else "")


def may_enter_its_working_dir(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """The runtime's own user may enter the working directory and the folders on the way to it."""
    if not subject.runtime.own_user:
        return
    for files, _, config in file_systems(subject, contents):
        cwd = config.working_dir
        if cwd.startswith("/") and not _enters(files, _encoded(cwd)):
            yield finding(
                "working-dir-closed",
                f"The working directory {cwd} cannot be entered by the user that {subject.runtime.title} runs every "
                "image as.",
                severity=Severity.WARNING,
                expected="folders that everybody can enter (mode 0755)",
                found=cwd,
            )


def may_read_its_code(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """The runtime's own user may read all files under /var/task."""
    if not subject.runtime.own_user:
        return
    for files, _, _ in file_systems(subject, contents):
        closed = sorted(_closed(_CODE, *_found(files, _CODE)))
        if closed:
            others = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
            yield finding(
                "code-unreadable",
                f"{shown(closed[0])}{others} cannot be read by the user that {subject.runtime.title} runs every image "
                "as.",
                severity=Severity.WARNING,
                expected="files that everybody can read (mode 0644), in folders that everybody can enter (mode 0755)",
            )


def _closed(path: bytes, node: Node | None, way: list[Folder]) -> Iterator[bytes]:
    """The paths that the user cannot read, or not enter; nothing below a folder that is one of them."""
    if not all(OTHERS.may(folder, _EXECUTE) for folder in way):
        yield path
        return
    nodes = [(path, node)]
    while nodes:
        path, node = nodes.pop()
        if isinstance(node, Folder | File) and not OTHERS.may(node, _READ if isinstance(node, File) else _EXECUTE):
            yield path
        elif isinstance(node, Folder):
            nodes.extend((path + b"/" + name, below) for name, below in node.items())


def _enters(files: FileSystem, path: bytes, cwd: bytes = b"/") -> bool:
    """Whether the user may enter all folders on the way to a path, and the path itself if it is one."""
    _, way = _found(files, path, cwd)
    return all(OTHERS.may(folder, _EXECUTE) for folder in way)


def _found(files: FileSystem, path: bytes, cwd: bytes = b"/") -> tuple[Node | None, list[Folder]]:
    """The node at a path and the folders on the way; nothing where a check of the path itself reports it."""
    try:
        return files.find(path, cwd)
    except (NotADirectoryError, RecursionError):
        return None, []


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
