"""Where a container's working directory and the engines' own mounts meet the image's files."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import normpath
from typing import Final

from ..image.model import Config
from ..layers.facts import Contents
from ..layers.file_system import FileSystem
from ..layers.file_tree import Folder
from ..layers.paths import shown
from ..report import Finding
from ..rules.engines import Engine
from .subject import Subject, finding


def file_systems(subject: Subject, contents: Contents) -> Iterator[tuple[FileSystem, Engine, Config]]:
    """The file system that each engine makes of the layers, where it can unpack them all."""
    engine = subject.engine
    files = contents.file_system(subject.image, engine)
    if files and subject.image.config:
        yield files, engine, subject.image.config


def has_its_working_dir(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """The working directory is a folder, or does not exist yet: engines create a missing one."""
    for files, engine, config in file_systems(subject, contents):
        cwd = config.working_dir
        problem = _working_dir_problem(files, cwd.encode("utf-8", "surrogateescape")) if cwd.startswith("/") else ""
        # dockerd creates a folder where a link leads nowhere.
        if problem and not (problem == "link" and engine.starter != "containerd"):
            why = ", and cannot be created: it goes through a link that leads nowhere" if problem == "link" else ""
            yield finding(
                "working-dir-invalid",
                f"The working directory {cwd} is not a folder in the image{why}.",
                engine.starter,
                problem,
                found=cwd,
                cwd=cwd,
            )


def _working_dir_problem(files: FileSystem, cwd: bytes) -> str:
    """The problem of a working directory, as the variant of the engine's message; empty where there is none."""
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


# The mounts that engines make in every container: the path, a folder or a file, and whether links to it are followed.
# dockerd lays its own folders and links over the image's.
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
    """The paths that the engine mounts into a container of this image; dockerd also mounts the config's volumes.

    https://github.com/moby/moby/blob/master/daemon/create_unix.go
    """
    yield from _MOUNTS[engine.starter]
    for volume in config.volumes if engine.starter == "dockerd" else ():
        yield normpath(b"/" + volume.encode("utf-8", "surrogateescape").strip(b"/")), "volume", True


def has_its_mount_points(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """Every mount point is a folder where engines mount a folder, and a file where they mount a file."""
    title = subject.runtime.title
    for files, engine, config in file_systems(subject, contents):
        for path, kind, follow in _mounts(engine, config):
            what = "file" if kind == "file" else "folder"
            problem = _mount_problem(files, path, kind, follow=follow)
            if problem:
                yield finding(
                    "mount-point-invalid",
                    f"{shown(path)} is not a {what} in the image, but {title} mounts a {kind} there."
                    if path != b"/"
                    else f"The image has a volume at /, and {title} mounts it over the whole image.",
                    engine.starter,
                    problem,
                    expected=f"a {what}, or nothing" if path != b"/" else "a volume below /",
                    path=shown(path),
                )


def _mount_problem(files: FileSystem, path: bytes, kind: str, *, follow: bool) -> str:
    """Why this kind cannot be mounted there, as the variant of the engine's message; empty where it can."""
    if path == b"/":
        return "volume over all"
    try:
        node, _ = files.find(path, follow=follow)
    except NotADirectoryError:
        return "volume below a file" if kind == "volume" else ""
    except RecursionError:
        return "volume in a circle" if kind == "volume" else ""
    return kind if node is not None and isinstance(node, Folder) == (kind == "file") else ""
