"""The nodes of a file tree: what a path in a layer or in an image can be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .executables import Program


class Mark(Enum):
    """The kinds of node besides files, folders and links."""

    WHITEOUT = "whiteout"
    DEVICE = "device"


@dataclass(frozen=True)
class File:
    """A regular file.

    :param mode: the permission bits.
    :param program: how the kernel would execute it; None where nobody may execute it.
    :param content: only kept for the files in which users and groups are looked up; None for all others.
    """

    mode: int
    uid: int
    gid: int
    program: Program | None = None
    content: bytes | None = None


class Folder(dict[bytes, "Node"]):
    """A folder: its nodes by name.

    :ivar implied_by: the name of the first entry that needed this folder before the tar had it; empty where the tar
        has the folder first.
    :ivar explicit: whether the tar has an entry for this folder.
    :ivar opaque: whether it hides the content of the same folder in lower layers.
    """

    __slots__ = ("explicit", "gid", "implied_by", "mode", "opaque", "uid")

    def __init__(self, mode: int = 0o755, uid: int = 0, gid: int = 0, implied_by: bytes = b"") -> None:
        super().__init__()
        self.mode, self.uid, self.gid, self.implied_by = mode, uid, gid, implied_by
        self.explicit, self.opaque = not implied_by, False


# A symbolic link is its target.
Node = Folder | File | bytes | Mark


def copy_of(folder: Folder) -> tuple[Folder, int]:
    """Copy a layer's folder, for an image that has the layer several times.

    :returns: the copy, and the number of names in it.
    """
    copy, names = _copy_without_nodes(folder), 0
    pairs: list[tuple[Folder, Folder]] = [(folder, copy)]
    while pairs:
        old, new = pairs.pop()
        names += len(old)
        for name, node in old.items():
            if isinstance(node, Folder):
                new[name] = child = _copy_without_nodes(node)
                pairs.append((node, child))
            else:
                new[name] = node
    return copy, names


def _copy_without_nodes(folder: Folder) -> Folder:
    copy = Folder(folder.mode, folder.uid, folder.gid, folder.implied_by)
    copy.explicit, copy.opaque = folder.explicit, folder.opaque
    return copy
