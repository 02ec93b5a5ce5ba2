"""Every finding that a check can report: what it means, and how far a runtime gets with such an image.

The checks, the documentation and everybody who acknowledges a finding share this one list. What engines say of such an
image is in `engine_messages`.
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
    """Every runtime takes it; somebody asked for something else, or ought to know."""


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
    "image-archived": CatalogEntry("ECR has archived the image, and serves it only after it was restored.", Stage.PULL),
    "manifest-missing": CatalogEntry("The index names a manifest that the repository does not hold.", Stage.PULL),
    "manifest-unreadable": CatalogEntry(
        "The index or the manifest is not a document that engines can read.", Stage.PULL
    ),
    "manifest-digest-mismatch": CatalogEntry(
        "The bytes of the index or the manifest are not those that its digest names.", Stage.PULL
    ),
    "manifest-size-mismatch": CatalogEntry("The index says another size than the manifest has.", Stage.PULL),
    "index-descriptor-type": CatalogEntry("The index says another media type of the manifest than it has.", Stage.PULL),
    "manifest-too-large": CatalogEntry("The index or the manifest is larger than engines take.", Stage.PULL),
    "manifest-type-mismatch": CatalogEntry(
        "The document says another media type of itself than the registry does.", Stage.PULL
    ),
    "platform-missing": CatalogEntry("The index holds no image for the platform.", Stage.PULL),
    "index-incomplete": CatalogEntry(
        "The index names a manifest for another platform that the repository does not hold.", Stage.PULL
    ),
    "manifest-type-refused": CatalogEntry("The runtime does not take a manifest of this type.", Stage.PULL),
    "platform-variants": CatalogEntry(
        "The index holds variants of the platform, among which dockerd chooses by the machine's processor.",
        Stage.POLICY,
    ),
    "index-not-taken": CatalogEntry(
        "The tag points at an index, and the runtime takes only a single image.", Stage.PULL
    ),
    "schema-1": CatalogEntry(
        "The manifest is a Docker schema 1 manifest, which newer engines no longer take.", Stage.PULL
    ),
    "not-an-image": CatalogEntry(
        "The tag points at something that is not an image: an attestation, a signature, a chart, a cache.", Stage.PULL
    ),
    # The config
    "config-descriptor-invalid": CatalogEntry("The manifest's config has no valid digest, or no size.", Stage.PULL),
    "config-missing": CatalogEntry("The registry does not hold the image's config.", Stage.PULL),
    "config-too-large": CatalogEntry("The config is larger than any that an image needs.", Stage.POLICY),
    "config-digest-mismatch": CatalogEntry("The bytes of the config are not those that its digest names.", Stage.PULL),
    "config-size-mismatch": CatalogEntry("The manifest says another size than the config has.", Stage.PULL),
    "config-unreadable": CatalogEntry("The config is not a document that the engine can read.", Stage.PULL),
    "rootfs-missing": CatalogEntry("The config has no rootfs, so it names none of the layers.", Stage.PULL),
    "rootfs-type-unknown": CatalogEntry("The config's rootfs has a type that the engine does not unpack.", Stage.START),
    "platform-doubtful": CatalogEntry("Nothing certain is known of this platform at this runtime.", Stage.POLICY),
    "platform-mismatch": CatalogEntry("The image is built for another platform than was asked for.", Stage.RUN),
    "platform-unknown": CatalogEntry("The config does not say for which architecture the image is.", Stage.POLICY),
    "history-too-long": CatalogEntry("The config's history names more layers than the image has.", Stage.PULL),
    "descriptor-for-another-platform": CatalogEntry(
        "The manifest marks its config or a layer as one for another platform, and the engine leaves it out.",
        Stage.PULL,
    ),
    "no-command": CatalogEntry(
        "The image has neither an entrypoint nor a command, and the task definition must give one.", Stage.START
    ),
    "env-invalid": CatalogEntry(
        "An entry of the config's Env has no name, or no `=`, or a NUL character.", Stage.START
    ),
    "argument-invalid": CatalogEntry(
        "The image's command has a NUL character, with which nothing can be executed.", Stage.RUN
    ),
    "working-dir-relative": CatalogEntry("The working directory is not an absolute path.", Stage.START),
    # The layers
    "no-layers": CatalogEntry("The image has no layers, so there is nothing to run.", Stage.START),
    "layer-type-unsupported": CatalogEntry("A layer has a type that the runtime does not unpack.", Stage.PULL),
    "layer-type-doubtful": CatalogEntry(
        "A layer has a type of which nothing certain is known at this runtime.", Stage.POLICY
    ),
    "diff-ids-count": CatalogEntry("The config names more or fewer layers than the manifest has.", Stage.PULL),
    "diff-id-wrong": CatalogEntry(
        "The config's diff_id of a layer is not the digest of what the layer unpacks to.", Stage.PULL
    ),
    "layer-descriptor-invalid": CatalogEntry("A layer has no valid digest.", Stage.PULL),
    "layer-missing": CatalogEntry("The registry does not serve a layer.", Stage.PULL),
    "layer-size-zero": CatalogEntry("The manifest says that a layer has no bytes.", Stage.PULL),
    "layer-size-mismatch": CatalogEntry("The manifest says another size than a layer has.", Stage.PULL),
    "layer-foreign": CatalogEntry("A layer is fetched from another place than the registry.", Stage.POLICY),
    "too-many-layers": CatalogEntry("The image has more layers than the engine can stack.", Stage.PULL),
    "layers-not-mountable": CatalogEntry("The image has more layers than can be mounted over each other.", Stage.START),
    # The layers' bytes
    "layer-digest-mismatch": CatalogEntry("The bytes of a layer are not those that its digest names.", Stage.PULL),
    "layer-truncated": CatalogEntry("A layer ends before its compressed stream does.", Stage.PULL),
    "layer-corrupt": CatalogEntry(
        "A layer cannot be decompressed: its data or a checksum is wrong, or something else follows it.", Stage.PULL
    ),
    "layer-too-large": CatalogEntry("A layer unpacks to more than any task has room for.", Stage.PULL),
    "tar-invalid": CatalogEntry("A layer is no tar, or has entries that the engine does not unpack.", Stage.PULL),
    "path-duplicated": CatalogEntry("A layer has two entries of one name.", Stage.PULL),
    "xattr-invalid": CatalogEntry(
        "A file in a layer has an extended attribute that the engine cannot set.", Stage.PULL
    ),
    "hardlink-target-missing": CatalogEntry(
        "A layer has a hard link to a file that it does not have itself.", Stage.PULL
    ),
    "parent-folder-missing": CatalogEntry(
        "A layer has a file and no entry for the file's folder before it, which Lambda does not take.", Stage.PULL
    ),
    # The start
    "entrypoint-missing": CatalogEntry("The image's command is not in the image.", Stage.START),
    "entrypoint-not-executable": CatalogEntry("The image's command may not be executed.", Stage.START),
    "entrypoint-unreadable": CatalogEntry(
        "The image's command is a script that the image's user may not read.", Stage.RUN
    ),
    "entrypoint-format-invalid": CatalogEntry(
        "The image's command is neither a program nor a script that begins with #!.", Stage.RUN
    ),
    "entrypoint-wrong-machine": CatalogEntry("The image's command is built for another machine.", Stage.RUN),
    "interpreter-missing": CatalogEntry(
        "The interpreter of a script, or the dynamic loader of a program, is not in the image.", Stage.RUN
    ),
    "user-missing": CatalogEntry(
        "The user or the group as which the image runs is not in its /etc/passwd or /etc/group, or has too large an "
        "ID there.",
        Stage.START,
    ),
    "working-dir-invalid": CatalogEntry(
        "The working directory is no folder in the image, and cannot be made one.", Stage.START
    ),
    "mount-point-invalid": CatalogEntry(
        "Where engines mount something into every container, the image has something else.", Stage.START
    ),
    # The size
    "image-too-small": CatalogEntry("The image is smaller than min_size.", Stage.POLICY),
    "image-too-large": CatalogEntry("The image is larger than max_size.", Stage.POLICY),
    "image-grew": CatalogEntry("The image has grown more, beside another, than it may.", Stage.POLICY),
    "image-too-large-for-runtime": CatalogEntry("The image is larger than the runtime takes.", Stage.PULL),
    "image-needs-storage": CatalogEntry(
        "The image needs more storage than the runtime gives by default.", Stage.POLICY
    ),
    # What was required
    "user-is-root": CatalogEntry("The image runs as root, and another user is required.", Stage.POLICY),
    "base-is-latest": CatalogEntry(
        "The image is built on a base whose tag is latest, and another one is required.", Stage.POLICY
    ),
    "base-not-said": CatalogEntry(
        "The image does not say on which base it is built, and one whose tag is not latest is required.", Stage.POLICY
    ),
    "label-missing": CatalogEntry("The image does not have a label that is required.", Stage.POLICY),
    "layers-above-maximum": CatalogEntry("The image has more layers than are allowed.", Stage.POLICY),
}
