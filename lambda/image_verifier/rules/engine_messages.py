"""The engines' own words for each finding, quoted byte for byte from their source or as they were measured.

The keys within a finding are the engine's family, and a variant after a comma where that family has several messages.
`{placeholders}` are filled in from the image. `…` stands for a part that differs from one host or pull to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .measured_messages import MEASURED

_RUNC: Final = "OCI runtime create failed: runc create failed: "
_SHIM_ALONE: Final = "failed to create shim task: "
_SHIM: Final = _SHIM_ALONE + _RUNC
_TASK: Final = "failed to create task for container: failed to create shim task: " + _RUNC
_UNPACK: Final = "failed to unpack image on snapshotter overlayfs: "
_NOT_SERVED: Final = "failed to copy: httpReadSeeker: failed open: content at …/manifests/{digest} not found: not found"
_NOT_FETCHED: Final = (
    "failed to copy: httpReadSeeker: failed open: could not fetch content descriptor {digest} ({media_type}) "
    "from remote: not found"
)
_COUNT: Final = "number of layers and diffIDs don't match: {counted} != {diff_ids}"
_ROOTFS: Final = "layers from manifest don't match image configuration"
_NO_PLATFORM_2: Final = "get image config descriptor: no match for platform in manifest {digest}: not found"
_NO_PLATFORM_AT_STORE: Final = (
    "no matching manifest for {platform} in the manifest list entries: no match for platform in manifest: not found"
)
_UNEXPECTED_TYPE: Final = "unexpected media type {media_type} for {digest}: not found"
_NOT_FOUND: Final = 'failed to resolve reference "{reference}": {reference}: not found'
_COMMIT: Final = 'failed commit on ref "{name}": '
# dockerd repeats the step's name.
_COMMIT_AT_STORE: Final = _COMMIT + "commit failed: "
_STORE: Final = "dockerd, containerd store"
_TOO_SMALL: Final = '"{name}" failed size validation: {actual} != {declared}: failed precondition'
_SIZES: Final[Mapping[str, str]] = {
    "containerd, size 0": "unable to fetch descriptor ({digest}) which reports content size of zero: invalid argument",
    "containerd, too large": "failed to read expected number of bytes: unexpected EOF",
    "containerd, too small": _COMMIT + _TOO_SMALL,
    "containerd 2, too large": "short read: expected {declared} bytes but got {actual}: unexpected EOF",
    _STORE + ", too small": _COMMIT_AT_STORE + _TOO_SMALL,
}

# Containerd mounts an image's first layer to unpack it; the others it writes where they stay. `…` stands for what is
# never the same.
_EXTRACT_2: Final = 'failed to extract layer ({media_type} {digest}) to overlayfs as "extract-…": '
_UNPACKING: Final = {
    "containerd": "failed to extract layer {diff_id}: {error}: unknown",
    "containerd, first": "failed to extract layer {diff_id}: mount callback failed on …: {error}: unknown",
    "containerd 2": _EXTRACT_2 + "{error}",
    "containerd 2, first": _EXTRACT_2 + "mount callback failed on …: {error}",
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


_OTHER_DIGEST: Final = "unexpected commit digest {actual}, expected {digest}: failed precondition"


def _digest(dockerd: str) -> Mapping[str, str]:
    return {
        "containerd": _COMMIT + _OTHER_DIGEST,
        _STORE: _COMMIT_AT_STORE + _OTHER_DIGEST,
        "dockerd": dockerd,
    }


MESSAGES: Final[Mapping[str, Mapping[str, str]]] = {
    # The index and the manifest
    "image-missing": {"containerd": _NOT_FOUND, "dockerd": "manifest for {reference} not found: manifest unknown"},
    "image-archived": {"containerd": _NOT_FOUND, "dockerd": "manifest for {reference} not found: manifest unknown"},
    "manifest-missing": {
        "containerd": _NOT_SERVED,
        "containerd, other type": _NOT_FETCHED,
        "dockerd": "manifest unknown",
    },
    "manifest-unreadable": {
        "containerd": "{why}",
        "containerd, empty": _SIZES["containerd, size 0"],
        _STORE
        + ", empty": "failed to check image {digest}: manifest: invalid desc {digest}: unexpected end of JSON input",
        "dockerd": "{why}",
    },
    "manifest-digest-mismatch": _digest("manifest verification failed for digest {digest}"),
    "manifest-size-mismatch": _SIZES,
    "index-descriptor-type": {
        "containerd": _NOT_FETCHED,
        "containerd, index": "children: invalid desc {digest}: media-type: expected index but found manifest "
        "({media_type})",
        "containerd, manifest": "children: invalid desc {digest}: media-type: expected manifest but found index "
        "({media_type})",
        "containerd, withheld": _NOT_SERVED,
    },
    "manifest-too-large": {"containerd": "rejecting {size} byte manifest"},
    "manifest-type-mismatch": {
        "dockerd": "mediaType in {what} should be '{expected}' not '{found}'",
        "dockerd, optional": "if present, mediaType in {what} should be '{expected}' not '{found}'",
    },
    "platform-missing": {
        "containerd": "no match for platform in manifest: not found",
        "containerd 2": _NO_PLATFORM_2,
        _STORE: _NO_PLATFORM_AT_STORE,
        "dockerd": "no matching manifest for {platform} in the manifest list entries",
    },
    "index-incomplete": {
        "containerd": "failed to copy: httpReadSeeker: failed open: content at {url} not found: not found"
    },
    "schema-1": {
        "containerd": "schema 1 image manifests are no longer supported: invalid argument",
        "containerd, no manifest": _UNPACK + _UNEXPECTED_TYPE,
        "containerd, no signature": "no signatures",
        "containerd 2, no manifest": "get image config descriptor: " + _UNEXPECTED_TYPE,
        _STORE: 'not implemented: media type "{found}" is no longer supported since containerd v2.1, please rebuild '
        'the image as "application/vnd.docker.distribution.manifest.v2+json" or '
        '"application/vnd.oci.image.manifest.v1+json"',
        _STORE + ", no manifest": _UNPACK + _UNEXPECTED_TYPE,
        "dockerd, no signature": "missing signature key",
        "dockerd, not JSON": "error unmarshalling content: {why}",
        "dockerd": "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed.",
    },
    "not-an-image": {
        "containerd, no manifest": _UNPACK + _UNEXPECTED_TYPE,
        "containerd, other layers": _UNPACK + "mismatched image rootfs and manifest layers",
        "containerd, no processor": _UNPACK
        + "failed to extract layer {diff_id}: failed to get stream processor for {media_type}: "
        "no processor for media-type: unknown",
        "containerd, not fetched": _UNPACK
        + "failed to extract layer {diff_id}: failed to get reader from content store: "
        "content digest {digest}: not found",
        "containerd, no platform": _UNPACK + "no match for platform in manifest {digest}: not found",
        "containerd 2, no platform": _NO_PLATFORM_2,
        _STORE + ", no platform": "no matching manifest for {platform} in the manifest list entries: "
        + _UNPACK
        + "no match for platform in manifest {digest}: not found",
        "dockerd, no signature": "missing signature key",
        "dockerd, not JSON": "error unmarshalling content: {why}",
        "containerd 2, no manifest": "get image config descriptor: " + _UNEXPECTED_TYPE,
        "containerd 2, other layers": "mismatched image rootfs and manifest layers",
        # It reports success, and has unpacked nothing.
        "containerd 2, no processor": "",
        "containerd 2, not fetched": "",
        _STORE + ", no manifest": _UNPACK + _UNEXPECTED_TYPE,
        _STORE + ", other layers": _UNPACK + "mismatched image rootfs and manifest layers",
        _STORE + ", no processor": _UNPACK
        + 'apply layer error for "…": failed to extract layer {diff_id}: failed to get stream processor for '
        "{media_type}: no processor for media-type",
        _STORE + ", not fetched": _UNPACK
        + 'apply layer error for "…": failed to extract layer {diff_id}: NotFound: failed to get reader from content '
        "store: content digest {digest}: not found",
        "dockerd": "unsupported media type {media_type}",
        "dockerd, schema 2": 'Encountered remote "{media_type}"({kind}) when fetching',
    },
    # The config
    "config-descriptor-invalid": {**_SIZES, "dockerd": "unexpected EOF"},
    "config-missing": {
        "containerd": _NOT_FETCHED,
        "dockerd": "error pulling image configuration: download failed after attempts=1: unknown blob",
    },
    "config-digest-mismatch": _digest(
        "error pulling image configuration: image config verification failed for digest {digest}"
    ),
    "config-size-mismatch": _SIZES,
    "config-unreadable": {"containerd": "{why}", "dockerd": "{why}"},
    "rootfs-missing": {"containerd": _COUNT, "dockerd": "invalid rootfs in image configuration"},
    "platform-mismatch": {
        "containerd": "exec format error",
        "dockerd": "exec format error",
        "dockerd, operating system": 'image operating system "{os}" cannot be used on this platform: '
        "operating system is not supported",
    },
    "history-too-long": {"dockerd": "too many non-empty layers in History section"},
    "descriptor-for-another-platform": {
        "containerd": _COUNT,
        "containerd, config": _UNPACK + "failed to resolve rootfs: content digest {digest}: not found",
    },
    "no-command": {"containerd": _SHIM + "args must not be empty: unknown", "dockerd": "no command specified"},
    "env-invalid": {
        "containerd, name": _INIT + _NO_NAME,
        "containerd, NUL": _INIT + _NUL,
        "containerd, =": _INIT + "invalid environment variable: …",
        "dockerd, name": _INIT_AT_DOCKERD + _NO_NAME,
        "dockerd, NUL": _INIT_AT_DOCKERD + _NUL,
    },
    "argument-invalid": {"containerd": "exec {program}: {error}", "dockerd": "exec {program}: {error}"},
    "working-dir-relative": {
        "containerd": _SHIM + "Cwd must be an absolute path: unknown",
        "dockerd": _TASK + "Cwd must be an absolute path: unknown",
    },
    # The layers
    "no-layers": {
        "containerd": _SHIM + 'unable to start container process: exec: "{program}": stat {program}: '
        "no such file or directory: unknown",
        "dockerd": _TASK + 'unable to start container process: exec: "{program}": stat {program}: '
        "no such file or directory: unknown",
    },
    "layer-type-unsupported": {
        "containerd": "failed to extract layer {diff_id}: failed to get stream processor for {media_type}: "
        "no processor for media-type: unknown",
        "containerd, encrypted": "failed to extract layer {diff_id}: failed to get stream processor for "
        '{media_type}: exec: "ctd-decoder": executable file not found in $PATH: unknown',
        "containerd, not counted": _COUNT,
        "containerd 2": _EXTRACT_2 + "failed to get stream processor for {media_type}: no processor for media-type",
        "containerd 2, encrypted": _EXTRACT_2
        + 'failed to get stream processor for {media_type}: exec: "ctd-decoder": executable file not found in $PATH',
        "dockerd": "unsupported media type {media_type}",
    },
    "diff-ids-count": {
        "containerd": _COUNT,
        "containerd, no layers": _UNPACK + "mismatched image rootfs and manifest layers",
        "dockerd": _ROOTFS,
        "dockerd, no layers": _ROOTFS,
    },
    "diff-id-wrong": {
        "containerd": 'wrong diff id calculated on extraction "{calculated}"',
        "containerd, compressed": "failed to extract layer {diff_id}: archive/tar: invalid tar header: unknown",
        "containerd 2, compressed": _EXTRACT_2 + "archive/tar: invalid tar header",
        "dockerd": _ROOTFS,
    },
    "layer-descriptor-invalid": {
        "containerd": _NOT_FETCHED,
        "dockerd": 'could not validate layer digest "{digest}": {why}',
    },
    "layer-missing": {"containerd": _NOT_FETCHED, "dockerd": "unknown blob"},
    "layer-size-zero": _SIZES,
    "layer-size-mismatch": _SIZES,
    "too-many-layers": {"dockerd": "failed to register layer: max depth exceeded"},
    "layers-not-mountable": {
        "containerd": "failed to mount /tmp/containerd-mount…: invalid argument",
        "containerd, options": _SHIM_ALONE + "failed to mount rootfs component: mount options is too long: unknown",
    },
    # The layers' bytes
    "layer-digest-mismatch": _digest("filesystem layer verification failed for digest {digest}"),
    "layer-truncated": _UNPACKING,
    "layer-corrupt": _UNPACKING,
    "tar-invalid": _UNPACKING,
    "path-duplicated": _UNPACKING,
    "xattr-invalid": _UNPACKING,
    "hardlink-target-missing": _UNPACKING,
    # The start
    "entrypoint-missing": _EXEC,
    "entrypoint-not-executable": _EXEC,
    # As users of Lambda report it.
    "entrypoint-closed": {"any": "fork/exec {program}: permission denied"},
    "entrypoint-format-invalid": _FORMAT,
    "entrypoint-wrong-machine": _FORMAT,
    # As a program in Go reports it.
    "programs-wrong-machine": {"any": "fork/exec {program}: exec format error"},
    "interpreter-missing": {
        "containerd": "exec {program}: {error}",
        "dockerd": "exec {program}: {error}",
        "any, env": "env: '{name}': No such file or directory",
    },
    "user-missing": {
        "containerd": "mount callback failed on …: no users found",
        "containerd, group": "mount callback failed on …: no groups found",
        "containerd, no file": "mount callback failed on …: open …: no such file or directory",
        "containerd 2, no file": "mount callback failed on …: stat …: no such file or directory",
        "containerd, folder": "mount callback failed on …: read …{path}: is a directory",
        "containerd, no user": "invalid USER value {user}",
        "containerd, ID": _SHIM + _ID_TOO_LARGE + ": unknown",
        "dockerd": "unable to find user {name}: no matching entries in passwd file",
        "dockerd, group": "unable to find group {name}: no matching entries in group file",
        "dockerd, folder": _TASK
        + "unable to start container process: unable to setup user: …: read {path}: is a directory",
        "dockerd, ID": _TASK + _ID_TOO_LARGE,
    },
    "passwd-link-absolute": {"containerd": "mount callback failed on …: openat {name}: path escapes from parent"},
    "working-dir-invalid": {
        "containerd, file": _INIT + "mkdir {cwd}: not a directory: unknown",
        "containerd, link": _INIT + "mkdir {cwd}: file exists: unknown",
        "containerd, circle": _INIT + "mkdir {cwd}: file exists: unknown",
        "containerd, NUL": _INIT + "mkdir {cwd}: invalid argument: unknown",
        "dockerd, file": "Cannot mkdir: {cwd} is not a directory",
        "dockerd, circle": "evalSymlinksInScope: too many links in …{cwd}",
    },
    "mount-point-invalid": {
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
}


# Whose messages an engine has where it has none of its own.
_LIKE: Final = {_STORE: "containerd 2", "containerd 2": "containerd"}
# Findings share templates: one that an engine has reported is measured for all of them.
_MEASURED: Final = frozenset(MESSAGES[finding_id][key] for finding_id, keys in MEASURED.items() for key in keys)


class Prediction(str):
    """A message that was read in an engine's source, and that no measurement confirms."""

    __slots__ = ()


def message_key(finding_id: str, words: str, variant: str = "") -> str:
    """The key of an engine's message among those for a finding; an engine without an own message has another's.

    :param finding_id: the finding's id.
    :param words: whose message, such as `containerd` or `containerd 2`.
    :param variant: which of its messages; empty for the one without a variant.
    """
    key = f"{words}, {variant}" if variant else words
    if key in MESSAGES.get(finding_id, {}) or words not in _LIKE:
        return key
    return message_key(finding_id, _LIKE[words], variant)


def engine_message(finding_id: str, words: str, variant: str = "", **values: object) -> str:
    """The message of an engine for a finding, a `Prediction` if it was not measured; empty where none is known.

    :param finding_id: the finding's id.
    :param words: whose message, such as `containerd` or `containerd 2`.
    :param variant: which of its messages; empty for the one without a variant.
    :param values: what its placeholders stand for.
    """
    template = MESSAGES.get(finding_id, {}).get(message_key(finding_id, words, variant), "")
    message = template.format(**values)
    return message if template in _MEASURED or not message else Prediction(message)
