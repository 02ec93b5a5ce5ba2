"""Every finding that a check can report: what it means, and how far a runtime gets with such an image.

The checks, the documentation and everybody who acknowledges a finding share this one list. The engines' messages for
such an image are in `engine_messages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class CatalogEntry:
    """One kind of finding.

    :param meaning: one sentence that says what it means.
    :param stage: how far a runtime gets.
    """

    meaning: str
    stage: Stage


CATALOG: Final[Mapping[str, CatalogEntry]] = {
    # The index and the manifest
    "image-missing": CatalogEntry("The repository has no image of that tag or digest.", Stage.PULL),
    "image-archived": CatalogEntry("ECR has archived the image, and serves it only after it is restored.", Stage.PULL),
    "manifest-missing": CatalogEntry("The repository does not hold a manifest that the index references.", Stage.PULL),
    "manifest-unreadable": CatalogEntry(
        "The index or the manifest is not a document that engines can read.", Stage.PULL
    ),
    "manifest-digest-mismatch": CatalogEntry("The index or the manifest does not match its digest.", Stage.PULL),
    "manifest-size-mismatch": CatalogEntry(
        "The size in the index's descriptor is not the manifest's size.", Stage.PULL
    ),
    "index-descriptor-type": CatalogEntry(
        "The media type in the index's descriptor is not the manifest's media type.", Stage.PULL
    ),
    "manifest-too-large": CatalogEntry("The index or the manifest is larger than engines accept.", Stage.PULL),
    "manifest-type-mismatch": CatalogEntry(
        "The `mediaType` in the document is not the media type that the registry reports.", Stage.PULL
    ),
    "platform-missing": CatalogEntry("The index holds no image for the platform.", Stage.PULL),
    "index-incomplete": CatalogEntry(
        "The repository does not hold a manifest for another platform that the index references.", Stage.PULL
    ),
    "manifest-type-refused": CatalogEntry("The runtime does not accept a manifest of this type.", Stage.PULL),
    "platform-variants": CatalogEntry(
        "The index holds several variants of the platform, and dockerd chooses one by the machine's processor.",
        Stage.POLICY,
    ),
    "index-not-taken": CatalogEntry(
        "The tag points at an index, but the runtime accepts only a single image.", Stage.PULL
    ),
    "schema-1": CatalogEntry(
        "The manifest is a Docker schema 1 manifest, which newer engines no longer accept.", Stage.PULL
    ),
    "not-an-image": CatalogEntry(
        "The tag points at something that is not an image: an attestation, a signature, a chart, a cache.", Stage.PULL
    ),
    # The config
    "config-descriptor-invalid": CatalogEntry(
        "The manifest's descriptor of the config has no valid digest, or no size.", Stage.PULL
    ),
    "config-missing": CatalogEntry("The registry does not hold the image's config.", Stage.PULL),
    "config-too-large": CatalogEntry("The config is larger than any that an image needs.", Stage.POLICY),
    "config-digest-mismatch": CatalogEntry("The config does not match its digest.", Stage.PULL),
    "config-size-mismatch": CatalogEntry("The size of the config in the manifest's descriptor is wrong.", Stage.PULL),
    "config-foreign": CatalogEntry("The config is fetched from another place than the registry.", Stage.POLICY),
    "config-unreadable": CatalogEntry("The config is not a document that the engine can read.", Stage.PULL),
    "rootfs-missing": CatalogEntry("The config has no rootfs, so it lists none of the layers.", Stage.PULL),
    "rootfs-type-unknown": CatalogEntry("The config's rootfs has a type that the engine does not unpack.", Stage.START),
    "platform-doubtful": CatalogEntry("It is not known whether the runtime supports this platform.", Stage.POLICY),
    "platform-mismatch": CatalogEntry("The image is built for another platform than the required one.", Stage.RUN),
    "platform-unknown": CatalogEntry("The config does not name the image's architecture.", Stage.POLICY),
    "history-too-long": CatalogEntry("The config's history lists more layers than the image has.", Stage.PULL),
    "descriptor-for-another-platform": CatalogEntry(
        "The manifest's descriptor of the config or of a layer is for another platform, and the engine skips it.",
        Stage.PULL,
    ),
    "no-command": CatalogEntry(
        "The image has neither an entrypoint nor a command, so the task definition must set one.", Stage.START
    ),
    "env-invalid": CatalogEntry(
        "An entry of the config's Env has no name, or no `=`, or a NUL character.", Stage.START
    ),
    "argument-invalid": CatalogEntry(
        "The image's command contains a NUL character, so it cannot be executed.", Stage.RUN
    ),
    "working-dir-relative": CatalogEntry("The working directory is not an absolute path.", Stage.START),
    # The layers
    "no-layers": CatalogEntry("The image has no layers, so there is nothing to run.", Stage.START),
    "layer-type-unsupported": CatalogEntry("A layer has a type that the runtime cannot unpack.", Stage.PULL),
    "layer-type-doubtful": CatalogEntry("It is not known whether the runtime unpacks the layer's type.", Stage.POLICY),
    "diff-ids-count": CatalogEntry("The config lists more or fewer layers than the manifest has.", Stage.PULL),
    "diff-id-wrong": CatalogEntry(
        "A layer's diff_id in the config is not the digest of its unpacked bytes.", Stage.PULL
    ),
    "layer-descriptor-invalid": CatalogEntry("A layer's descriptor has no valid digest.", Stage.PULL),
    "layer-missing": CatalogEntry("The registry does not serve a layer.", Stage.PULL),
    "layer-size-zero": CatalogEntry("The size of a layer in the manifest's descriptor is 0.", Stage.PULL),
    "layer-size-mismatch": CatalogEntry("The size of a layer in the manifest's descriptor is wrong.", Stage.PULL),
    "layer-foreign": CatalogEntry("A layer is fetched from another place than the registry.", Stage.POLICY),
    "too-many-layers": CatalogEntry("The image has more layers than the engine can stack.", Stage.PULL),
    "layers-not-mountable": CatalogEntry("The image has more layers than can be mounted over each other.", Stage.START),
    # The layers' bytes
    "layer-digest-mismatch": CatalogEntry("A layer does not match its digest.", Stage.PULL),
    "layer-truncated": CatalogEntry("A layer ends before its compressed stream does.", Stage.PULL),
    "layer-corrupt": CatalogEntry(
        "A layer cannot be decompressed: its data or a checksum is wrong, or something else follows it.", Stage.PULL
    ),
    "layer-too-large": CatalogEntry("A layer is larger unpacked than the storage of any task.", Stage.PULL),
    "tar-invalid": CatalogEntry(
        "A layer is not a valid tar archive, or has entries that the engine cannot unpack.", Stage.PULL
    ),
    "path-duplicated": CatalogEntry("A layer has two entries with the same name.", Stage.PULL),
    "xattr-invalid": CatalogEntry(
        "A file in a layer has an extended attribute that the engine cannot set.", Stage.PULL
    ),
    "hardlink-target-missing": CatalogEntry(
        "A layer has a hard link to a file that it does not have itself.", Stage.PULL
    ),
    "parent-folder-missing": CatalogEntry(
        "A layer has no entry for a file's folder before the file, which Lambda does not accept.", Stage.PULL
    ),
    # The start
    "entrypoint-missing": CatalogEntry("The image's command is not in the image.", Stage.START),
    "entrypoint-not-executable": CatalogEntry("The image's command is not executable.", Stage.START),
    "entrypoint-unreadable": CatalogEntry(
        "The image's command is a script that the image's user cannot read.", Stage.RUN
    ),
    "entrypoint-closed": CatalogEntry(
        "The user that Lambda runs every image as cannot execute the image's command or read its script.",
        Stage.RUN,
    ),
    "entrypoint-format-invalid": CatalogEntry(
        "The image's command is neither a program nor a script that begins with #!.", Stage.RUN
    ),
    "entrypoint-wrong-machine": CatalogEntry("The image's command is built for another machine.", Stage.RUN),
    "programs-wrong-machine": CatalogEntry(
        "The image's command is built for the right machine, and the shell or most other programs for another one.",
        Stage.RUN,
    ),
    "interpreter-missing": CatalogEntry(
        "The interpreter of a script, or the dynamic loader of a program, is not in the image.", Stage.RUN
    ),
    "user-missing": CatalogEntry(
        "The image's user or group is not in its /etc/passwd or /etc/group, or has too large an ID there.",
        Stage.START,
    ),
    "passwd-link-absolute": CatalogEntry(
        "An absolute link leads to /etc/passwd or /etc/group, and some releases of containerd 2.2 and 2.3 follow none.",
        Stage.START,
    ),
    "etc-is-link": CatalogEntry("/etc is a link, and Fargate creates a folder there.", Stage.START),
    "working-dir-invalid": CatalogEntry(
        "The working directory is not a folder in the image, and cannot be created.", Stage.START
    ),
    "working-dir-closed": CatalogEntry(
        "The user that Lambda runs every image as cannot enter the working directory.", Stage.RUN
    ),
    "code-unreadable": CatalogEntry(
        "The user that Lambda runs every image as cannot read a file under /var/task.", Stage.RUN
    ),
    "mount-point-invalid": CatalogEntry(
        "A path that engines mount in every container is of the wrong kind in the image.", Stage.START
    ),
    # The size
    "image-too-small": CatalogEntry("The image is smaller than min_size.", Stage.POLICY),
    "image-too-large": CatalogEntry("The image is larger than max_size.", Stage.POLICY),
    "image-grew": CatalogEntry("The image is larger, compared with another image, than is allowed.", Stage.POLICY),
    "image-too-large-for-runtime": CatalogEntry("The image is larger than the runtime accepts.", Stage.PULL),
    "image-needs-storage": CatalogEntry(
        "The image needs more storage than the runtime gives by default.", Stage.POLICY
    ),
    # The requirements of the policy
    "user-is-root": CatalogEntry("The image runs as root, but another user is required.", Stage.POLICY),
    "base-is-latest": CatalogEntry(
        "The image is built on a base whose tag is latest, but another one is required.", Stage.POLICY
    ),
    "base-not-said": CatalogEntry(
        "The image does not name its base, but one whose tag is not latest is required.", Stage.POLICY
    ),
    "label-missing": CatalogEntry("The image does not have a label that is required.", Stage.POLICY),
    "layers-above-maximum": CatalogEntry("The image has more layers than are allowed.", Stage.POLICY),
}
