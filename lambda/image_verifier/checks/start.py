"""Whether the image starts: its command, user and working directory, in the file system that the layers make.

https://github.com/opencontainers/runc/blob/main/libcontainer/standard_init_linux.go
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from posixpath import normpath
from typing import Final

from ..image.model import Config, Image
from ..image.users import MAX_ID, account_id
from ..layers.executables import Program
from ..layers.file_system import FileSystem
from ..layers.file_tree import File, Folder, Node
from ..layers.paths import shown
from ..policy import Policy
from ..report import Finding, Severity
from ..rules.engine_messages import engine_message
from ..rules.engines import Engine
from ..rules.runtimes import Runtime
from .layer_bytes import engines

_DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The kernel executes a command and at most five interpreters of interpreters, fs/exec.c, exec_binprm.
_MAX_PROGRAMS: Final = 6

_NO_SUCH: Final = "no such file or directory"
_DENIED: Final = "permission denied"
_RELATIVE: Final = "cannot run executable found relative to current directory"


@dataclass(frozen=True)
class _Account:
    """As whom the container's process runs."""

    uid: int = 0
    gid: int = 0
    groups: frozenset[int] = frozenset()

    def may(self, node: Folder | File, bit: int) -> bool:
        """Whether one of its permissions on a file or a folder is this one: 4 to read, 1 to go through."""
        if self.uid == 0:
            return True
        if node.uid == self.uid:
            return bool(node.mode & bit << 6)
        if node.gid == self.gid or node.gid in self.groups:
            return bool(node.mode & bit << 3)
        return bool(node.mode & bit)


@dataclass(frozen=True)
class _Start:
    """What a container is started with."""

    files: FileSystem
    engine: Engine
    config: Config
    account: _Account

    @property
    def cwd(self) -> bytes:
        """The working directory."""
        return (self.config.working_dir or "/").encode("utf-8", "surrogateescape")

    @property
    def path(self) -> list[bytes]:
        """The folders in which a command is looked for; an empty one is the working directory."""
        path = next((value[5:] for value in reversed(self.config.env) if value.startswith("PATH=")), None)
        if path is None:
            path = _DEFAULT_PATH if self.engine.always_has_path or not self.config.env else ""
        return path.encode("utf-8", "surrogateescape").split(b":") if path else []

    def find(self, path: bytes) -> tuple[File | None, str]:
        """A file that may be executed, or what the kernel says of it.

        Whose file it is does not matter: runc keeps the capability that overrides permissions until it has executed
        the command, whoever the user is. Somebody must be allowed to execute it.
        """
        try:
            node, _ = self.files.find(path, self.cwd)
        except NotADirectoryError:
            return None, "not a directory"
        except RecursionError:
            return None, "too many levels of symbolic links"
        if node is None:
            return None, _NO_SUCH
        if not isinstance(node, File) or not node.mode & 0o111:
            return None, _DENIED
        return node, ""

    def may_read(self, path: bytes) -> bool:
        """Whether the user may read a file that is there."""
        node, way = self.files.find(path, self.cwd)
        folders = all(self.account.may(folder, 1) for folder in way)
        return not isinstance(node, File) or (folders and self.account.may(node, 4))

    def look_up(self, name: bytes) -> tuple[bytes, File | None, str]:
        """A command as it is given, in PATH where it has no slash: its path, the file, and what runc says against it.

        https://pkg.go.dev/os/exec#hdr-Executables_in_the_current_directory
        """
        if b"/" in name:
            file, error = self.find(name)
            return name, file, f"stat {shown(name)}: {error}" if error and error != _DENIED else error
        for folder in self.path:
            path = (folder or b".") + b"/" + name
            file, _ = self.find(path)
            if file:
                return path, file, "" if folder.startswith(b"/") else _RELATIVE
        return name, None, "executable file not found in $PATH"


def _starts(image: Image, runtime: Runtime) -> Iterator[tuple[FileSystem, Engine, Config]]:
    for engine in engines(image, runtime):
        files = image.contents and image.contents.file_system(image, engine)
        if files and image.config:
            yield files, engine, image.config


def has_its_user(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The user and the group that the config names are in the image."""
    for files, engine, config in _starts(image, runtime):
        _, problem = _account(files, engine, config.user)
        if problem:
            about, error, severity = problem
            yield Finding(
                "user-missing",
                severity,
                f"The image runs as {config.user or 'root'!r}, and {about}.",
                found=config.user,
                runtime_error=error,
            )


def user_ids(image: Image, runtime: Runtime) -> set[int]:
    """As whom the runtime's engines run the image; empty where the layers do not tell."""
    accounts = (_account(files, engine, config.user) for files, engine, config in _starts(image, runtime))
    return {account.uid for account, problem in accounts if problem is None}


def has_its_command(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """What is to be executed is in the image, may be executed, and is something that the machine executes."""
    for files, engine, config in _starts(image, runtime):
        # dockerd takes an entrypoint of one empty word for none.
        entrypoint = () if config.entrypoint == ("",) and engine.family != "containerd" else config.entrypoint
        command = (*entrypoint, *config.command)
        if command:
            account, _ = _account(files, engine, config.user)
            yield from _command(_Start(files, engine, config, account), command[0], policy)


def _command(start: _Start, name: str, policy: Policy) -> Iterator[Finding]:
    path, file, error = start.look_up(name.encode("utf-8", "surrogateescape"))
    if file is None or error:
        where = f", looked for in {shown(b':'.join(start.path))}" if "/" not in name else ""
        why_not = {
            _DENIED: f"Nobody may execute the image's command {name!r}.",
            _RELATIVE: f"The image's command {name!r} is {shown(path)}, which engines do not execute, since PATH names "
            "its folder relative to the working directory.",
        }.get(error)
        finding_id = "entrypoint-not-executable" if why_not else "entrypoint-missing"
        yield Finding(
            finding_id,
            Severity.ERROR,
            why_not or f"The image's command {name!r} is not in the image{where}.",
            found=name,
            runtime_error=engine_message(finding_id, start.engine.family, program=name, error=error),
        )
        return
    yield from _program(start, path, file, policy)


def _program(start: _Start, path: bytes, file: File, policy: Policy) -> Iterator[Finding]:
    """Follow the interpreters from what is executed to what the machine runs."""
    first, name = shown(path), shown(path)
    machines = {platform.architecture for platform in policy.platform.accepts()}
    for _ in range(_MAX_PROGRAMS):
        program = file.program
        if program is None or program.kind == "unknown":
            return
        if program.kind == "none":
            yield Finding(
                "entrypoint-format-invalid",
                Severity.ERROR,
                f"The image's command {first} cannot be executed: {name} is neither a program nor a script that "
                "begins with #!.",
                expected="an ELF file, or a first line such as #!/bin/sh",
                runtime_error=engine_message("entrypoint-format-invalid", start.engine.family, program=first),
            )
            return
        if program.kind == "elf" and program.architecture not in machines:
            yield Finding(
                "entrypoint-wrong-machine",
                Severity.ERROR,
                f"The image's command {first} needs {name}, which is built for {program.architecture}, and "
                f"{policy.platform} was asked for."
                if name != first
                else f"The image's command {first} is built for {program.architecture}, and {policy.platform} was "
                "asked for.",
                expected=policy.platform.architecture,
                found=program.architecture,
                runtime_error=engine_message("entrypoint-wrong-machine", start.engine.family, program=first),
            )
            return
        if not program.interpreter:
            return
        found, error = start.find(program.interpreter)
        if found is None:
            yield _missing_interpreter(start.engine, first, name, program, error)
            return
        if program.kind == "elf":
            return
        if not start.may_read(path):
            yield Finding(
                "entrypoint-unreadable",
                Severity.ERROR,
                f"The image's command {first} needs the script {name}, which the user {start.config.user!r} may not "
                "read.",
                expected=f"a file and folders that {start.config.user!r} may read",
            )
            return
        missing = _env(start, program)
        if missing:
            yield missing
            return
        path, file, name = program.interpreter, found, shown(program.interpreter)
    yield Finding(
        "interpreter-missing",
        Severity.ERROR,
        f"The image's command {first} cannot be executed: its interpreters are scripts of each other.",
        runtime_error=engine_message(
            "interpreter-missing", start.engine.family, program=first, error="too many levels of symbolic links"
        ),
    )


def _missing_interpreter(engine: Engine, first: str, name: str, program: Program, error: str) -> Finding:
    interpreter = shown(program.interpreter)
    what = "dynamic loader" if program.kind == "elf" else "interpreter"
    state = "is not in the image" if error != _DENIED else "may not be executed"
    hint = ""
    if interpreter.endswith("\r"):
        hint = " The script has Windows line endings (CRLF); write it with LF."
    elif program.kind == "elf" and "musl" in interpreter:
        hint = " The program is built for musl (Alpine), the image is not."
    elif program.kind == "elf":
        hint = " A program that is linked dynamically needs the libraries of the system that it was built on."
    return Finding(
        "interpreter-missing",
        Severity.ERROR,
        f"The image's command {first} cannot be executed: the {what} {interpreter!r} of {name} {state}.{hint}",
        expected=interpreter,
        runtime_error=engine_message("interpreter-missing", engine.family, program=first, error=error),
    )


def _env(start: _Start, program: Program) -> Finding | None:
    """Whether `#!/usr/bin/env NAME` finds its name."""
    name = program.argument
    if program.interpreter.rpartition(b"/")[2] != b"env" or not name or name.startswith(b"-") or b"=" in name:
        return None
    _, file, _ = start.look_up(name)
    if file or b" " in name:
        return None
    return Finding(
        "interpreter-missing",
        Severity.ERROR,
        f"The image's command begins with #!{shown(program.interpreter)} {shown(name)}, and {shown(name)!r} is not in "
        f"the image, looked for in {shown(b':'.join(start.path))}.",
        expected=shown(name),
        runtime_error=engine_message("interpreter-missing", "any", "env", name=shown(name)),
    )


def has_its_working_dir(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The working directory is a folder, or nothing yet: engines make it where it is missing."""
    for files, engine, config in _starts(image, runtime):
        cwd = config.working_dir
        problem = _working_dir(files, cwd.encode("utf-8", "surrogateescape")) if cwd.startswith("/") else ""
        # dockerd makes a folder where a link leads nowhere.
        if problem and not (problem == "link" and engine.family != "containerd"):
            yield Finding(
                "working-dir-invalid",
                Severity.ERROR,
                f"The working directory {cwd} is no folder in the image"
                + (
                    ", and cannot be made one: it goes through a link that leads nowhere." if problem == "link" else "."
                ),
                found=cwd,
                runtime_error=engine_message("working-dir-invalid", engine.family, problem, cwd=cwd),
            )


def _working_dir(files: FileSystem, cwd: bytes) -> str:
    """What is wrong with a working directory, as a way to say it; empty if nothing is."""
    if b"\0" in cwd:
        return "NUL"
    parts = [part for part in cwd.split(b"/") if part]
    for count in range(1, len(parts) + 1):
        path = b"/" + b"/".join(parts[:count])
        try:
            node, _ = files.find(path)
            if node is None:
                return "link" if files.find(path, follow=False)[0] is not None else ""
        except NotADirectoryError:
            return "file"
        except RecursionError:
            return "circle"
        if not isinstance(node, Folder):
            return "file"
    return ""


# What engines mount into every container: where, a folder or a file, and whether links are followed to it. dockerd
# lays folders and links of its own over the image's.
_MOUNTS: Final = {
    "containerd": (
        (b"/proc", "folder", False),
        (b"/sys", "folder", False),
        (b"/dev", "folder", True),
        (b"/etc/hosts", "file", True),
        (b"/etc/resolv.conf", "file", True),
    ),
    "dockerd": (
        (b"/etc/hosts", "file", False),
        (b"/etc/resolv.conf", "file", False),
        (b"/etc/hostname", "file", False),
    ),
    "any": ((b"/etc/hosts", "file", False), (b"/etc/resolv.conf", "file", False)),
}


def _mounts(engine: Engine, config: Config) -> Iterator[tuple[bytes, str, bool]]:
    """What the engine mounts into a container of this image; dockerd also a volume wherever the config names one.

    https://github.com/moby/moby/blob/master/daemon/create_unix.go
    """
    yield from _MOUNTS[engine.family]
    for volume in config.volumes if engine.family == "dockerd" else ():
        yield normpath(b"/" + volume.encode("utf-8", "surrogateescape").strip(b"/")), "volume", True


def has_its_mount_points(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """What engines mount over is a folder where they mount a folder, and a file where they mount a file."""
    for files, engine, config in _starts(image, runtime):
        for path, kind, follow in _mounts(engine, config):
            what = "file" if kind == "file" else "folder"
            problem = _mount_problem(files, path, kind, follow=follow)
            if problem:
                yield Finding(
                    "mount-point-invalid",
                    Severity.ERROR,
                    f"{shown(path)} is no {what} in the image, and {runtime.title} mounts a {kind} there."
                    if path != b"/"
                    else f"The image has a volume at /, and {runtime.title} mounts it over the whole image.",
                    expected=f"a {what}, or nothing" if path != b"/" else "a volume below /",
                    runtime_error=engine_message("mount-point-invalid", engine.family, problem, path=shown(path)),
                )


def _mount_problem(files: FileSystem, path: bytes, kind: str, *, follow: bool) -> str:
    """Why this kind of thing cannot be mounted there, as a way to say it; empty where it can."""
    if path == b"/":
        return "volume over all"
    try:
        node, _ = files.find(path, follow=follow)
    except NotADirectoryError:
        return "volume below a file" if kind == "volume" else ""
    except RecursionError:
        return "volume in a circle" if kind == "volume" else ""
    return kind if node is not None and isinstance(node, Folder) == (kind == "file") else ""


_Problem = tuple[str, str, Severity]


def _account(files: FileSystem, engine: Engine, user: str) -> tuple[_Account, _Problem | None]:
    """As whom a container runs, and what is wrong with it.

    https://github.com/containerd/containerd/blob/main/pkg/oci/spec_opts.go, WithUser
    https://github.com/moby/sys/blob/main/user/user.go, GetExecUser
    """
    name, _, group = user.partition(":")
    for path in (b"/etc/group", b"/etc/passwd")[: 2 if user else 1]:
        unreadable = engine.family == "containerd" and _is_below_a_file(files, path)
        if unreadable or isinstance(_find(files, path), Folder):
            error = engine_message("user-missing", engine.family, "folder", path=shown(path))
            return _Account(), (f"{shown(path)} cannot be read", error, Severity.ERROR)
    if not user:
        return _Account(), None
    if ":" in group and engine.family == "containerd":
        error = engine_message("user-missing", engine.family, "no user", user=user)
        return _Account(), ("that is no user", error, Severity.ERROR)
    users, groups = _table(files, b"/etc/passwd"), _table(files, b"/etc/group")
    uid, gid = account_id(name) if name else 0, account_id(group)
    row = next((r for r in users or () if r[0] == name or (uid is not None and _field(r, 2) == uid)), None)
    problem = None
    if uid is None and row is None:
        problem = _problem(files, engine, "user", name, users)
    if gid is None and group:
        found = next((r for r in groups or () if r[0] == group), None)
        if found is None:
            problem = problem or _problem(files, engine, "group", group, groups)
        gid = _field(found, 2)
    elif gid is None:
        gid = _field(row, 3)
    uid = _field(row, 2) if uid is None else uid
    others = {_field(r, 2) for r in groups or () if row and not group and len(r) > 3 and row[0] in r[3].split(",")}
    account = _Account(uid or 0, gid or 0, frozenset(other for other in others if other is not None))
    # dockerd has runc look at the groups, too.
    looked_at = (account.uid, account.gid, *account.groups) if engine.family == "dockerd" else (account.uid,)
    if problem is None and max(looked_at) > MAX_ID:
        error = engine_message("user-missing", engine.family, "ID")
        problem = f"that has an ID above {MAX_ID} in its /etc/passwd or /etc/group", error, Severity.ERROR
    return account, problem


def _problem(files: FileSystem, engine: Engine, kind: str, name: str, table: list[list[str]] | None) -> _Problem:
    path = "/etc/passwd" if kind == "user" else "/etc/group"
    if table is None:
        return f"{path} could not be read to look it up", "", Severity.WARNING
    variant = "group" if kind == "group" else ""
    if engine.family == "containerd" and not table and not isinstance(_find(files, path.encode()), File):
        variant = "no file"
    error = engine_message("user-missing", engine.family, variant, name=name)
    return f"there is no {kind} {name!r} in its {path}", error, Severity.ERROR


def _is_below_a_file(files: FileSystem, path: bytes) -> bool:
    try:
        files.find(path)
    except NotADirectoryError:
        return True
    except RecursionError:
        pass
    return False


def _find(files: FileSystem, path: bytes) -> Node | None:
    try:
        return files.find(path)[0]
    except (NotADirectoryError, RecursionError):
        return None


def _table(files: FileSystem, path: bytes) -> list[list[str]] | None:
    """The rows of /etc/passwd or /etc/group, none where there is no such file; None where it was not kept."""
    node = _find(files, path)
    if not isinstance(node, File):
        return []
    if node.content is None:
        return None
    lines = (line.strip() for line in node.content.decode("utf-8", "surrogateescape").split("\n"))
    return [line.split(":") for line in lines if line]


def _field(row: list[str] | None, at: int) -> int | None:
    return int(row[at]) if row and len(row) > at and row[at].isascii() and row[at].isdigit() else None
