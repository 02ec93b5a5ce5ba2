"""Errors that stop an engine while it unpacks a layer: for people, and in the words of containerd and dockerd.

https://github.com/containerd/containerd/blob/main/pkg/archive/tar.go
https://github.com/moby/moby/blob/v25.0.16/pkg/archive/archive.go, Unpack
https://github.com/moby/go-archive/blob/main/archive.go, Unpack, which dockerd has since 29.7
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from . import tar_headers
from .paths import cleaned, shown
from .tar_headers import TarEntry

# https://man7.org/linux/man-pages/man7/xattr.7.html, and the kernel's fs/xattr.c and security/commoncap.c
_XATTR_CLASSES: Final = (b"user.", b"trusted.", b"security.")
_ACCESS_LISTS: Final = (b"system.posix_acl_access", b"system.posix_acl_default")
_MAX_XATTR_NAME: Final = 255
_MAX_XATTR_VALUE: Final = 1 << 16
_CAPABILITY: Final = b"security.capability"
# The size of a file capability's value, by its revision.
_CAPABILITY_SIZES: Final = {1: 12, 2: 20, 3: 24}

_EXISTS: Final = "file exists"
_NO_SUCH: Final = "no such file or directory"
_NOT_A_FOLDER: Final = "not a directory"
_NAME_TOO_LONG: Final = "file name too long"
_NOT_PERMITTED: Final = "operation not permitted"
# Of a name or target that is itself too long, messages show the beginning.
_MAX_SHOWN: Final = 80
_WHITEOUT: Final = ".wh."


@dataclass(frozen=True)
class UnpackError:
    """An error at which an engine stops unpacking a layer.

    :param id: of the finding that it becomes.
    :param message: what is wrong, for people.
    :param containerd: containerd's message, with `…` for paths of the host; empty where it accepts the entry.
    :param dockerd: dockerd's message; empty where it accepts the entry.
    :param dockerd_in_root: the message of a dockerd that unpacks within Go's os.Root; empty where it accepts the entry.
    :param upper_only: whether containerd accepts it in an image's first layer, which it unpacks in another way.
    """

    id: str
    message: str
    containerd: str
    dockerd: str
    dockerd_in_root: str
    upper_only: bool = False

    def stops(self, unpacker: str, *, first: bool) -> bool:
        """Whether an engine stops here; an unknown one stops only where all others do.

        :param unpacker: `Engine.unpacker`.
        :param first: whether this is the image's first layer.
        """
        stopped = {name: bool(text) for name, text in self._messages().items()}
        stopped["containerd"] = stopped["containerd"] and not (first and self.upper_only)
        return stopped.get(unpacker, all(stopped.values()))

    def engine_message(self, unpacker: str) -> str:
        """The message of an engine; empty where that is not known.

        :param unpacker: `Engine.unpacker`.
        """
        return self._messages().get(unpacker, "")

    def _messages(self) -> dict[str, str]:
        return {"containerd": self.containerd, "dockerd": self.dockerd, "dockerd in root": self.dockerd_in_root}


class EntryRefused(Exception):
    """An entry that no engine unpacks."""

    def __init__(self, error: UnpackError) -> None:
        super().__init__(error.message)
        self.error = error


def _refused(
    message: str, containerd: str, dockerd: str = "", dockerd_in_root: str = "", *, id: str = "tar-invalid"
) -> EntryRefused:
    """:param dockerd: its message, and that of a dockerd within os.Root, where they are not containerd's."""
    dockerd = dockerd or containerd
    return EntryRefused(UnpackError(id, message, containerd, dockerd, dockerd_in_root or dockerd))


def invalid_tar(error: str, entries: int) -> UnpackError:
    """A tar that Go's reader does not read to its end.

    :param error: the reader's message.
    :param entries: the number of entries that it read before.
    """
    where = f"after {entries} {'entry' if entries == 1 else 'entries'}" if entries else "at its beginning"
    return UnpackError("tar-invalid", f"The layer is not a valid tar archive {where}: {error}.", error, error, error)


def outside_of_layer(entry: TarEntry) -> UnpackError:
    """An entry whose name leads out of the layer with `..`."""
    name = shown(entry.name)
    message = f"The entry {name!r} leads out of the layer."
    return UnpackError("tar-invalid", message, "", "", f'invalid entry name "{name}"')


def path_outside_of_layer(path: bytes) -> UnpackError:
    """A folder that links lead out of the layer."""
    name = shown(path)
    error = f"statat {name}: path escapes from parent"
    return UnpackError("tar-invalid", f"{name} leads out of the layer.", "", "", error)


def duplicate(entry: TarEntry) -> UnpackError:
    """A name that the layer has twice."""
    message = f"It has the entry {shown(entry.name)} twice."
    error = "duplicates of file paths not supported"
    return UnpackError("path-duplicated", message, "", error, error)


def name_too_long(entry: TarEntry) -> EntryRefused:
    """A name that no file system stores."""
    return _refused(f"The name {shown(entry.name)[:_MAX_SHOWN]!r}… is too long.", _NAME_TOO_LONG)


def too_deep(path: bytes) -> EntryRefused:
    """A path with too many folders."""
    return _refused(f"{shown(path)[:_MAX_SHOWN]}… is too deep.", _NAME_TOO_LONG)


def too_many_links(path: bytes) -> EntryRefused:
    """A path that leads through more links than containerd follows."""
    return _refused(f"{shown(path)} leads through too many links.", "too many links")


def not_a_folder(entry: TarEntry | None, path: bytes) -> EntryRefused:
    """A path in which something other than a folder has entries in it.

    :param entry: the entry in it; None for the target of a hard link.
    """
    error = f"{shown(path)}: {_NOT_A_FOLDER}"
    message = f"{shown(path)} is not a folder, but the layer has entries in it."
    return _refused(message, f"mkparent …/{error}", _created(entry, _NOT_A_FOLDER) if entry else "", f"statat {error}")


def _created(entry: TarEntry, error: str) -> str:
    """dockerd's error where it cannot create an entry: the system call, its paths and the kernel's error."""
    path, link = _in_root(entry.name), shown(entry.link)[:_MAX_SHOWN]
    folder, _, base = path.rpartition("/")
    if base.startswith(_WHITEOUT):
        return _no_whiteout(f"{folder}/{base.removeprefix(_WHITEOUT)}", error)
    calls = {
        tar_headers.REGULAR: f"open {path}: ",
        tar_headers.FOLDER: f"mkdir {path}: ",
        tar_headers.SYMLINK: f"symlink {link} {path}: ",
        tar_headers.HARD_LINK: f"link {_in_root(entry.link)} {path}: ",
    }
    return calls.get(entry.type, "") + error


def _no_whiteout(path: str, error: str) -> str:
    """dockerd's error where it cannot hide this path."""
    return f'failed to mknod("{path}", S_IFCHR, 0): {error}'


def _in_root(name: bytes) -> str:
    """The path of a name in the folder of the layer, which is the root for dockerd when it unpacks there."""
    return "/" + "/".join(shown(part) for part in cleaned(name) if part != b"..")


def unknown_type(entry: TarEntry) -> EntryRefused:
    """An entry of a type that no engine knows."""
    message = f"The entry {shown(entry.name)} has the type {shown(entry.type)!r}, which no engine knows."
    return _refused(message, f"unhandled tar header type {entry.type[0]}")


def impossible_symlink(entry: TarEntry) -> EntryRefused:
    """A symbolic link whose target is empty or too long."""
    name, link = shown(entry.name), shown(entry.link)
    problem, error = ("too long", _NAME_TOO_LONG) if link else ("empty", _NO_SUCH)
    return _refused(
        f"The target of the symbolic link {name} is {problem}.",
        f"symlink {link[:_MAX_SHOWN]} …/{name}: {error}",
        _created(entry, error),
        f"symlinkat {link[:_MAX_SHOWN]} {name}: {error}",
    )


def hard_link_outside_of_layer(entry: TarEntry) -> UnpackError:
    """A hard link whose target is outside of the layer."""
    link = shown(entry.link)
    message = f"{shown(entry.name)} is a hard link to {link}, which is outside of the layer."
    return UnpackError("hardlink-target-missing", message, "", "", f'invalid hardlink target "{link}"')


def hard_link_to_nothing(entry: TarEntry) -> EntryRefused:
    """A hard link whose target no earlier entry of the layer is."""
    name, link = shown(entry.name), shown(entry.link)
    return _refused(
        f"{name} is a hard link to {link}, but no earlier entry of this layer has that name.",
        f"link …/{link} …/{name}: {_NO_SUCH}",
        _created(entry, _NO_SUCH),
        f"linkat {link} {name}: {_NO_SUCH}",
        id="hardlink-target-missing",
    )


def hard_link_to_folder(entry: TarEntry) -> EntryRefused:
    """A hard link to a folder, which Linux does not have."""
    name, link = shown(entry.name), shown(entry.link)
    return _refused(
        f"{name} is a hard link to the folder {link}.",
        f"link …/{link} …/{name}: {_NOT_PERMITTED}",
        _created(entry, _NOT_PERMITTED),
        f"linkat {link} {name}: {_NOT_PERMITTED}",
    )


def empty_whiteout(entry: TarEntry, base: bytes) -> EntryRefused:
    """A whiteout that hides nothing.

    :param base: the last part of the entry's name.
    """
    name = shown(entry.name)
    hidden = _in_root(entry.name.removesuffix(base) + base.removeprefix(_WHITEOUT.encode()))
    return _refused(
        f"The entry {name} is a whiteout of nothing.",
        f"invalid whiteout name: {shown(base)}: invalid archive",
        _no_whiteout(hidden, _EXISTS),
        f'invalid whiteout entry "{name}"',
    )


def whiteout_of_own_file(entry: TarEntry, base: bytes, hidden: bytes) -> UnpackError:
    """A whiteout of something that is in the same layer.

    :param base: the last part of the entry's name.
    :param hidden: the name that it hides.
    """
    name, hidden_name = shown(entry.name), shown(hidden)
    path = name.replace(shown(base), hidden_name)
    return UnpackError(
        "tar-invalid",
        f"The layer has both {hidden_name} and its whiteout {name}.",
        f'failed to convert whiteout file "{name}": {_EXISTS}',
        _no_whiteout(_in_root(path.encode()), _EXISTS),
        f"failed to mknod('{path}', S_IFCHR, 0): {_EXISTS}",
        upper_only=True,
    )


def invalid_xattrs(entry: TarEntry) -> Iterator[UnpackError]:
    """The extended attributes that cannot be set; containerd skips unsupported ones, dockerd does not."""
    name = shown(entry.name)
    for key, value in entry.xattrs:
        error, skipped = _xattr_error(key, value)
        if error:
            yield UnpackError(
                "xattr-invalid",
                f"The entry {name} has the extended attribute {shown(key)!r}, which cannot be set: {error}.",
                "" if skipped else f'failed to setxattr "…/{name}" for key "{shown(key)}": {error}',
                f"lsetxattr {shown(key)} /{name}: {error}",
                f'lsetxattr /{name}: xattr "{shown(key)}": {error}',
            )


def _xattr_error(key: bytes, value: bytes) -> tuple[str, bool]:
    """The kernel's error for an extended attribute, and whether containerd skips the attribute."""
    if not 0 < len(key) <= _MAX_XATTR_NAME:
        return "numerical result out of range", False
    if len(value) > _MAX_XATTR_VALUE:
        # containerd never sets trusted attributes.
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
