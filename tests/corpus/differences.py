"""Intended differences between our verdicts or words and the engines', and faults that only the layers' bytes show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NOT_FOR_THE_PLATFORM: Final = (
    "the config says that the image is for another platform, which is what was asked; it starts here only "
    "because the test's binary is one for amd64 whatever the config says"
)
_NO_ENGINE_CHECKS_THE_OS: Final = (
    "the config says that the image is for another operating system; containerd does not look, and the test's "
    "binary is one for Linux whatever the config says"
)

# Healthy to an engine and refused by us: at most ten, and none the other way round.
VERDICTS: Final[Mapping[str, str]] = {
    "b-classic-arm64-norun": _NOT_FOR_THE_PLATFORM,
    "b-ctrd-arm64-norun-noatt": _NOT_FOR_THE_PLATFORM,
    "b-ctrd-arm64-run": _NOT_FOR_THE_PLATFORM,
    "h-config-arch-arm64": _NOT_FOR_THE_PLATFORM,
    "h-config-arch-arm64-docker": _NOT_FOR_THE_PLATFORM,
    "h-index-says-amd64-config-arm64": _NOT_FOR_THE_PLATFORM,
    "h-config-os-windows": _NO_ENGINE_CHECKS_THE_OS,
    "h-config-unknown-unknown": _NO_ENGINE_CHECKS_THE_OS,
}

_CONTAINERD: Final = frozenset(
    {
        "h-config-user-unknown",
        "h-diffid-wrong-last",
        "h-diffid-wrong-middle",
        "h-diffids-swapped",
        "h-gzip-bad-isize",
        "h-gzip-header-only",
        "h-gzip-magic-only",
        "h-gzip-trailing-garbage",
        "h-gzip-truncated",
        "h-gzip-truncated-4",
        "h-layer-bytes-do-not-match-digest",
        "h-tar-bad-checksum",
        "h-tar-hardlink-missing",
        "h-tar-json",
        "h-tar-not-tar",
        "h-tar-unknown-type",
        "h-zstd-bad-checksum",
        "h-zstd-trailing-garbage",
        "h-zstd-truncated",
    }
)
_DOCKERD: Final = frozenset(
    {
        "h-config-user-unknown",
        "h-diffid-wrong-last",
        "h-diffid-wrong-middle",
        "h-diffids-swapped",
        "h-gzip-header-only",
        "h-gzip-magic-only",
        "h-gzip-truncated",
        "h-layer-bytes-do-not-match-digest",
        "h-tar-bad-checksum",
        "h-tar-dotdot",
        "h-tar-hardlink-missing",
        "h-tar-json",
        "h-tar-not-tar",
        "h-tar-unknown-type",
        "h-zstd-truncated",
    }
)
# Broken, and nothing in manifest and config tells: pass at default depth, refused with `verify_layers`.
ONLY_BYTES_TELL: Final[Mapping[str, frozenset[str]]] = {
    "fargate": _CONTAINERD,
    "ecs-ec2": _DOCKERD,
    "eks": _CONTAINERD,
    "batch": _CONTAINERD | _DOCKERD,
}

# The verdict agrees, and the words cannot.
WORDS: Final[Mapping[str, str]] = {
    "h-layers-empty-list": "containerd says nothing when it pulls; ours is what the start says",
    "h-foreign-layer-blob-absent": "the engine says how a connection to the layer's own URL failed",
    "t-ctrd-buildcache2": "dockerd repeats the error 500 of the registry that served it",
}
