"""One layer, unpacked as the engines do it: its entries become a folder, or errors of the engines.

containerd and dockerd both unpack a layer into a folder of its own and let overlayfs lay the folders over each
other, so nothing of the lower layers is visible while a layer is unpacked: a hard link to a file of a lower layer
fails, and a folder replaces a lower layer's symbolic link.
https://github.com/containerd/containerd/blob/main/pkg/archive/tar.go
https://github.com/moby/go-archive/blob/main/archive.go, Unpack
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from . import tar_headers, unpack_errors
from .executables import UNKNOWN, Content, Program, program
from .file_tree import File, Folder, Mark, Node
from .paths import cleaned, split
from .tar_headers import TarEntry
from .unpack_errors import EntryRefused, UnpackError

# The kernel's bounds.
_MAX_NAME: Final = 255
_MAX_PATH: Final = 4095
# continuity's RootPath gives up here.
_MAX_LINKS: Final = 255
_MAX_ERRORS: Final = 20
# How many folders are remembered by their paths, since the entries of one come together.
_MAX_KNOWN: Final = 1000
# Files in which users and groups are looked up, whatever `etc` they are in, since links lead from /etc to others;
# larger ones are not kept.
_ACCOUNTS: Final = (b"passwd", b"group")
_MAX_ACCOUNTS: Final = 1 << 20
# This many bytes need as much memory as a name.
_BYTES_OF_A_NODE: Final = 128
_WHITEOUT: Final = b".wh."
_OPAQUE: Final = b".wh..wh..opq"
_DOTS: Final = (b".", b"..")
_DEVICES: Final = (tar_headers.CHARACTER, tar_headers.BLOCK_DEVICE, tar_headers.FIFO)


@dataclass
class UnpackedLayer:
    """The folder into which one layer is unpacked.

    :ivar errors: what stops the engines while they unpack it, in order.
    :ivar nodes: how many names it holds, as a measure of the memory that it needs; longer things count as several.
    """

    root: Folder = field(default_factory=Folder)
    errors: list[UnpackError] = field(default_factory=list)
    nodes: int = 0
    _root_seen: bool = False
    _leading: set[bool] = field(default_factory=set)
    _through_links: set[bytes] = field(default_factory=set)
    _folders: dict[bytes, Folder] = field(default_factory=dict)
    _files: dict[tuple[int, int, int, Program | None], File] = field(default_factory=dict)

    def add(self, entry: TarEntry, content: Content) -> None:
        """Unpack one entry as the engines do; what stops them becomes an `UnpackError`.

        :param content: from which the entry's content may be read.
        """
        try:
            self._add(entry, content)
        except EntryRefused as refused:
            self.report(refused.error)

    def report(self, error: UnpackError) -> None:
        """Keep an error that stops an engine."""
        if len(self.errors) < _MAX_ERRORS:
            self.errors.append(error)

    def _add(self, entry: TarEntry, content: Content) -> None:
        path, _, base = entry.name.rpartition(b"/")
        folder = self._folders.get(path) if path and base else None
        # A folder is remembered by its cleaned path, so the path of this name is clean.
        if folder is None or base in _DOTS or len(base) > _MAX_NAME or entry.type == tar_headers.GLOBAL_HEADER:
            self._add_anywhere(entry, content)
            return
        self._leading.add(False)
        self._add_to(folder, path, base, entry, content)

    def _add_anywhere(self, entry: TarEntry, content: Content) -> None:
        """Unpack an entry whose name may be anything."""
        leads_out, path, base = split(entry.name)
        if entry.type == tar_headers.GLOBAL_HEADER:
            return
        self._leading.add(entry.name[:1] == b"/")
        if leads_out:
            self.report(unpack_errors.outside_of_layer(entry))
        if not base:
            self._check_duplicate(path, self._root_seen, entry)
            self._root_seen = True
            return
        if len(base) > _MAX_NAME or len(path) > _MAX_PATH - _MAX_NAME:
            raise unpack_errors.name_too_long(entry)
        folder = self._folders.get(path)
        if folder is None:
            folder = self._remember(path, self._made(path, entry))
        self._add_to(folder, path, base, entry, content)

    def _add_to(self, folder: Folder, path: bytes, base: bytes, entry: TarEntry, content: Content) -> None:
        if base.startswith(_WHITEOUT):
            self._white_out(folder, base, entry)
            return
        # An engine sets them neither on whiteouts nor on the root.
        if entry.xattrs:
            for error in unpack_errors.invalid_xattrs(entry):
                self.report(error)
        self._place(folder, path, base, entry, content)

    def _place(self, folder: Folder, path: bytes, base: bytes, entry: TarEntry, content: Content) -> None:
        """Put the entry's node into its folder, in the place of the former one."""
        existing = folder.get(base)
        if existing is None:
            self.nodes += 1
        elif existing is not Mark.WHITEOUT:
            self._check_duplicate(path, not isinstance(existing, Folder) or existing.explicit, entry)
        if entry.type == tar_headers.FOLDER:
            if isinstance(existing, Folder):
                existing.mode, existing.uid, existing.gid, existing.explicit = entry.mode, entry.uid, entry.gid, True
            else:
                folder[base] = Folder(entry.mode, entry.uid, entry.gid)
            return
        if existing is not None:
            del folder[base]
            if isinstance(existing, Folder):
                self._folders.clear()
        if entry.type == tar_headers.REGULAR:
            folder[base] = self._file(entry, path, base, content)
        else:
            folder[base] = self._other(entry)

    def _check_duplicate(self, path: bytes, seen: bool, entry: TarEntry) -> None:
        """dockerd accepts every name only once.

        It compares names and not what they lead to, so names through symbolic links are not checked, nor is a layer
        in which some names begin with a slash and others do not.
        https://github.com/vbatts/tar-split/blob/main/tar/storage/packer.go, AddEntry
        """
        comparable = len(self._leading) == 1 and len(self._through_links) < _MAX_KNOWN
        if seen and comparable and path not in self._through_links:
            self.report(unpack_errors.duplicate(entry))

    def _file(self, entry: TarEntry, path: bytes, base: bytes, content: Content) -> File:
        accounts = base in _ACCOUNTS and path.rpartition(b"/")[2] == b"etc"
        if accounts and entry.size <= _MAX_ACCOUNTS and entry.stored:
            self.nodes += entry.size // _BYTES_OF_A_NODE
            return File(entry.mode, entry.uid, entry.gid, content=content.read(entry.size))
        executed = None
        if entry.mode & 0o111:
            executed = program(content, entry.size) if entry.stored else UNKNOWN
        key = (entry.mode, entry.uid, entry.gid, executed)
        # Many files share these.
        file = self._files.get(key)
        if file is None:
            file = self._files[key] = File(*key)
            words = executed.interpreter + executed.argument if executed else b""
            self.nodes += 1 + len(words) // _BYTES_OF_A_NODE
        return file

    def _other(self, entry: TarEntry) -> Node:
        """The node of an entry that is neither a folder nor a regular file."""
        if entry.type == tar_headers.SYMLINK:
            if not 0 < len(entry.link) <= _MAX_PATH:
                raise unpack_errors.impossible_symlink(entry)
            self.nodes += len(entry.link) // _BYTES_OF_A_NODE
            return entry.link
        if entry.type == tar_headers.HARD_LINK:
            return self._hard_linked(entry)
        if entry.type in _DEVICES:
            # To overlayfs, a character device with the numbers 0 and 0 is a whiteout.
            return Mark.WHITEOUT if entry.is_null_device else Mark.DEVICE
        raise unpack_errors.unknown_type(entry)

    def _hard_linked(self, entry: TarEntry) -> Node:
        leads_out, path, base = split(entry.link)
        if leads_out or not base:
            self.report(unpack_errors.hard_link_outside_of_layer(entry))
        try:
            folder = self._existing(path)
        except EntryRefused:
            folder = None
        target = (folder.get(base) if base else folder) if folder is not None else None
        if target is None:
            raise unpack_errors.hard_link_to_nothing(entry)
        if isinstance(target, Folder):
            raise unpack_errors.hard_link_to_folder(entry)
        return target

    def _white_out(self, folder: Folder, base: bytes, entry: TarEntry) -> None:
        hidden = base[len(_WHITEOUT) :]
        if base == _OPAQUE:
            self._check_duplicate(split(entry.name)[1], folder.opaque, entry)
            folder.opaque = True
        elif hidden in (b"", b".", b".."):
            raise unpack_errors.empty_whiteout(entry, base)
        elif hidden in folder:
            self.report(unpack_errors.whiteout_of_own_file(entry, base, hidden))
            del folder[hidden]
            self._folders.clear()
        else:
            folder[hidden] = Mark.WHITEOUT
            self.nodes += 1

    def _existing(self, path: bytes) -> Folder | None:
        """The folder at this path, links followed; None where there is none."""
        known = self._folders.get(path)
        return self._folder(path, None) if known is None else known

    def _made(self, path: bytes, entry: TarEntry) -> Folder:
        """The folder at this path, links followed; made where the tar does not have it."""
        folder = self._folder(path, entry)
        assert folder is not None
        return folder

    def _remember(self, path: bytes, folder: Folder) -> Folder:
        if len(self._folders) >= _MAX_KNOWN:
            self._folders.clear()
        self._folders[path] = folder
        return folder

    def _folder(self, path: bytes, entry: TarEntry | None) -> Folder | None:
        """The folder at this path, links followed.

        :param entry: the entry for which missing folders are made; None where they are not.
        """
        parent, _, name = path.rpartition(b"/")
        known = self._folders.get(parent)
        folder = known.get(name) if known is not None else None
        if isinstance(folder, Folder):
            if parent in self._through_links:
                self._note_link(path)
            return folder
        return self._walk(path, entry)

    def _walk(self, path: bytes, entry: TarEntry | None) -> Folder | None:
        """The same, name by name from the root."""
        above = [self.root]
        ahead = path.split(b"/")[::-1] if path else []
        links = 0
        absolute = False
        while ahead:
            name = ahead.pop()
            if name == b"..":
                self._go_up(above, path, absolute=absolute)
                continue
            node = above[-1].get(name)
            if node is None:
                if entry is None:
                    return None
                node = above[-1][name] = Folder(implied_by=entry.name)
                self.nodes += 1
            if isinstance(node, bytes):
                links += 1
                self._follow(path, links)
                if node.startswith(b"/"):
                    above, absolute = [self.root], True
                ahead.extend(cleaned(node)[::-1])
            else:
                _go_down(above, node, path, entry)
        return above[-1]

    def _go_up(self, above: list[Folder], path: bytes, *, absolute: bool) -> None:
        if len(above) > 1:
            above.pop()
        elif not absolute:
            self.report(unpack_errors.path_outside_of_layer(path))

    def _follow(self, path: bytes, links: int) -> None:
        """Note that the path leads through a link; `links` counts them so far."""
        self._note_link(path)
        if links > _MAX_LINKS:
            raise unpack_errors.too_many_links(path)

    def _note_link(self, path: bytes) -> None:
        if len(self._through_links) < _MAX_KNOWN:
            self._through_links.add(path)


def _go_down(above: list[Folder], node: Node, path: bytes, entry: TarEntry | None) -> None:
    if not isinstance(node, Folder):
        raise unpack_errors.not_a_folder(entry, path)
    above.append(node)
    if len(above) > _MAX_PATH:
        raise unpack_errors.too_deep(path)
