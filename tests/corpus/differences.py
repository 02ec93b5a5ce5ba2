"""Intended differences between our verdicts or words and the engines', and faults that only the layers' bytes show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NOT_FOR_THE_PLATFORM: Final = (
    "the config has another platform than the requested one; the image starts only because the test's binary is for "
    "amd64"
)
_NO_ENGINE_CHECKS_THE_OS: Final = (
    "the config has another operating system; containerd does not check it, and the test's binary is for Linux"
)

# Cases that an engine accepts and we refuse: at most ten. The reverse never happens.
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

# containerd's results were recorded with `ctr image pull`, which refuses these. A kubelet's containerd accepts them, as
# measured 2026-11-28 through CRI with 2.1.9, 2.2.7 and 2.3.4.
ACCEPTED_BY_CRI: Final = frozenset({"h-index-other-child-missing"})

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
        "h-tar-hardlink-missing",
        "h-tar-json",
        "h-tar-not-tar",
        "h-tar-unknown-type",
        "h-zstd-truncated",
    }
)
# Broken images that pass at default depth and fail with `verify_layers`: manifest and config show nothing.
ONLY_BYTES_TELL: Final[Mapping[str, frozenset[str]]] = {
    "fargate": _CONTAINERD,
    "ecs-ec2": _DOCKERD,
    "ecs-managed-instances": _CONTAINERD,
    "ecs-anywhere": _DOCKERD,
    "eks": _CONTAINERD,
    "batch": _CONTAINERD | _DOCKERD,
}

# Cases with the same verdict, where our words cannot be the engine's.
WORDS: Final[Mapping[str, str]] = {
    "h-layers-empty-list": "containerd pulls it without an error; our words are those of the failed start",
    "h-foreign-layer-blob-absent": "the engine's error is about the connection to the layer's own URL",
    "t-ctrd-buildcache2": "dockerd repeats the error 500 of the registry that served it",
}

# dockerd's containerd store pulls these without an error and then finds no command; our words are about the pull.
PULLED_BY_THE_STORE: Final = frozenset(
    {"h-artifact-helm", "h-artifact-notation", "h-artifact-oras-empty", "h-artifact-sbom", "h-artifact-wasm"}
)
