"""The engines' messages that were measured: a real engine reported them for an image of the finding.

The corpus holds the images and the reports of most, and tests/corpus/test_agreement.py compares. All other messages of
`engine_messages` were read in an engine's source: reports label them as predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# By finding, the keys of `MESSAGES`.
MEASURED: Final[Mapping[str, tuple[str, ...]]] = {
    "manifest-unreadable": (
        "containerd",
        "containerd, empty",
        "dockerd",
        "dockerd, containerd store, empty",
    ),
    "manifest-size-mismatch": (
        "containerd 2, too large",
        "containerd, too large",
    ),
    "manifest-type-mismatch": (
        "dockerd",
        "dockerd, optional",
    ),
    "platform-missing": (
        "containerd",
        "containerd 2",
        "dockerd",
        "dockerd, containerd store",
    ),
    "index-incomplete": ("containerd",),
    "schema-1": (
        "containerd",
        "containerd 2, no manifest",
        "containerd, no manifest",
        "containerd, no signature",
        "dockerd",
        "dockerd, containerd store",
        "dockerd, containerd store, no manifest",
        "dockerd, no signature",
        "dockerd, not JSON",
    ),
    "not-an-image": (
        "containerd 2, no manifest",
        "containerd 2, no platform",
        "containerd 2, other layers",
        "containerd, no manifest",
        "containerd, no platform",
        "containerd, no processor",
        "containerd, not fetched",
        "containerd, other layers",
        "dockerd",
        "dockerd, containerd store, no manifest",
        "dockerd, containerd store, no platform",
        "dockerd, containerd store, not fetched",
        "dockerd, containerd store, other layers",
        "dockerd, no signature",
        "dockerd, not JSON",
    ),
    "config-descriptor-invalid": (
        "containerd, size 0",
        "dockerd",
    ),
    "config-missing": (
        "containerd",
        "dockerd",
    ),
    "config-digest-mismatch": (
        "containerd",
        "dockerd",
        "dockerd, containerd store",
    ),
    "config-unreadable": (
        "containerd",
        "dockerd",
    ),
    "rootfs-missing": (
        "containerd",
        "dockerd",
    ),
    "platform-mismatch": (
        "containerd",
        "dockerd",
        "dockerd, operating system",
    ),
    "no-command": (
        "containerd",
        "dockerd",
    ),
    "working-dir-relative": (
        "containerd",
        "dockerd",
    ),
    "no-layers": (
        "containerd",
        "dockerd",
    ),
    "layer-type-unsupported": (
        "containerd 2, encrypted",
        "containerd, encrypted",
        "containerd, not counted",
    ),
    "diff-ids-count": (
        "containerd",
        "dockerd",
    ),
    "diff-id-wrong": (
        "containerd",
        "containerd 2, compressed",
        "containerd, compressed",
        "dockerd",
    ),
    "layer-missing": (
        "containerd",
        "dockerd",
    ),
    "layer-size-zero": ("containerd, size 0",),
    "layer-size-mismatch": (
        "containerd 2, too large",
        "containerd, too large",
        "containerd, too small",
        "dockerd, containerd store, too small",
    ),
    "too-many-layers": ("dockerd",),
    "layer-digest-mismatch": (
        "containerd",
        "dockerd",
        "dockerd, containerd store",
    ),
    "layer-truncated": (
        "containerd",
        "containerd 2",
        "dockerd",
    ),
    "layer-corrupt": (
        "containerd",
        "containerd 2",
    ),
    "tar-invalid": (
        "containerd",
        "containerd 2",
        "containerd 2, first",
        "containerd, first",
        "dockerd",
    ),
    "hardlink-target-missing": (
        "containerd",
        "containerd 2",
        "dockerd",
    ),
    "entrypoint-wrong-machine": ("containerd",),
    "passwd-link-absolute": ("containerd",),
    "user-missing": (
        "containerd 2, no file",
        "containerd, no file",
        "dockerd",
    ),
}
