"""How engines read the user and the group of a config: a number is an ID, everything else a name to look up."""

from __future__ import annotations

from typing import Final

MAX_ID: Final = (1 << 31) - 1
"""The largest ID that engines accept."""


def account_id(name: str) -> int | None:
    """An ID, if the engines accept it as one; larger numbers are names to them.

    https://github.com/containerd/containerd/blob/main/pkg/oci/spec_opts.go, WithUser
    https://github.com/moby/sys/blob/main/user/user.go, GetExecUser
    """
    digits = name[1:] if name[:1] in ("+", "-") else name
    if not digits.isascii() or not digits.isdigit() or len(digits) > 19:
        return None
    return int(name) if 0 <= int(name) <= MAX_ID else None


def is_root(user: str) -> bool:
    """Whether a config's `User` is root by itself: an empty user, the ID 0, or the name.

    :param user: `user`, `user:group`, or empty.
    """
    name = user.partition(":")[0]
    return name in ("", "root") or account_id(name) == 0
