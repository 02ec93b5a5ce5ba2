"""The file system that the layers make: what unpacking a layer does, and how layers lie over each other.

containerd and dockerd both unpack a layer into a folder of its own and let overlayfs lay the folders over each
other, so a layer sees nothing of those below while it is unpacked: a hard link to a file of a lower layer fails,
and a folder replaces a lower layer's symbolic link.
https://github.com/containerd/containerd/blob/main/pkg/archive/tar.go
https://github.com/moby/go-archive/blob/main/archive.go, Unpack
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from . import tar
from .executables import UNKNOWN, Content, Program, program
from .tar import TarEntry

# The kernel's bounds.
_MAX_NAME: Final = 255
_MAX_PATH: Final = 4095
_MAX_LINKS: Final = 40
# continuity's RootPath gives up here.
_MAX_LINKS_UNPACKING: Final = 255
_MAX_TROUBLES: Final = 20
# How many folders are remembered by their paths, since the entries of one come together.
_MAX_KNOWN: Final = 1000
# Files in which users and groups are looked up, whatever `etc` they are in, since links lead from /etc to others;
# larger ones are not kept.
_ACCOUNTS: Final = (b"passwd", b"group")
_MAX_ACCOUNTS: Final = 1 << 20
# As many bytes as these cost as much memory as a name.
_BYTES_OF_A_NODE: Final = 128
# Messages show no more of a name.
_MAX_SHOWN: Final = 1000
# Folders over which every engine mounts another.
_MOUNTED_OVER: Final = (b"dev", b"proc", b"sys")
_WHITEOUT: Final = b".wh."
_OPAQUE: Final = b".wh..wh..opq"

# https://man7.org/linux/man-pages/man7/xattr.7.html, and the kernel's fs/xattr.c and security/commoncap.c
_XATTR_CLASSES: Final = (b"user.", b"trusted.", b"security.")
_ACCESS_LISTS: Final = (b"system.posix_acl_access", b"system.posix_acl_default")
_MAX_XATTR_NAME: Final = 255
_MAX_XATTR_VALUE: Final = 1 << 16
_CAPABILITY: Final = b"security.capability"
# The size of a file capability's value, by its revision.
_CAPABILITY_SIZES: Final = {1: 12, 2: 20, 3: 24}

_EXISTS = "file exists"
_NO_SUCH = "no such file or directory"
_NOT_A_FOLDER = "not a directory"
_NAME_TOO_LONG = "file name too long"


class Mark(Enum):
    """What a name can stand for besides files, folders and links."""

    WHITEOUT = "whiteout"
    DEVICE = "device"


@dataclass(frozen=True)
class File:
    """A regular file.

    :param mode: the permission bits.
    :param program: what it is to the kernel; None where nobody may execute it.
    :param content: of the files in which users and groups are looked up; None of all others.
    """

    mode: int
    uid: int
    gid: int
    program: Program | None = None
    content: bytes | None = None


class Folder(dict[bytes, "Node"]):
    """A folder: what is in it, by name.

    :ivar implied_by: the first entry that needed this folder before the tar had it; empty where the tar has it first.
    :ivar opaque: whether it hides what lower layers have in it.
    """

    __slots__ = ("explicit", "gid", "implied_by", "mode", "opaque", "uid")

    def __init__(self, mode: int = 0o755, uid: int = 0, gid: int = 0, implied_by: bytes = b"") -> None:
        super().__init__()
        self.mode, self.uid, self.gid, self.implied_by = mode, uid, gid, implied_by
        self.explicit, self.opaque = not implied_by, False


# A symbolic link is its target.
Node = Folder | File | bytes | Mark


@dataclass(frozen=True)
class UnpackError:
    """Something at which unpacking a layer stops.

    :param id: of the finding that it becomes.
    :param about: what is wrong, for people.
    :param containerd: what containerd says, with `…` for paths of the host; empty where it takes it.
    :param dockerd: what dockerd says; empty where it takes it.
    :param upper_only: whether containerd takes it in an image's first layer, which it unpacks in another way.
    """

    id: str
    about: str
    containerd: str
    dockerd: str
    upper_only: bool = False

    @classmethod
    def of_tar(cls, error: str, entries: int) -> UnpackError:
        """What is wrong with a tar that Go's reader does not read to its end.

        :param error: what Go's reader says.
        :param entries: how many entries it read before that.
        """
        where = f"behind its {entries} entries" if entries else "at its beginning"
        return cls("tar-invalid", f"The layer is no sound tar {where}: {error}.", error, error)

    def stops(self, family: str, *, first: bool) -> bool:
        """Whether an engine of this family stops here; one that nobody knows, only where all others do.

        :param first: whether this is the image's first layer.
        """
        containerd = bool(self.containerd) and not (first and self.upper_only)
        stopped = {"containerd": containerd, "dockerd": bool(self.dockerd)}
        return stopped.get(family, all(stopped.values()))

    def error_of(self, family: str) -> str:
        """What an engine of this family says; empty where that is not known."""
        return {"containerd": self.containerd, "dockerd": self.dockerd}.get(family, "")


class _Refused(Exception):
    """An entry that cannot be unpacked."""

    def __init__(self, trouble: UnpackError) -> None:
        super().__init__(trouble.about)
        self.trouble = trouble


def text(name: bytes) -> str:
    """A name from a tar, as messages show it; of a very long one the beginning."""
    shown = name[:_MAX_SHOWN].decode("utf-8", "backslashreplace")
    return shown if len(name) <= _MAX_SHOWN else f"{shown}…"


def _trouble(about: str, error: str, id: str = "tar-invalid", dockerd: str | None = None) -> UnpackError:
    return UnpackError(id, about, error, error if dockerd is None else dockerd)


@dataclass
class Layer:
    """The folder into which one layer is unpacked.

    :ivar nodes: how many names it holds, as a measure of the memory that it needs; longer things count as several.
    """

    root: Folder = field(default_factory=Folder)
    troubles: list[UnpackError] = field(default_factory=list)
    nodes: int = 0
    _root_seen: bool = False
    _leading: set[bool] = field(default_factory=set)
    _through_links: set[bytes] = field(default_factory=set)
    _folders: dict[bytes, Folder] = field(default_factory=dict)
    _files: dict[tuple[int, int, int, Program | None], File] = field(default_factory=dict)

    def add(self, entry: TarEntry, content: Content) -> None:
        """Unpack one entry as the engines do; what stops them becomes a `Trouble`.

        :param content: from which the entry's content may be read.
        """
        try:
            self._add(entry, content)
        except _Refused as refused:
            self.trouble(refused.trouble)

    def trouble(self, trouble: UnpackError) -> None:
        """Take note of what stops an engine."""
        if len(self.troubles) < _MAX_TROUBLES:
            self.troubles.append(trouble)

    def _add(self, entry: TarEntry, content: Content) -> None:
        kind = entry.type
        climbs, path, base = _split(entry.name)
        if kind == tar.GLOBAL_HEADER:
            return
        self._leading.add(entry.name.startswith(b"/"))
        if climbs:
            about = f"The entry {text(entry.name)!r} climbs out of the layer."
            self.trouble(UnpackError("tar-invalid", about, "", f'invalid entry name "{text(entry.name)}"'))
        if not base:
            self._once(path, self._root_seen, entry)
            self._root_seen = True
            return
        if len(base) > _MAX_NAME or len(path) > _MAX_PATH - _MAX_NAME:
            raise _Refused(_trouble(f"The name {text(entry.name)[:80]!r}… is too long.", _NAME_TOO_LONG))
        folder = self._folders.get(path)
        if folder is None:
            folder = self._folder(path, entry)
            if len(self._folders) >= _MAX_KNOWN:
                self._folders.clear()
            self._folders[path] = folder
        if base.startswith(_WHITEOUT):
            self._white_out(folder, base, entry)
            return
        # Neither on whiteouts nor on the root does an engine set them.
        if entry.xattrs:
            self._set_xattrs(entry)
        existing = folder.get(base)
        if existing is None:
            self.nodes += 1
        elif existing is not Mark.WHITEOUT:
            self._once(path, not isinstance(existing, Folder) or existing.explicit, entry)
        if kind == tar.FOLDER:
            if isinstance(existing, Folder):
                existing.mode, existing.uid, existing.gid, existing.explicit = entry.mode, entry.uid, entry.gid, True
            else:
                folder[base] = Folder(entry.mode, entry.uid, entry.gid)
            return
        if existing is not None:
            del folder[base]
            if isinstance(existing, Folder):
                self._folders.clear()
        if kind == tar.REGULAR:
            folder[base] = self._file(entry, (path, base), content)
        else:
            folder[base] = self._other(entry)

    def _once(self, path: bytes, seen: bool, entry: TarEntry) -> None:
        """dockerd takes every name only once.

        It compares names and not what they lead to, so that nothing is said of those through symbolic links, and
        where some begin with a slash and others do not.
        https://github.com/vbatts/tar-split/blob/main/tar/storage/packer.go, AddEntry
        """
        comparable = len(self._leading) == 1 and len(self._through_links) < _MAX_KNOWN
        if seen and comparable and path not in self._through_links:
            about = f"It has the entry {text(entry.name)} twice."
            self.trouble(UnpackError("path-duplicated", about, "", "duplicates of file paths not supported"))

    def _note_link(self, path: bytes) -> None:
        if len(self._through_links) < _MAX_KNOWN:
            self._through_links.add(path)

    def _set_xattrs(self, entry: TarEntry) -> None:
        """containerd goes on where the file system does not support an attribute, dockerd does not."""
        name = text(entry.name)
        for key, value in entry.xattrs:
            error, passes = _xattr_error(key, value)
            if error:
                about = f"The entry {name} has the extended attribute {text(key)!r}, which cannot be set: {error}."
                contained = f'failed to setxattr "…/{name}" for key "{text(key)}": {error}'
                docker = f'lsetxattr /{name}: xattr "{text(key)}": {error}'
                self.trouble(UnpackError("xattr-invalid", about, "" if passes else contained, docker))

    def _file(self, entry: TarEntry, path: tuple[bytes, bytes], content: Content) -> File:
        folder, base = path
        accounts = base in _ACCOUNTS and folder.rpartition(b"/")[2] == b"etc"
        if accounts and entry.size <= _MAX_ACCOUNTS and entry.stored:
            self.nodes += entry.size // _BYTES_OF_A_NODE
            return File(entry.mode, entry.uid, entry.gid, content=content.read(entry.size))
        what = None
        if entry.mode & 0o111:
            what = program(content, entry.size) if entry.stored else UNKNOWN
        key = (entry.mode, entry.uid, entry.gid, what)
        # Many files share these.
        file = self._files.get(key)
        if file is None:
            file = self._files[key] = File(*key)
            self.nodes += 1 + (len(what.interpreter + what.argument) // _BYTES_OF_A_NODE if what else 0)
        return file

    def _other(self, entry: TarEntry) -> Node:
        name, link = text(entry.name), text(entry.link)
        if entry.type == tar.SYMLINK:
            if not 0 < len(entry.link) <= _MAX_PATH:
                error = f"symlink {link[:80]} …/{name}: {_NAME_TOO_LONG if link else _NO_SUCH}"
                docker = f"symlinkat {link[:80]} {name}: {_NAME_TOO_LONG if link else _NO_SUCH}"
                raise _Refused(_trouble(f"The symbolic link {name} has no target that can be.", error, dockerd=docker))
            self.nodes += len(entry.link) // _BYTES_OF_A_NODE
            return entry.link
        if entry.type == tar.HARD_LINK:
            return self._linked(entry)
        if entry.type in (tar.CHARACTER, tar.BLOCK_DEVICE, tar.FIFO):
            # To overlayfs, a character device with the numbers 0 and 0 is a whiteout.
            return Mark.WHITEOUT if entry.is_null_device else Mark.DEVICE
        error = f"unhandled tar header type {entry.type[0]}"
        raise _Refused(_trouble(f"The entry {name} has the type {text(entry.type)!r}, which no engine knows.", error))

    def _linked(self, entry: TarEntry) -> Node:
        name, link = text(entry.name), text(entry.link)
        climbs, path, base = _split(entry.link)
        if climbs or not base:
            self.trouble(
                UnpackError(
                    "hardlink-target-missing",
                    f"{name} is a hard link to {link}, which is outside of the layer.",
                    "",
                    f'invalid hardlink target "{link}"',
                )
            )
        try:
            folder = self._existing(path)
        except _Refused:
            folder = None
        target = (folder.get(base) if base else folder) if folder is not None else None
        if target is None:
            raise _Refused(
                _trouble(
                    f"{name} is a hard link to {link}, which this layer does not have before it.",
                    f"link …/{link} …/{name}: {_NO_SUCH}",
                    "hardlink-target-missing",
                    f"linkat {link} {name}: {_NO_SUCH}",
                )
            )
        if isinstance(target, Folder):
            raise _Refused(
                _trouble(
                    f"{name} is a hard link to the folder {link}.",
                    f"link …/{link} …/{name}: operation not permitted",
                    dockerd=f"linkat {link} {name}: operation not permitted",
                )
            )
        return target

    def _white_out(self, folder: Folder, base: bytes, entry: TarEntry) -> None:
        hidden, name = base[len(_WHITEOUT) :], text(entry.name)
        if base == _OPAQUE:
            self._once(_split(entry.name)[1], folder.opaque, entry)
            folder.opaque = True
        elif hidden in (b"", b".", b".."):
            raise _Refused(
                _trouble(
                    f"The entry {name} is a whiteout of nothing.",
                    f"invalid whiteout name: {text(base)}: invalid archive",
                    dockerd=f'invalid whiteout entry "{name}"',
                )
            )
        elif hidden in folder:
            self.trouble(
                UnpackError(
                    "tar-invalid",
                    f"The layer has {text(hidden)} and its whiteout {name} as well.",
                    f'failed to convert whiteout file "{name}": {_EXISTS}',
                    f"failed to mknod('{name.replace(text(base), text(hidden))}', S_IFCHR, 0): {_EXISTS}",
                    upper_only=True,
                )
            )
            del folder[hidden]
            self._folders.clear()
        else:
            folder[hidden] = Mark.WHITEOUT
            self.nodes += 1

    def _existing(self, path: bytes) -> Folder | None:
        """The folder at this path, links followed; None where there is none."""
        known = self._folders.get(path)
        return self._walk(path, None) if known is None else known

    def _folder(self, path: bytes, entry: TarEntry) -> Folder:
        """The folder at this path, links followed; made where the tar does not have it."""
        folder = self._walk(path, entry)
        assert folder is not None
        return folder

    def _walk(self, path: bytes, entry: TarEntry | None) -> Folder | None:
        parent, _, name = path.rpartition(b"/")
        near = self._folders.get(parent)
        child = near.get(name) if near is not None else None
        if isinstance(child, Folder):
            if parent in self._through_links:
                self._note_link(path)
            return child
        above = [self.root]
        ahead = path.split(b"/")[::-1] if path else []
        links = 0
        absolute = False
        while ahead:
            name = ahead.pop()
            if name == b"..":
                if len(above) > 1:
                    above.pop()
                elif not absolute:
                    error = f"statat {text(path)}: path escapes from parent"
                    self.trouble(UnpackError("tar-invalid", f"{text(path)} leads out of the layer.", "", error))
                continue
            node = above[-1].get(name)
            if node is None:
                if entry is None:
                    return None
                node = above[-1][name] = Folder(implied_by=entry.name)
                self.nodes += 1
            if isinstance(node, bytes):
                self._note_link(path)
                links += 1
                if links > _MAX_LINKS_UNPACKING:
                    raise _Refused(_trouble(f"{text(path)} goes through too many links.", "too many links"))
                if node.startswith(b"/"):
                    above, absolute = [self.root], True
                ahead.extend(_clean(node)[::-1])
            elif isinstance(node, Folder):
                above.append(node)
                if len(above) > _MAX_PATH:
                    raise _Refused(_trouble(f"{text(path)[:80]}… is too deep.", _NAME_TOO_LONG))
            else:
                error = f"{text(path)}: {_NOT_A_FOLDER}"
                about = f"{text(path)} is no folder, and the layer has entries in it."
                raise _Refused(_trouble(about, f"mkparent …/{error}", dockerd=f"statat {error}"))
        return above[-1]


def _xattr_error(key: bytes, value: bytes) -> tuple[str, bool]:
    """What the kernel says of an extended attribute, and whether that means that it does not support it."""
    if not 0 < len(key) <= _MAX_XATTR_NAME:
        return "numerical result out of range", False
    if len(value) > _MAX_XATTR_VALUE:
        # containerd never sets these.
        return "argument list too long", key.startswith(b"trusted.")
    if not key.startswith(_XATTR_CLASSES) and key not in _ACCESS_LISTS:
        return "operation not supported", True
    if key in _XATTR_CLASSES:
        return "invalid argument", False
    if key == _CAPABILITY:
        revision = int.from_bytes(value[:4], "little") >> 24
        if len(value) != _CAPABILITY_SIZES.get(revision):
            return "invalid argument", False
    return "", False


def _clean(path: bytes) -> list[bytes]:
    """The parts of a path without `.` and with `..` only at its beginning, as Go's filepath.Clean has them."""
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b".." and parts and parts[-1] != b"..":
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return parts


def _split(name: bytes) -> tuple[bool, bytes, bytes]:
    """Whether a name climbs above the root, the path of its folder, and its last part; both within the root."""
    if name.startswith(b"./"):
        name = name[2:]
    name = name.rstrip(b"/")
    climbs = False
    if b"/." in name or b"//" in name or name[:1] in (b".", b"/", b""):
        parts = _clean(name)
        inside = [part for part in parts if part != b".."]
        climbs, name = len(inside) < len(parts), b"/".join(inside)
    path, _, base = name.rpartition(b"/")
    return climbs, path, base


@dataclass
class FileSystem:
    """What lies at a path once all layers lie over each other.

    :ivar orphans: entries whose folder no layer had when they came, with the layer's digest.
    """

    root: Folder = field(default_factory=Folder)
    orphans: list[tuple[str, str]] = field(default_factory=list)

    def lay_over(self, layer: Folder, digest: str) -> None:
        """Lay a layer over the ones that are there; the layer's own folders become part of the whole."""
        pairs = [(self.root, layer)]
        while pairs:
            lower, upper = pairs.pop()
            for name, node in upper.items():
                below = lower.get(name)
                if node is Mark.WHITEOUT:
                    lower.pop(name, None)
                elif not isinstance(node, Folder):
                    lower[name] = node
                elif isinstance(below, Folder) and not node.opaque:
                    if node.explicit:
                        below.mode, below.uid, below.gid = node.mode, node.uid, node.gid
                    pairs.append((below, node))
                else:
                    self._adopt(node, digest, known=isinstance(below, Folder))
                    lower[name] = node

    def _adopt(self, folder: Folder, digest: str, *, known: bool) -> None:
        """Make a layer's folder one of the whole: nothing lies below it that its whiteouts could hide."""
        if folder.implied_by and not known and len(self.orphans) < _MAX_TROUBLES:
            self.orphans.append((text(folder.implied_by), digest))
        folders = [folder]
        while folders:
            folder = folders.pop()
            for name in [name for name, node in folder.items() if node is Mark.WHITEOUT]:
                del folder[name]
            for node in folder.values():
                if isinstance(node, Folder):
                    if node.implied_by and len(self.orphans) < _MAX_TROUBLES:
                        self.orphans.append((text(node.implied_by), digest))
                    folders.append(node)

    def mount(self) -> None:
        """Empty the folders over which every engine mounts another: no container sees what the image has in them."""
        for name in _MOUNTED_OVER:
            folder = self.root.get(name)
            if isinstance(folder, Folder):
                folder.clear()

    def find(self, path: bytes, cwd: bytes = b"/", *, follow: bool = True) -> tuple[Node | None, list[Folder]]:
        """What the kernel finds at a path, links followed, and the folders on the way; None where there is nothing.

        :param cwd: where a path begins that is not absolute.
        :param follow: whether a link at the end of the path is followed, too.

        :raises NotADirectoryError: if a part of the path on the way is no folder.
        :raises RecursionError: if links go round in a circle.
        """
        above = [self.root]
        ahead = list(_parts(path if path.startswith(b"/") else cwd + b"/" + path))[::-1]
        way: list[Folder] = [self.root]
        links = 0
        node: Node = self.root
        while ahead:
            name = ahead.pop()
            if name == b"..":
                if len(above) > 1:
                    above.pop()
                node = above[-1]
                continue
            found = above[-1].get(name)
            if found is None:
                return None, way
            if isinstance(found, bytes) and (follow or ahead):
                links += 1
                if links > _MAX_LINKS:
                    raise RecursionError(text(path))
                if found.startswith(b"/"):
                    above = [self.root]
                ahead.extend(list(_parts(found))[::-1])
                node = above[-1]
                continue
            node = found
            if isinstance(found, Folder):
                above.append(found)
                way.append(found)
            elif ahead:
                raise NotADirectoryError(text(path))
        return node, way


def _parts(path: bytes) -> Iterable[bytes]:
    return (part for part in path.split(b"/") if part not in (b"", b"."))


def copied(folder: Folder) -> tuple[Folder, int]:
    """A layer's folder once more, for a layer that lies in an image twice, and how many names that took."""
    copy, names = _like(folder), 0
    pairs: list[tuple[Folder, Folder]] = [(folder, copy)]
    while pairs:
        old, new = pairs.pop()
        names += len(old)
        for name, node in old.items():
            if isinstance(node, Folder):
                new[name] = child = _like(node)
                pairs.append((node, child))
            else:
                new[name] = node
    return copy, names


def _like(folder: Folder) -> Folder:
    like = Folder(folder.mode, folder.uid, folder.gid, folder.implied_by)
    like.explicit, like.opaque = folder.explicit, folder.opaque
    return like
