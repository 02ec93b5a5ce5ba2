"""Every finding there can be: what it means, how far a runtime gets with such an image, and what engines say.

The checks, the documentation and whoever names a finding (to acknowledge it, say) share this one list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    :param messages: what the engines say, by family; where an engine has several ways to say it, by their names.
    """

    meaning: str
    stage: Stage
    messages: Mapping[str, str] = field(default_factory=dict)


_RUNC: Final = "OCI runtime create failed: runc create failed: "
_SHIM_ALONE: Final = "failed to create shim task: "
_SHIM: Final = _SHIM_ALONE + _RUNC
_TASK: Final = "failed to create task for container: failed to create shim task: " + _RUNC
_UNPACK: Final = "failed to unpack image on snapshotter overlayfs: "
_NOT_FETCHED: Final = (
    "failed to copy: httpReadSeeker: failed open: could not fetch content descriptor {digest} ({media_type}) "
    "from remote: not found"
)
_COUNT: Final = "number of layers and diffIDs don't match: {counted} != {diff_ids}"
_ROOTFS: Final = "layers from manifest don't match image configuration"
_NOT_FOUND: Final = 'failed to resolve reference "{reference}": {reference}: not found'
_COMMIT: Final = 'failed commit on ref "{name}": '
_SIZES: Final[Mapping[str, str]] = {
    "containerd, size 0": "unable to fetch descriptor ({digest}) which reports content size of zero: invalid argument",
    "containerd, too large": "failed to read expected number of bytes: unexpected EOF",
    "containerd, too small": _COMMIT + '"{name}" failed size validation: {actual} != {declared}: failed precondition',
}

# Containerd mounts an image's first layer to unpack it; the others it writes where they stay. `…` stands for what is
# never the same.
_UNPACKING: Final = {
    "containerd": "failed to extract layer {diff_id}: {error}: unknown",
    "containerd, first": "failed to extract layer {diff_id}: mount callback failed on …: {error}: unknown",
    "dockerd": "failed to register layer: {error}",
}
_INIT: Final = _SHIM + "unable to start container process: error during container init: "
_INIT_AT_DOCKERD: Final = _TASK + "unable to start container process: error during container init: "
_EXEC: Final = {
    "containerd": _SHIM + 'unable to start container process: exec: "{program}": {error}: unknown',
    "dockerd": _TASK + 'unable to start container process: exec: "{program}": {error}: unknown',
}
_FORMAT: Final = {"containerd": "exec {program}: exec format error", "dockerd": "exec {program}: exec format error"}
_ID_TOO_LARGE: Final = (
    "unable to start container process: unable to setup user: uids and gids must be in range 0-2147483647"
)
# Without the variable itself: it may hold a secret.
_NO_NAME: Final = "environment variable name can't be empty: …"
_NUL: Final = "environment variable {part} can't contain null(\\x00): …"


def _digest(dockerd: str) -> Mapping[str, str]:
    return {
        "containerd": _COMMIT + "unexpected commit digest {actual}, expected {digest}: failed precondition",
        "dockerd": dockerd,
    }


CATALOG: Final[Mapping[str, CatalogEntry]] = {
    # The index and the manifest
    "image-missing": CatalogEntry(
        "The repository has no image of that tag or digest.",
        Stage.PULL,
        {"containerd": _NOT_FOUND, "dockerd": "manifest for {reference} not found: manifest unknown"},
    ),
    "image-archived": CatalogEntry(
        "ECR has archived the image, and serves it only after it was restored.",
        Stage.PULL,
        {"containerd": _NOT_FOUND, "dockerd": "manifest for {reference} not found: manifest unknown"},
    ),
    "manifest-missing": CatalogEntry(
        "The index names a manifest that the repository does not hold.",
        Stage.PULL,
        {
            "containerd": "failed to copy: httpReadSeeker: failed open: content at …/manifests/{digest} not found: "
            "not found",
            "containerd, other type": _NOT_FETCHED,
            "dockerd": "manifest unknown",
        },
    ),
    "manifest-unreadable": CatalogEntry(
        "The index or the manifest is not a document that engines can read.",
        Stage.PULL,
        {"containerd": "{why}", "dockerd": "{why}"},
    ),
    "manifest-digest-mismatch": CatalogEntry(
        "The bytes of the index or the manifest are not those that its digest names.",
        Stage.PULL,
        _digest("manifest verification failed for digest {digest}"),
    ),
    "manifest-size-mismatch": CatalogEntry(
        "The index says another size than the manifest has.",
        Stage.PULL,
        _SIZES,
    ),
    "index-descriptor-type": CatalogEntry(
        "The index says another media type of the manifest than it has.",
        Stage.PULL,
        {
            "containerd": _NOT_FETCHED,
            "containerd, index": "children: invalid desc {digest}: media-type: expected index but found manifest "
            "({media_type})",
            "containerd, manifest": "children: invalid desc {digest}: media-type: expected manifest but found index "
            "({media_type})",
        },
    ),
    "manifest-too-large": CatalogEntry(
        "The index or the manifest is larger than engines take.",
        Stage.PULL,
        {"containerd": "rejecting {size} byte manifest"},
    ),
    "manifest-type-mismatch": CatalogEntry(
        "The document says another media type of itself than the registry does.",
        Stage.PULL,
        {
            "dockerd": "mediaType in {what} should be '{expected}' not '{found}'",
            "dockerd, optional": "if present, mediaType in {what} should be '{expected}' not '{found}'",
        },
    ),
    "platform-missing": CatalogEntry(
        "The index holds no image for the platform.",
        Stage.PULL,
        {
            "containerd": "no match for platform in manifest: not found",
            "dockerd": "no matching manifest for {platform} in the manifest list entries",
        },
    ),
    "index-incomplete": CatalogEntry(
        "The index names a manifest for another platform that the repository does not hold.",
        Stage.PULL,
        {"containerd": "failed to copy: httpReadSeeker: failed open: content at {url} not found: not found"},
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
        "The manifest is a Docker schema 1 manifest, which newer engines no longer take.",
        Stage.PULL,
        {
            "containerd": "schema 1 image manifests are no longer supported: invalid argument",
            "dockerd": "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed.",
        },
    ),
    "not-an-image": CatalogEntry(
        "The tag points at something that is not an image: an attestation, a signature, a chart, a cache.",
        Stage.PULL,
        {
            "containerd, no manifest": _UNPACK + "unexpected media type {media_type} for {digest}: not found",
            "containerd, other layers": _UNPACK + "mismatched image rootfs and manifest layers",
            "containerd, no processor": _UNPACK
            + "failed to extract layer {diff_id}: failed to get stream processor for {media_type}: "
            "no processor for media-type: unknown",
            "containerd, not fetched": _UNPACK
            + "failed to extract layer {diff_id}: failed to get reader from content store: "
            "content digest {digest}: not found",
            "dockerd": "unsupported media type {media_type}",
            "dockerd, schema 2": 'Encountered remote "{media_type}"({kind}) when fetching',
        },
    ),
    # The config
    "config-descriptor-invalid": CatalogEntry(
        "The manifest's config has no valid digest, or no size.",
        Stage.PULL,
        {**_SIZES, "dockerd": "unexpected EOF"},
    ),
    "config-missing": CatalogEntry(
        "The registry does not hold the image's config.",
        Stage.PULL,
        {
            "containerd": _NOT_FETCHED,
            "dockerd": "error pulling image configuration: download failed after attempts=1: unknown blob",
        },
    ),
    "config-too-large": CatalogEntry("The config is larger than any that an image needs.", Stage.POLICY),
    "config-digest-mismatch": CatalogEntry(
        "The bytes of the config are not those that its digest names.",
        Stage.PULL,
        _digest("error pulling image configuration: image config verification failed for digest {digest}"),
    ),
    "config-size-mismatch": CatalogEntry("The manifest says another size than the config has.", Stage.PULL, _SIZES),
    "config-unreadable": CatalogEntry(
        "The config is not a document that the engine can read.",
        Stage.PULL,
        {"containerd": "unmarshal image config: {why}", "dockerd": "{why}"},
    ),
    "rootfs-missing": CatalogEntry(
        "The config has no rootfs, so it names none of the layers.",
        Stage.PULL,
        {"containerd": _COUNT, "dockerd": "invalid rootfs in image configuration"},
    ),
    "rootfs-type-unknown": CatalogEntry("The config's rootfs has a type that the engine does not unpack.", Stage.START),
    "platform-doubtful": CatalogEntry("Nothing certain is known of this platform at this runtime.", Stage.POLICY),
    "platform-mismatch": CatalogEntry(
        "The image is built for another platform than was asked for.",
        Stage.RUN,
        {
            "containerd": "exec format error",
            "dockerd": "exec format error",
            "dockerd, operating system": 'image operating system "{os}" cannot be used on this platform: '
            "operating system is not supported",
        },
    ),
    "platform-unknown": CatalogEntry("The config does not say for which architecture the image is.", Stage.POLICY),
    "history-too-long": CatalogEntry(
        "The config's history names more layers than the image has.",
        Stage.PULL,
        {"dockerd": "too many non-empty layers in History section"},
    ),
    "descriptor-for-another-platform": CatalogEntry(
        "The manifest marks its config or a layer as one for another platform, and the engine leaves it out.",
        Stage.PULL,
        {
            "containerd": _COUNT,
            "containerd, config": _UNPACK + "failed to resolve rootfs: content digest {digest}: not found",
        },
    ),
    "no-command": CatalogEntry(
        "The image has neither an entrypoint nor a command, and the task definition must give one.",
        Stage.START,
        {"containerd": _SHIM + "args must not be empty: unknown", "dockerd": "no command specified"},
    ),
    "env-invalid": CatalogEntry(
        "An entry of the config's Env has no name, or no `=`, or a NUL character.",
        Stage.START,
        {
            "containerd, name": _INIT + _NO_NAME,
            "containerd, NUL": _INIT + _NUL,
            "containerd, =": _INIT + "invalid environment variable: …",
            "dockerd, name": _INIT_AT_DOCKERD + _NO_NAME,
            "dockerd, NUL": _INIT_AT_DOCKERD + _NUL,
        },
    ),
    "argument-invalid": CatalogEntry(
        "The image's command has a NUL character, with which nothing can be executed.",
        Stage.RUN,
        {"containerd": "exec {program}: {error}", "dockerd": "exec {program}: {error}"},
    ),
    "working-dir-relative": CatalogEntry(
        "The working directory is not an absolute path.",
        Stage.START,
        {
            "containerd": _SHIM + "Cwd must be an absolute path: unknown",
            "dockerd": _TASK + "Cwd must be an absolute path: unknown",
        },
    ),
    # The layers
    "no-layers": CatalogEntry(
        "The image has no layers, so there is nothing to run.",
        Stage.START,
        {
            "containerd": _SHIM + 'unable to start container process: exec: "{program}": stat {program}: '
            "no such file or directory: unknown",
            "dockerd": _TASK + 'unable to start container process: exec: "{program}": stat {program}: '
            "no such file or directory: unknown",
        },
    ),
    "layer-type-unsupported": CatalogEntry(
        "A layer has a type that the runtime does not unpack.",
        Stage.PULL,
        {
            "containerd": "failed to extract layer {diff_id}: failed to get stream processor for {media_type}: "
            "no processor for media-type: unknown",
            "containerd, encrypted": "failed to extract layer {diff_id}: failed to get stream processor for "
            '{media_type}: exec: "ctd-decoder": executable file not found in $PATH: unknown',
            "containerd, not counted": _COUNT,
            "dockerd": "unsupported media type {media_type}",
        },
    ),
    "layer-type-doubtful": CatalogEntry(
        "A layer has a type of which nothing certain is known at this runtime.",
        Stage.POLICY,
    ),
    "diff-ids-count": CatalogEntry(
        "The config names more or fewer layers than the manifest has.",
        Stage.PULL,
        {
            "containerd": _COUNT,
            "containerd, no layers": _UNPACK + "mismatched image rootfs and manifest layers",
            "dockerd": _ROOTFS,
            "dockerd, no layers": _ROOTFS,
        },
    ),
    "diff-id-wrong": CatalogEntry(
        "The config's diff_id of a layer is not the digest of what the layer unpacks to.",
        Stage.PULL,
        {
            "containerd": 'wrong diff id calculated on extraction "{calculated}"',
            "containerd, compressed": "failed to extract layer {diff_id}: archive/tar: invalid tar header: unknown",
            "dockerd": _ROOTFS,
        },
    ),
    "layer-descriptor-invalid": CatalogEntry(
        "A layer has no valid digest.",
        Stage.PULL,
        {"containerd": _NOT_FETCHED, "dockerd": 'could not validate layer digest "{digest}": {why}'},
    ),
    "layer-missing": CatalogEntry(
        "The registry does not serve a layer.",
        Stage.PULL,
        {"containerd": _NOT_FETCHED, "dockerd": "unknown blob"},
    ),
    "layer-size-zero": CatalogEntry("The manifest says that a layer has no bytes.", Stage.PULL, _SIZES),
    "layer-size-mismatch": CatalogEntry("The manifest says another size than a layer has.", Stage.PULL, _SIZES),
    "layer-foreign": CatalogEntry("A layer is fetched from another place than the registry.", Stage.POLICY),
    "too-many-layers": CatalogEntry(
        "The image has more layers than the engine can stack.",
        Stage.PULL,
        {"dockerd": "failed to register layer: max depth exceeded"},
    ),
    "layers-not-mountable": CatalogEntry(
        "The image has more layers than can be mounted over each other.",
        Stage.START,
        {
            "containerd": "failed to mount /tmp/containerd-mount…: invalid argument",
            "containerd, options": _SHIM_ALONE + "failed to mount rootfs component: mount options is too long: unknown",
        },
    ),
    # The layers' bytes
    "layer-digest-mismatch": CatalogEntry(
        "The bytes of a layer are not those that its digest names.",
        Stage.PULL,
        _digest("filesystem layer verification failed for digest {digest}"),
    ),
    "layer-truncated": CatalogEntry("A layer ends before its compressed stream does.", Stage.PULL, _UNPACKING),
    "layer-corrupt": CatalogEntry(
        "A layer cannot be decompressed: its data or a checksum is wrong, or something else follows it.",
        Stage.PULL,
        _UNPACKING,
    ),
    "layer-too-large": CatalogEntry("A layer unpacks to more than any task has room for.", Stage.PULL),
    "tar-invalid": CatalogEntry(
        "A layer is no tar, or has entries that the engine does not unpack.", Stage.PULL, _UNPACKING
    ),
    "path-duplicated": CatalogEntry("A layer has two entries of one name.", Stage.PULL, _UNPACKING),
    "xattr-invalid": CatalogEntry(
        "A file in a layer has an extended attribute that the engine cannot set.", Stage.PULL, _UNPACKING
    ),
    "hardlink-target-missing": CatalogEntry(
        "A layer has a hard link to a file that it does not have itself.", Stage.PULL, _UNPACKING
    ),
    "parent-folder-missing": CatalogEntry(
        "A layer has a file and no entry for the file's folder before it, which Lambda does not take.", Stage.PULL
    ),
    # The start
    "entrypoint-missing": CatalogEntry("The image's command is not in the image.", Stage.START, _EXEC),
    "entrypoint-not-executable": CatalogEntry("The image's command may not be executed.", Stage.START, _EXEC),
    "entrypoint-unreadable": CatalogEntry(
        "The image's command is a script that the image's user may not read.", Stage.RUN
    ),
    "entrypoint-format-invalid": CatalogEntry(
        "The image's command is neither a program nor a script that begins with #!.", Stage.RUN, _FORMAT
    ),
    "entrypoint-wrong-machine": CatalogEntry("The image's command is built for another machine.", Stage.RUN, _FORMAT),
    "interpreter-missing": CatalogEntry(
        "The interpreter of a script, or the dynamic loader of a program, is not in the image.",
        Stage.RUN,
        {
            "containerd": "exec {program}: {error}",
            "dockerd": "exec {program}: {error}",
            "any, env": "env: '{name}': No such file or directory",
        },
    ),
    "user-missing": CatalogEntry(
        "The user or the group as which the image runs is not in its /etc/passwd or /etc/group, or has too large an "
        "ID there.",
        Stage.START,
        {
            "containerd": "mount callback failed on …: no users found",
            "containerd, group": "mount callback failed on …: no groups found",
            "containerd, no file": "mount callback failed on …: open …: no such file or directory",
            "containerd, folder": "mount callback failed on …: read …{path}: is a directory",
            "containerd, no user": "invalid USER value {user}",
            "containerd, ID": _SHIM + _ID_TOO_LARGE + ": unknown",
            "dockerd": "unable to find user {name}: no matching entries in passwd file",
            "dockerd, group": "unable to find group {name}: no matching entries in group file",
            "dockerd, folder": _TASK
            + "unable to start container process: unable to setup user: …: read {path}: is a directory",
            "dockerd, ID": _TASK + _ID_TOO_LARGE,
        },
    ),
    "working-dir-invalid": CatalogEntry(
        "The working directory is no folder in the image, and cannot be made one.",
        Stage.START,
        {
            "containerd, file": _INIT + "mkdir {cwd}: not a directory: unknown",
            "containerd, link": _INIT + "mkdir {cwd}: file exists: unknown",
            "containerd, circle": _INIT + "mkdir {cwd}: file exists: unknown",
            "containerd, NUL": _INIT + "mkdir {cwd}: invalid argument: unknown",
            "dockerd, file": "Cannot mkdir: {cwd} is not a directory",
            "dockerd, circle": "evalSymlinksInScope: too many links in …{cwd}",
        },
    ),
    "mount-point-invalid": CatalogEntry(
        "Where engines mount something into every container, the image has something else.",
        Stage.START,
        {
            "containerd, folder": _INIT + 'error mounting "…" to rootfs at "{path}"',
            "containerd, file": _INIT + 'error mounting "{path}" to rootfs at "{path}"',
            "dockerd, file": "error mounting …",
            "dockerd, volume": "cannot mount volume over existing file, file exists …{path}",
            "dockerd, volume below a file": "lstat …{path}: not a directory",
            "dockerd, volume in a circle": "evalSymlinksInScope: too many links in …{path}",
            "dockerd, volume over all": _TASK
            + "unable to start container process: error closing exec fds: open /proc/self/fd: no such file or "
            "directory",
        },
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
        "The image does not say on which base it is built, and one whose tag is not latest is required.",
        Stage.POLICY,
    ),
    "label-missing": CatalogEntry("The image does not have a label that is required.", Stage.POLICY),
    "layers-above-maximum": CatalogEntry("The image has more layers than are allowed.", Stage.POLICY),
}


def engine_message(finding_id: str, family: str, variant: str = "", **values: object) -> str:
    """What an engine would answer, or nothing where that is not known.

    :param finding_id: the finding's id.
    :param family: the engine's family, such as `containerd`.
    :param variant: which of its ways to say it.
    :param values: what the words are filled in with.
    """
    words = CATALOG[finding_id].messages.get(f"{family}, {variant}" if variant else family, "")
    return words.format(**values)
