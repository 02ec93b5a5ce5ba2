"""Paths inside a tar and inside an image: split and cleaned as Go does it, and shown in messages."""

from __future__ import annotations

from typing import Final

# Messages show no more of a name.
_MAX_SHOWN: Final = 1000


def shown(name: bytes) -> str:
    """A name from a tar, as messages show it; only the beginning of a very long one."""
    beginning = name[:_MAX_SHOWN].decode("utf-8", "backslashreplace")
    return beginning if len(name) <= _MAX_SHOWN else f"{beginning}…"


def parts(path: bytes) -> list[bytes]:
    """The names in a path, without `.` and empty ones."""
    return [part for part in path.split(b"/") if part not in (b"", b".")]


def cleaned(path: bytes) -> list[bytes]:
    """The names in a path without `.`, and with `..` only at its beginning, as Go's filepath.Clean returns them."""
    names: list[bytes] = []
    for part in parts(path):
        if part == b".." and names and names[-1] != b"..":
            names.pop()
        else:
            names.append(part)
    return names


def split(name: bytes) -> tuple[bool, bytes, bytes]:
    """Split the name of a tar's entry, which may be absolute or begin with `./`.

    :returns: whether it leads out of the root, the path of its folder, and its last part; both within the root.
    """
    if name[:2] == b"./":
        name = name[2:]
    name = name.rstrip(b"/")
    leads_out = False
    if b"/." in name or b"//" in name or name[:1] in (b".", b"/", b""):
        names = cleaned(name)
        inside = [part for part in names if part != b".."]
        leads_out, name = len(inside) < len(names), b"/".join(inside)
    path, _, base = name.rpartition(b"/")
    return leads_out, path, base
