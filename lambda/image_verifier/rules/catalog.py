"""Every finding that a check can report, and how far a runtime gets with such an image.

The checks, the documentation and everybody who acknowledges a finding share this one list. The meaning of each finding
is in `meanings`, and the engines' messages for such an image are in `engine_messages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Stage(str, Enum):
    """How far a runtime gets with an image that has a finding."""

    PULL = "pull"
    """It cannot be pulled and unpacked."""
    START = "start"
    """It is pulled, and no container can be started from it."""
    RUN = "run"
    """A container is started from it and ends at once."""
    POLICY = "policy"
    """Every runtime accepts it; the policy requires something else, or the finding is worth knowing."""


CATALOG: Final[Mapping[str, Stage]] = {
    # The index and the manifest
    "image-missing": Stage.PULL,
    "image-archived": Stage.PULL,
    "manifest-missing": Stage.PULL,
    "manifest-unreadable": Stage.PULL,
    "manifest-digest-mismatch": Stage.PULL,
    "manifest-size-mismatch": Stage.PULL,
    "index-descriptor-type": Stage.PULL,
    "manifest-too-large": Stage.PULL,
    "manifest-type-mismatch": Stage.PULL,
    "platform-missing": Stage.PULL,
    "index-incomplete": Stage.PULL,
    "manifest-foreign": Stage.POLICY,
    "manifest-type-refused": Stage.PULL,
    "platform-variants": Stage.POLICY,
    "index-not-taken": Stage.PULL,
    "schema-1": Stage.PULL,
    "not-an-image": Stage.PULL,
    # The config
    "config-descriptor-invalid": Stage.PULL,
    "config-missing": Stage.PULL,
    "config-too-large": Stage.POLICY,
    "config-digest-mismatch": Stage.PULL,
    "config-size-mismatch": Stage.PULL,
    "config-foreign": Stage.POLICY,
    "config-unreadable": Stage.PULL,
    "rootfs-missing": Stage.PULL,
    "rootfs-type-unknown": Stage.START,
    "platform-doubtful": Stage.POLICY,
    "platform-mismatch": Stage.RUN,
    "platform-unknown": Stage.POLICY,
    "history-too-long": Stage.PULL,
    "descriptor-for-another-platform": Stage.PULL,
    "no-command": Stage.START,
    "env-invalid": Stage.START,
    "argument-invalid": Stage.RUN,
    "working-dir-relative": Stage.START,
    # The layers
    "no-layers": Stage.START,
    "layer-type-unsupported": Stage.PULL,
    "layer-type-doubtful": Stage.POLICY,
    "diff-ids-count": Stage.PULL,
    "diff-id-wrong": Stage.PULL,
    "layer-descriptor-invalid": Stage.PULL,
    "layer-missing": Stage.PULL,
    "layer-size-zero": Stage.PULL,
    "layer-size-mismatch": Stage.PULL,
    "layer-foreign": Stage.POLICY,
    "too-many-layers": Stage.PULL,
    "layers-not-mountable": Stage.START,
    # The layers' bytes
    "layer-digest-mismatch": Stage.PULL,
    "layer-truncated": Stage.PULL,
    "layer-corrupt": Stage.PULL,
    "layer-too-large": Stage.PULL,
    "tar-invalid": Stage.PULL,
    "path-duplicated": Stage.PULL,
    "xattr-invalid": Stage.PULL,
    "hardlink-target-missing": Stage.PULL,
    "parent-folder-missing": Stage.PULL,
    # The start
    "entrypoint-missing": Stage.START,
    "entrypoint-not-executable": Stage.START,
    "entrypoint-unreadable": Stage.RUN,
    "entrypoint-closed": Stage.RUN,
    "entrypoint-format-invalid": Stage.RUN,
    "entrypoint-wrong-machine": Stage.RUN,
    "programs-wrong-machine": Stage.RUN,
    "interpreter-missing": Stage.RUN,
    "user-missing": Stage.START,
    "passwd-link-absolute": Stage.START,
    "etc-is-link": Stage.START,
    "working-dir-invalid": Stage.START,
    "working-dir-closed": Stage.RUN,
    "code-unreadable": Stage.RUN,
    "mount-point-invalid": Stage.START,
    # The size
    "image-too-small": Stage.POLICY,
    "image-too-large": Stage.POLICY,
    "image-grew": Stage.POLICY,
    "image-too-large-for-runtime": Stage.PULL,
    "image-needs-storage": Stage.POLICY,
    # The requirements of the policy
    "user-is-root": Stage.POLICY,
    "base-is-latest": Stage.POLICY,
    "base-not-said": Stage.POLICY,
    "label-missing": Stage.POLICY,
    "layers-above-maximum": Stage.POLICY,
}
