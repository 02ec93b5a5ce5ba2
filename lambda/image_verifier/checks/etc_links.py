"""Links at /etc and on the way to its tables of users, which some hosts cannot follow when they create a container."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..layers.facts import Contents
from ..layers.file_system import FileSystem
from ..layers.paths import shown
from ..report import Finding, Severity
from ..rules.engines import Engine
from .mounts import file_systems
from .subject import Subject, finding

_ETC: Final = b"/etc"
_ACCOUNTS: Final = (b"/etc/passwd", b"/etc/group")


def can_be_followed_to_the_accounts(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """The engine's releases can all open /etc/passwd and /etc/group, in which they look up the image's user.

    https://github.com/containerd/containerd/blob/v2.2.2/pkg/oci/spec_opts.go, WithUser
    https://github.com/containerd/containerd/blob/v2.2.7/pkg/oci/spec_opts.go, openUserFile
    """
    for files, engine, _ in file_systems(subject, contents):
        for path in _ACCOUNTS:
            link = files.escape(path)
            releases, name = _refusing(files, engine, path) if link else ("", b"")
            if link and releases:
                at, target = map(shown, link)
                through = f"The way to {shown(path)} goes through the link {at} -> {target}"
                yield finding(
                    "passwd-link-absolute",
                    f"{f'{at} is a link to {target}' if at == shown(path) else through}, which {releases} cannot "
                    "follow when it creates a container.",
                    engine.starter,
                    severity=Severity.WARNING,
                    expected="a file in a folder, or relative links",
                    found=target,
                    name=shown(name),
                )
                break


def _refusing(files: FileSystem, engine: Engine, path: bytes) -> tuple[str, bytes]:
    """The releases of the engine that cannot open a path with a link that leads out of the root.

    :returns: the releases, empty where there are none, and the name that they cannot open.
    """
    name = path[1:]
    if files.escape(path.rpartition(b"/")[0]):
        return engine.follow_one_link, name
    node, _ = files.find(path, follow=False)
    if not isinstance(node, bytes) or not node.startswith(b"/"):
        return engine.follow_one_link, name
    if files.escape(node):
        return engine.follow_one_link, node[1:]
    return engine.follow_no_link, name


def has_a_folder_at_etc(subject: Subject, contents: Contents) -> Iterator[Finding]:
    """There is a folder at /etc, or nothing, where the runtime makes that folder itself."""
    error = subject.runtime.etc_error
    for files, _, _ in file_systems(subject, contents) if error else ():
        node, _ = files.find(_ETC, follow=False)
        if isinstance(node, bytes):
            yield finding(
                "etc-is-link",
                f"/etc is a link to {shown(node)}, but {subject.runtime.etc_hosts} and fails at the link.",
                severity=Severity.WARNING,
                expected="a folder, or nothing",
                found=shown(node),
                runtime_error=error,
            )
