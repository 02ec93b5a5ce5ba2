"""How a container's command becomes a file: PATH, the working directory, links and permissions, as runc does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..image.model import Config
from ..layers.file_system import FileSystem
from ..layers.file_tree import File, Folder
from ..layers.paths import shown
from ..rules.engines import Engine
from .container_user import Account

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_NO_SUCH: Final = "no such file or directory"
DENIED: Final = "permission denied"
RELATIVE: Final = "cannot run executable found relative to current directory"


@dataclass(frozen=True)
class Launch:
    """How an engine starts a container of the image.

    :param files: the file system that the engine makes of the layers.
    """

    files: FileSystem
    engine: Engine
    config: Config
    account: Account

    @property
    def cwd(self) -> bytes:
        """The working directory."""
        return (self.config.working_dir or "/").encode("utf-8", "surrogateescape")

    @property
    def path(self) -> list[bytes]:
        """The folders that a command is searched in; an empty one is the working directory."""
        path = next((value[5:] for value in reversed(self.config.env) if value.startswith("PATH=")), None)
        if path is None:
            path = DEFAULT_PATH if self.engine.always_has_path or not self.config.env else ""
        return path.encode("utf-8", "surrogateescape").split(b":") if path else []

    def find(self, path: bytes) -> tuple[File | None, str]:
        """An executable file, or the kernel's error.

        The file's owner does not matter: runc keeps the capability that overrides permissions until it has executed
        the command, whatever the user is. It suffices that one of the permission bits allows it.
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
            return None, DENIED
        return node, ""

    def folder(self, path: bytes) -> Folder | None:
        """The folder at a path; None where there is none."""
        try:
            node, _ = self.files.find(path, self.cwd)
        except (NotADirectoryError, RecursionError):
            return None
        return node if isinstance(node, Folder) else None

    def may_read(self, path: bytes) -> bool:
        """Whether the user may read a file that exists."""
        node, way = self.files.find(path, self.cwd)
        folders = all(self.account.may(folder, 1) for folder in way)
        return not isinstance(node, File) or (folders and self.account.may(node, 4))

    def look_up(self, name: bytes) -> tuple[bytes, File | None, str]:
        """Look up a command, in PATH where it has no slash: its path, its file, and runc's error.

        https://pkg.go.dev/os/exec#hdr-Executables_in_the_current_directory
        """
        if b"/" in name:
            file, error = self.find(name)
            return name, file, f"stat {shown(name)}: {error}" if error and error != DENIED else error
        for folder in self.path:
            path = (folder or b".") + b"/" + name
            file, _ = self.find(path)
            if file:
                return path, file, "" if folder.startswith(b"/") else RELATIVE
        return name, None, "executable file not found in $PATH"
