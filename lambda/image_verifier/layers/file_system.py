"""The file system that the layers make: the layers' folders laid over each other, as overlayfs does it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from .file_tree import Folder, Mark, Node
from .paths import parts, shown

# The kernel follows no more links than this.
_MAX_LINKS: Final = 40
_MAX_ORPHANS: Final = 20
# Folders over which every engine mounts another.
_MOUNTED_OVER: Final = (b"dev", b"proc", b"sys")


@dataclass
class FileSystem:
    """The files of an image once all its layers lie over each other.

    :ivar orphans: entries whose folder no layer had before them, each with its layer's digest.
    """

    root: Folder = field(default_factory=Folder)
    orphans: list[tuple[str, str]] = field(default_factory=list)

    def lay_over(self, layer: Folder, digest: str) -> None:
        """Lay a layer over the ones below; the layer's own folders become part of the file system."""
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
        """Make a layer's folder part of the file system: nothing lies below it that its whiteouts could hide."""
        if not known:
            self._note_orphan(folder, digest)
        folders = [folder]
        while folders:
            folder = folders.pop()
            for name in [name for name, node in folder.items() if node is Mark.WHITEOUT]:
                del folder[name]
            for node in folder.values():
                if isinstance(node, Folder):
                    self._note_orphan(node, digest)
                    folders.append(node)

    def _note_orphan(self, folder: Folder, digest: str) -> None:
        if folder.implied_by and len(self.orphans) < _MAX_ORPHANS:
            self.orphans.append((shown(folder.implied_by), digest))

    def mount(self) -> None:
        """Empty the folders over which every engine mounts another: no container sees their content."""
        for name in _MOUNTED_OVER:
            folder = self.root.get(name)
            if isinstance(folder, Folder):
                folder.clear()

    def find(self, path: bytes, cwd: bytes = b"/", *, follow: bool = True) -> tuple[Node | None, list[Folder]]:
        """Find the node at a path as the kernel does, links followed.

        :param cwd: the folder in which a path begins that is not absolute.
        :param follow: whether a link at the end of the path is followed, too.
        :returns: the node, or None where there is none, and the folders on the way to it.
        :raises NotADirectoryError: if a part of the path before its end is not a folder.
        :raises RecursionError: if links lead round in a circle.
        """
        above = [self.root]
        ahead = parts(path if path.startswith(b"/") else cwd + b"/" + path)[::-1]
        way: list[Folder] = [self.root]
        links = 0
        while ahead:
            name = ahead.pop()
            if name == b"..":
                if len(above) > 1:
                    above.pop()
                continue
            found = above[-1].get(name)
            if isinstance(found, bytes) and (follow or ahead):
                links += 1
                if links > _MAX_LINKS:
                    raise RecursionError(shown(path))
                above = [self.root] if found.startswith(b"/") else above
                ahead.extend(parts(found)[::-1])
            elif isinstance(found, Folder):
                above.append(found)
                way.append(found)
            elif found is not None and ahead:
                raise NotADirectoryError(shown(path))
            else:
                return found, way
        return above[-1], way

    def escape(self, path: bytes) -> tuple[bytes, bytes] | None:
        """The first link on the way to a path that leads out of the root, as Go's os.Root sees it, and its target.

        Every absolute link is one, wherever it leads: https://pkg.go.dev/os#Root

        :returns: the link's path and its target; None where there is no such link.
        """
        above, names = [self.root], [b""]
        ahead = parts(path)[::-1]
        link = None
        for _ in range(_MAX_LINKS * _MAX_LINKS):
            if not ahead:
                break
            name = ahead.pop()
            if name == b"..":
                if len(above) == 1:
                    return link
                above.pop()
                names.pop()
                continue
            found = above[-1].get(name)
            if isinstance(found, bytes):
                link = b"/".join((*names, name)), found
                if found.startswith(b"/"):
                    return link
                ahead.extend(parts(found)[::-1])
            elif isinstance(found, Folder):
                above.append(found)
                names.append(name)
            else:
                break
        return None
