"""The meaning of every finding of the catalog, in one sentence, for the docs and for reports on many images.

The Lambda of the custom resource does not import it: a reason in CloudFormation has the finding's own message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MEANINGS: Final[Mapping[str, str]] = {
    # The index and the manifest
    "image-missing": "The repository has no image of that tag or digest.",
    "image-archived": "ECR has archived the image, and serves it only after it is restored.",
    "manifest-missing": "The repository does not hold a manifest that the index references.",
    "manifest-unreadable": "The index or the manifest is not a document that engines can read.",
    "manifest-digest-mismatch": "The index or the manifest does not match its digest.",
    "manifest-size-mismatch": "The size in the index's descriptor is not the manifest's size.",
    "index-descriptor-type": "The media type in the index's descriptor is not the manifest's media type.",
    "manifest-too-large": "The index or the manifest is larger than engines accept.",
    "manifest-type-mismatch": "The `mediaType` in the document is not the media type that the registry reports.",
    "platform-missing": "The index holds no image for the platform.",
    "index-incomplete": "The repository does not hold a manifest for another platform that the index references.",
    "manifest-foreign": "A manifest of the index is fetched from another place than the registry.",
    "manifest-type-refused": "The runtime does not accept a manifest of this type.",
    "platform-variants": (
        "The index holds several variants of the platform, and dockerd chooses one by the machine's processor."
    ),
    "index-not-taken": "The tag points at an index, but the runtime accepts only a single image.",
    "schema-1": "The manifest is a Docker schema 1 manifest, which newer engines no longer accept.",
    "not-an-image": "The tag points at something that is not an image: an attestation, a signature, a chart, a cache.",
    # The config
    "config-descriptor-invalid": "The manifest's descriptor of the config has no valid digest, or no size.",
    "config-missing": "The registry does not hold the image's config.",
    "config-too-large": "The config is larger than any that an image needs.",
    "config-digest-mismatch": "The config does not match its digest.",
    "config-size-mismatch": "The size of the config in the manifest's descriptor is wrong.",
    "config-foreign": "The config is fetched from another place than the registry.",
    "config-unreadable": "The config is not a document that the engine can read.",
    "rootfs-missing": "The config has no rootfs, so it lists none of the layers.",
    "rootfs-type-unknown": "The config's rootfs has a type that the engine does not unpack.",
    "platform-doubtful": "It is not known whether the runtime supports this platform.",
    "platform-mismatch": "The image is built for another platform than the required one.",
    "platform-unknown": "The config does not name the image's architecture.",
    "history-too-long": "The config's history lists more layers than the image has.",
    "descriptor-for-another-platform": (
        "The manifest's descriptor of the config or of a layer is for another platform, and the engine skips it."
    ),
    "no-command": "The image has neither an entrypoint nor a command, so the task definition must set one.",
    "env-invalid": "An entry of the config's Env has no name, or no `=`, or a NUL character.",
    "argument-invalid": "The image's command contains a NUL character, so it cannot be executed.",
    "working-dir-relative": "The working directory is not an absolute path.",
    # The layers
    "no-layers": "The image has no layers, so there is nothing to run.",
    "layer-type-unsupported": "A layer has a type that the runtime cannot unpack.",
    "layer-type-doubtful": "It is not known whether the runtime unpacks the layer's type.",
    "diff-ids-count": "The config lists more or fewer layers than the manifest has.",
    "diff-id-wrong": "A layer's diff_id in the config is not the digest of its unpacked bytes.",
    "layer-descriptor-invalid": "A layer's descriptor has no valid digest.",
    "layer-missing": "The registry does not serve a layer.",
    "layer-size-zero": "The size of a layer in the manifest's descriptor is 0.",
    "layer-size-mismatch": "The size of a layer in the manifest's descriptor is wrong.",
    "layer-foreign": "A layer is fetched from another place than the registry.",
    "too-many-layers": "The image has more layers than the engine can stack.",
    "layers-not-mountable": "The image has more layers than can be mounted over each other.",
    # The layers' bytes
    "layer-digest-mismatch": "A layer does not match its digest.",
    "layer-truncated": "A layer ends before its compressed stream does.",
    "layer-corrupt": "A layer cannot be decompressed: its data or a checksum is wrong, or something else follows it.",
    "layer-too-large": "A layer is larger unpacked than the storage of any task.",
    "tar-invalid": "A layer is not a valid tar archive, or has entries that the engine cannot unpack.",
    "path-duplicated": "A layer has two entries with the same name.",
    "xattr-invalid": "A file in a layer has an extended attribute that the engine cannot set.",
    "hardlink-target-missing": "A layer has a hard link to a file that it does not have itself.",
    "parent-folder-missing": "A layer has no entry for a file's folder before the file, which Lambda does not accept.",
    # The start
    "entrypoint-missing": "The image's command is not in the image.",
    "entrypoint-not-executable": "The image's command is not executable.",
    "entrypoint-unreadable": "The image's command is a script that the image's user cannot read.",
    "entrypoint-closed": (
        "The user that Lambda runs every image as cannot execute the image's command or read its script."
    ),
    "entrypoint-format-invalid": "The image's command is neither a program nor a script that begins with #!.",
    "entrypoint-wrong-machine": "The image's command is built for another machine.",
    "programs-wrong-machine": (
        "The image's command is built for the right machine, and the shell or most other programs for another one."
    ),
    "interpreter-missing": "The interpreter of a script, or the dynamic loader of a program, is not in the image.",
    "user-missing": "The image's user or group is not in its /etc/passwd or /etc/group, or has too large an ID there.",
    "passwd-link-absolute": (
        "An absolute link leads to /etc/passwd or /etc/group, and some releases of containerd 2.2 and 2.3 follow none."
    ),
    "etc-is-link": "/etc is a link, and Fargate creates a folder there.",
    "working-dir-invalid": "The working directory is not a folder in the image, and cannot be created.",
    "working-dir-closed": "The user that Lambda runs every image as cannot enter the working directory.",
    "code-unreadable": "The user that Lambda runs every image as cannot read a file under /var/task.",
    "mount-point-invalid": "A path that engines mount in every container is of the wrong kind in the image.",
    # The size
    "image-too-small": "The image is smaller than min_size.",
    "image-too-large": "The image is larger than max_size.",
    "image-grew": "The image is larger, compared with another image, than is allowed.",
    "image-too-large-for-runtime": "The image is larger than the runtime accepts.",
    "image-needs-storage": "The image needs more storage than the runtime gives by default.",
    # The requirements of the policy
    "user-is-root": "The image runs as root, but another user is required.",
    "base-is-latest": "The image is built on a base whose tag is latest, but another one is required.",
    "base-not-said": "The image does not name its base, but one whose tag is not latest is required.",
    "label-missing": "The image does not have a label that is required.",
    "layers-above-maximum": "The image has more layers than are allowed.",
}
