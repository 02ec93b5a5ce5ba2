"""The user that a container's process runs as: looked up in the image as engines do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..image.users import MAX_ID, account_id
from ..layers.file_system import FileSystem
from ..layers.file_tree import File, Folder, Node
from ..layers.paths import shown
from ..report import Severity
from ..rules.engine_messages import engine_message
from ..rules.engines import Engine


@dataclass(frozen=True)
class Account:
    """The IDs that the container's process runs with."""

    uid: int = 0
    gid: int = 0
    groups: frozenset[int] = frozenset()

    def may(self, node: Folder | File, bit: int) -> bool:
        """Whether it has a permission on a file or a folder: 4 to read, 1 to go through."""
        if self.uid == 0:
            return True
        if node.uid == self.uid:
            return bool(node.mode & bit << 6)
        if node.gid == self.gid or node.gid in self.groups:
            return bool(node.mode & bit << 3)
        return bool(node.mode & bit)


# A user who owns none of the image's files and is in none of their groups.
OTHERS: Final = Account(-1, -1)


@dataclass(frozen=True)
class UserProblem:
    """Why an engine cannot run the image as the config's user.

    :param message: the end of a sentence that begins with the user.
    :param runtime_error: the engine's message; empty where none is known.
    :param severity: a warning where the image's tables of users could not be read.
    """

    message: str
    runtime_error: str
    severity: Severity = Severity.ERROR


def find_account(files: FileSystem, engine: Engine, user: str) -> tuple[Account, UserProblem | None]:
    """The account that a container runs as, and why it cannot; None where it can.

    :param user: the config's `User`: `user`, `user:group`, or empty.


    https://github.com/containerd/containerd/blob/main/pkg/oci/spec_opts.go, WithUser
    https://github.com/moby/sys/blob/main/user/user.go, GetExecUser
    """
    name, _, group = user.partition(":")
    for path in (b"/etc/group", b"/etc/passwd")[: 2 if user else 1]:
        unreadable = engine.starter == "containerd" and _is_below_a_file(files, path)
        if unreadable or isinstance(_find(files, path), Folder):
            error = engine_message("user-missing", engine.starter, "folder", path=shown(path))
            return Account(), UserProblem(f"{shown(path)} cannot be read", error)
    if not user:
        return Account(), None
    if ":" in group and engine.starter == "containerd":
        error = engine_message("user-missing", engine.starter, "no user", user=user)
        return Account(), UserProblem("that is not a valid user", error)
    users, groups = _table(files, b"/etc/passwd"), _table(files, b"/etc/group")
    uid, gid = account_id(name) if name else 0, account_id(group)
    row = next((r for r in users or () if r[0] == name or (uid is not None and _field(r, 2) == uid)), None)
    problem = None
    if uid is None and row is None:
        problem = _missing(files, engine, "user", name, users)
    if gid is None and group:
        found = next((r for r in groups or () if r[0] == group), None)
        if found is None:
            problem = problem or _missing(files, engine, "group", group, groups)
        gid = _field(found, 2)
    elif gid is None:
        gid = _field(row, 3)
    uid = _field(row, 2) if uid is None else uid
    others = {_field(r, 2) for r in groups or () if row and not group and len(r) > 3 and row[0] in r[3].split(",")}
    account = Account(uid or 0, gid or 0, frozenset(other for other in others if other is not None))
    # dockerd lets runc check the groups as well.
    checked = (account.uid, account.gid, *account.groups) if engine.starter == "dockerd" else (account.uid,)
    if problem is None and max(checked) > MAX_ID:
        error = engine_message("user-missing", engine.starter, "ID")
        problem = UserProblem(f"that has an ID above {MAX_ID} in its /etc/passwd or /etc/group", error)
    return account, problem


def _missing(files: FileSystem, engine: Engine, kind: str, name: str, table: list[list[str]] | None) -> UserProblem:
    path = "/etc/passwd" if kind == "user" else "/etc/group"
    if table is None:
        return UserProblem(f"{path} could not be read to look it up", "", Severity.WARNING)
    variant = "group" if kind == "group" else ""
    if engine.starter == "containerd" and not table and not isinstance(_find(files, path.encode()), File):
        variant = "no file"
    error = engine_message("user-missing", engine.start_words, variant, name=name)
    return UserProblem(f"there is no {kind} {name!r} in its {path}", error)


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
    """The rows of /etc/passwd or /etc/group; empty where the file does not exist, None where it was not kept."""
    node = _find(files, path)
    if not isinstance(node, File):
        return []
    if node.content is None:
        return None
    lines = (line.strip() for line in node.content.decode("utf-8", "surrogateescape").split("\n"))
    return [line.split(":") for line in lines if line]


def _field(row: list[str] | None, at: int) -> int | None:
    return int(row[at]) if row and len(row) > at and row[at].isascii() and row[at].isdigit() else None
