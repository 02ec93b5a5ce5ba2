"""Whether the image starts: its user and its command, in the file system that the layers make.

https://github.com/opencontainers/runc/blob/main/libcontainer/standard_init_linux.go
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..image.model import Config
from ..image.users import is_root
from ..layers.executables import Program
from ..layers.facts import Contents
from ..layers.file_tree import File
from ..layers.paths import shown
from ..policy import Policy
from ..report import Finding
from ..rules.engines import Engine
from ..rules.remedies import FOLDER, RELATIVE_PATH
from ..rules.requirement_types import NON_ROOT_USER
from .command_lookup import DENIED, RELATIVE, Launch
from .container_user import Account, find_account
from .mounts import file_systems
from .requirements import refuse_root
from .subject import Subject, finding

# The kernel executes a command and at most five interpreters of interpreters, fs/exec.c, exec_binprm.
MAX_PROGRAMS: Final = 6


def runs_as_a_user_besides_root(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """Where that is required, the image runs as another user than root, looked up in its /etc/passwd."""
    config = subject.image.config
    if config is None or not subject.policy.required(NON_ROOT_USER):
        return
    found = (find_account(files, engine, config.user) for files, engine, _ in file_systems(subject, contents))
    user_ids = {account.uid for account, problem in found if problem is None}
    yield from refuse_root(subject, is_root=0 in user_ids if user_ids else is_root(config.user))


def has_its_user(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """The config's user and group exist in the image."""
    for files, engine, config in file_systems(subject, contents):
        _, problem = find_account(files, engine, config.user)
        if problem:
            yield finding(
                "user-missing",
                f"The image runs as {config.user or 'root'!r}, but {problem.message}.",
                severity=problem.severity,
                found=config.user,
                runtime_error=problem.runtime_error,
            )


def has_its_command(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """The image contains its command, which is executable and has a format that the machine executes."""
    for files, engine, config in file_systems(subject, contents):
        command = command_of(engine, config)
        if command:
            # A runtime's own user is not the image's: `own_user` judges what it may.
            own_user = subject.runtime.own_user
            account = Account() if own_user else find_account(files, engine, config.user)[0]
            yield from _command(Launch(files, engine, config, account), command[0], subject.policy)


def command_of(engine: Engine, config: Config) -> tuple[str, ...]:
    """The words of the command that the engine executes; empty where the image has none."""
    # dockerd treats an entrypoint of one empty word as none.
    entrypoint = () if config.entrypoint == ("",) and engine.starter != "containerd" else config.entrypoint
    return (*entrypoint, *config.command)


def _command(launch: Launch, name: str, policy: Policy) -> Iterator[Finding]:
    path, file, error = launch.look_up(name.encode("utf-8", "surrogateescape"))
    if file is not None and not error:
        yield from _program(launch, path, file, policy)
        return
    not_executable = {
        DENIED: f"The image's command {name!r} is not executable.",
        RELATIVE: f"The image's command {name!r} is found as {shown(path)}, which engines do not execute: its folder "
        "in PATH is relative to the working directory.",
    }.get(error)
    searched = "" if "/" in name else f" (searched in {_path(launch)})"
    yield finding(
        "entrypoint-not-executable" if not_executable else "entrypoint-missing",
        not_executable or f"The image's command {name!r} is not in the image{searched}.",
        launch.engine.starter,
        found=_found(launch, path, error) or name,
        program=name,
        error=error,
    )


def _found(launch: Launch, path: bytes, error: str) -> str:
    """The thing that the command is instead of an executable file; empty where only its mode is wrong."""
    if error == RELATIVE:
        return RELATIVE_PATH
    return FOLDER if error == DENIED and launch.folder(path) is not None else ""


def _path(launch: Launch) -> str:
    return shown(b":".join(launch.path))


def _program(launch: Launch, path: bytes, file: File, policy: Policy) -> Iterator[Finding]:
    """Follow the interpreters from the command to the program that the machine runs."""
    command = shown(path)
    for _ in range(MAX_PROGRAMS):
        program = file.program
        if program is None or program.kind == "unknown":
            return
        unrunnable = _format_problem(launch, command, shown(path), program, policy)
        if unrunnable:
            yield unrunnable
            return
        if not program.interpreter:
            return
        interpreter, error = launch.find(program.interpreter)
        if interpreter is None:
            yield _missing_interpreter(launch.engine, command, shown(path), program, error)
            return
        if program.kind == "elf":
            return
        unreadable = _script_problem(launch, command, path, program)
        if unreadable:
            yield unreadable
            return
        path, file = program.interpreter, interpreter
    yield finding(
        "interpreter-missing",
        f"The image's command {command} cannot be executed: its interpreters are scripts of each other.",
        launch.engine.starter,
        program=command,
        error="too many levels of symbolic links",
    )


def _format_problem(launch: Launch, command: str, name: str, program: Program, policy: Policy) -> Finding | None:
    """Why the machine does not execute a program: it has no known format, or is built for another machine."""
    if program.kind == "none":
        return finding(
            "entrypoint-format-invalid",
            f"The image's command {command} cannot be executed: {name} is neither a program nor a script that begins "
            "with #!.",
            launch.engine.starter,
            expected="an ELF file, or a first line such as #!/bin/sh",
            program=command,
        )
    if program.kind == "elf" and program.architecture not in {p.architecture for p in policy.platform.accepts()}:
        needs = f" needs {name}, which" if name != command else ""
        return finding(
            "entrypoint-wrong-machine",
            f"The image's command {command}{needs} is built for {program.architecture}, but {policy.platform} is "
            "required.",
            launch.engine.starter,
            expected=policy.platform.architecture,
            found=program.architecture,
            program=command,
        )
    return None


def _missing_interpreter(engine: Engine, command: str, name: str, program: Program, error: str) -> Finding:
    interpreter = shown(program.interpreter)
    what = "dynamic loader" if program.kind == "elf" else "interpreter"
    state = "is not in the image" if error != DENIED else "is not executable"
    hint = ""
    if interpreter.endswith("\r"):
        hint = " The script has Windows line endings (CRLF); use LF."
    elif program.kind == "elf" and "musl" in interpreter:
        hint = " The program is built for musl (Alpine), but the image is not."
    elif program.kind == "elf":
        hint = " A dynamically linked program needs the libraries of the system that it was built on."
    return finding(
        "interpreter-missing",
        f"The image's command {command} cannot be executed: the {what} {interpreter!r} of {name} {state}.{hint}",
        engine.starter,
        expected=interpreter,
        program=command,
        error=error,
    )


def _script_problem(launch: Launch, command: str, path: bytes, program: Program) -> Finding | None:
    """Why a script does not run: the user cannot read it, or `#!/usr/bin/env NAME` does not find its name."""
    user, name = launch.config.user, program.env_name
    if not launch.may_read(path):
        return finding(
            "entrypoint-unreadable",
            f"The image's command {command} needs the script {shown(path)}, which the user {user!r} cannot read.",
            expected=f"a file and folders that {user!r} can read",
        )
    if not name or launch.look_up(name)[1]:
        return None
    return finding(
        "interpreter-missing",
        f"The image's command begins with #!{shown(program.interpreter)} {shown(name)}, but {shown(name)!r} is not in "
        f"the image (searched in {_path(launch)}).",
        "any",
        "env",
        expected=shown(name),
        name=shown(name),
    )
