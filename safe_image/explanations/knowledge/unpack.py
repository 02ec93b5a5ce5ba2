"""Failures while layers are unpacked: their bytes, the host's disk, owners that a host does not know."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, Words, near, unless
from ..contexts import ANY, BUILD, EXTRACT, PULL

_CONFIRM: Final = ("Read every layer of the image:", "$ safe-image check {image} --layers --runs-on {runs_on}")

CAUSES: Final = (
    Cause(
        "disk-full",
        "There is no space left on the disk where the image is unpacked: the task's or the host's storage is full.",
        "An image needs room for its compressed and its unpacked bytes. Fargate gives 20 GiB by default; on an "
        "instance, old images and logs use the volume.",
        "unpack",
        ("quota", "task definition", "host engine"),
        words=near(
            ANY + "|" + EXTRACT + r"|docker|containerd|overlay|layer",
            "no space left on device",
            "disk quota exceeded",
            "not enough space on the disk",
            "failed to extract layer {layer} write …: no space left on device",
            "failed to register layer write …: no space left on device",
            unless=BUILD,
        ),
        confirm=(
            "Compare the image's size with the storage:",
            "$ safe-image check {image} --runs-on {runs_on}",
            "$ df -h",
        ),
        remedy=(
            "On Fargate, raise ephemeralStorage (ephemeral_storage_gib, up to 200). On an instance, use a larger "
            "volume.",
        ),
        prevention=("Make the image smaller, and let the ECS agent remove unused images sooner.",),
        sources=(
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html",
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html",
        ),
        findings=("image-needs-storage", "layer-too-large"),
    ),
    Cause(
        "diff-id-mismatch",
        "A layer unpacks to other content than the image's config says: its diff ID is wrong.",
        "The tool that built the image wrote a wrong diff ID: buildpacks lifecycle 0.21.11 and 0.21.15 and docker save "
        "of Docker 25.0.0 do. On one host only, a damaged content store is to blame.",
        "unpack",
        ("image", "build machine"),
        words=(
            "wrong diff id calculated on extraction",
            'wrong diff id "{actual}" calculated on extraction "{expected}"',
            "does not match config's DiffID",
            "layers from manifest don't match image configuration",
        ),
        confirm=_CONFIRM,
        remedy=("Build again with another version of the tool, and push under a new tag.",),
        prevention=("Verify layers in the pipeline: safe-image check --layers.",),
        sources=("https://github.com/buildpacks/lifecycle/issues/1662", "https://github.com/moby/moby/issues/47150"),
        findings=("diff-id-wrong", "diff-ids-count"),
    ),
    Cause(
        "layer-damaged",
        "A layer's compressed data is damaged or ends too early.",
        "Either the layer was pushed like that, or the host's copy of it is damaged. A check of the layers' bytes in "
        "the registry shows which.",
        "unpack",
        ("image", "host engine"),
        words=(
            *near(
                EXTRACT + r"|ctr:|unpack",
                "unexpected EOF",
                "gzip: invalid checksum",
                "gzip: invalid header",
                "invalid input: magic number mismatch",
                "CRC check failed",
                "flate: corrupt input before offset",
                "zlib: invalid header",
                "unexpected end of file",
            ),
            "gzip: invalid checksum",
            "gzip: invalid header",
            "flate: corrupt input before offset",
            "invalid input: magic number mismatch",
            "CRC check failed",
            "failed to register layer: unexpected EOF",
        ),
        confirm=_CONFIRM,
        remedy=(
            "If the check refuses the image, build and push it again under a new tag. If it passes, the host's copy is "
            "damaged: use another host, or pull the image anew there.",
        ),
        sources=("https://pkg.go.dev/compress/gzip", "https://github.com/containerd/containerd/issues/5854"),
        findings=("layer-truncated", "layer-corrupt", "tar-invalid", "diff-id-wrong"),
    ),
    Cause(
        "owner-not-mapped",
        "A file in a layer has an owner (a user or group ID) that the host's user namespace does not have.",
        "A rootless engine, a CI runner in a container or userns-remap maps only a range of IDs, often 65,536. The "
        "image has a file of a larger ID, such as one of a company's directory.",
        "unpack",
        ("host engine", "image"),
        words=(
            "lchown {path}: invalid argument",
            "chown {path}: invalid argument",
            "potentially insufficient UIDs or GIDs available in user namespace",
            "there might not be enough IDs available in the namespace",
            "Container ID {id} cannot be mapped to a host ID",
            "failed to Lchown",
            "requested {it} for {path}: Check /etc/subuid and /etc/subgid",
        ),
        confirm=("See the range of IDs on the host:", "$ cat /etc/subuid /etc/subgid"),
        remedy=(
            "Enlarge the ranges in /etc/subuid and /etc/subgid on the host, or use an engine that is not rootless.",
        ),
        prevention=("Give files small IDs in the image: COPY --chown=0:0, or tar --owner=0 --group=0.",),
        sources=(
            "https://github.com/moby/moby/issues/43576",
            "https://github.com/containers/podman/blob/main/troubleshooting.md",
        ),
    ),
    Cause(
        "parent-directory-missing",
        "A layer has a file without an entry for its parent directory, which Lambda does not accept.",
        "Tools that write tar files themselves (Bazel rules, some Nix builders) leave out directories. Docker creates "
        "missing ones; Lambda refuses the layer.",
        "create",
        ("image", "build machine"),
        words=("MissingParentDirectory", "Parent directory does not exist for file"),
        confirm=_CONFIRM,
        remedy=("Let the tool write an entry for each directory before its files, and push under a new tag.",),
        sources=(
            "https://github.com/aws/aws-lambda-web-adapter/issues/236",
            "https://github.com/aspect-build/rules_aws/pull/96",
        ),
        findings=("parent-folder-missing",),
    ),
    Cause(
        "hard-link-without-target",
        "A layer has a hard link to a file that the layer does not have.",
        "The tool that wrote the layer put the link and its target into different layers, or in the wrong order.",
        "unpack",
        ("image", "build machine"),
        words=(
            *near(EXTRACT, "link {it}: no such file or directory"),
            "failed to extract layer {layer}: link {it}: no such file or directory",
            "failed to register layer: link{it}: no such file or directory",
        ),
        confirm=_CONFIRM,
        remedy=("Build again with another tool or version, and push under a new tag.",),
        sources=("https://github.com/opencontainers/image-spec/blob/main/layer.md",),
        findings=("hardlink-target-missing",),
    ),
    Cause(
        "layer-not-a-tar",
        "A layer is not a tar archive that this engine can read: it is compressed in another way than its media type "
        "says (zstd), or it is damaged.",
        "The engine takes a layer that it cannot decompress for a plain tar. containerd before 1.5 does so with every "
        "zstd layer; a newer engine only where the bytes are damaged or no tar at all.",
        "unpack",
        ("image", "host engine"),
        words=(
            Words("archive/tar: invalid tar header", unless="applylayer|errorprocessingtarfile"),
            *unless(
                "applylayer|errorprocessingtarfile",
                "failed to extract layer {layer}: archive/tar: invalid tar header",
                "failed to register layer: archive/tar: invalid tar header",
            ),
        ),
        confirm=(*_CONFIRM, "See the version of the host's engine:", "$ containerd --version"),
        remedy=(
            "If the check passes, upgrade the host's engine, or build with compression=gzip,force-compression=true. If "
            "it refuses the image, build and push it again under a new tag.",
        ),
        prevention=("Refresh node images regularly, and build gzip layers for hosts that you do not control.",),
        sources=(
            "https://github.com/containerd/containerd/releases/tag/v1.5.0",
            "https://github.com/home-operations/containers/issues/1177",
        ),
        findings=("tar-invalid", "layer-type-unsupported", "layer-corrupt", "diff-id-wrong"),
    ),
    Cause(
        "tar-entry-refused",
        "A layer has an entry that the engine does not unpack.",
        "The layer is not a plain file tar: a device, a sparse file, a duplicate name or an extended attribute is in "
        "it that this engine or its file system refuses.",
        "unpack",
        ("image", "host engine"),
        words=(
            "unhandled tar header type",
            "failed to setxattr",
            "failed to register layer: invalid entry name",
            *near(EXTRACT, "operation not supported", "file exists", "is not a directory"),
        ),
        also=("archive/tar: invalid tar header",),
        confirm=_CONFIRM,
        remedy=("Build again with another tool or version, and push under a new tag.",),
        sources=("https://github.com/opencontainers/image-spec/blob/main/layer.md",),
        findings=("tar-invalid", "path-duplicated", "xattr-invalid"),
    ),
    Cause(
        "content-store-damaged",
        "The host's own content store lost a part of the image.",
        "The engine believes that it has a layer or a config which is not there: another process collected it, or the "
        "host stopped during a pull.",
        "unpack",
        ("host engine",),
        words=(
            "failed to get reader from content store: content digest",
            "failed to resolve rootfs: content digest",
            "content digest {digest}: not found",
            *near(
                EXTRACT + "|snapshot",
                "input/output error",
                "structure needs cleaning",
                "read-only file system",
            ),
            "layer does not exist",
            "failed to prepare extraction snapshot",
            "failed to stat active key",
        ),
        confirm=("Pull the image on another host: if that works, this host is to blame.",),
        remedy=("Drain the host and replace it, or pull the image anew there with another tag.",),
        sources=("https://github.com/containerd/containerd/issues/5854",),
        findings=("not-an-image", "descriptor-for-another-platform"),
    ),
    Cause(
        "errno-524",
        "The host's kernel cannot run the container: errno 524 comes from a limit of its eBPF JIT or seccomp filter.",
        "524 is the kernel's ENOTSUPP. The kernel has no memory left for seccomp and eBPF programs (bpf_jit_limit), "
        "usually after many containers started and stopped.",
        "start",
        ("host engine",),
        words=(Words("errno 524", unless="mknod"), "unable to init seccomp: error loading seccomp filter"),
        confirm=("$ sysctl net.core.bpf_jit_limit",),
        remedy=("Replace the host, or raise net.core.bpf_jit_limit there.",),
        prevention=("Use a host image with a current kernel.",),
        sources=(
            "https://github.com/awslabs/amazon-eks-ami/issues/1179",
            "https://github.com/awslabs/amazon-eks-ami/issues/1219",
        ),
    ),
    Cause(
        "base-layer-elsewhere",
        "A layer is not in the registry but at another address (a foreign layer), and that address does not serve it.",
        "Old Windows base images keep their layers at Microsoft. The host needs a path there.",
        "pull",
        ("base image", "network"),
        words=(
            "download failed after attempts{it}foreign",
            *unless(PULL, "go.microsoft.com/fwlink", "mcr.microsoft.com/v2/windows/{name}/blobs"),
        ),
        confirm=_CONFIRM,
        remedy=("Let the host reach the address, or build on a base image whose layers are in the registry.",),
        sources=("https://github.com/opencontainers/image-spec/blob/main/layer.md#non-distributable-layers",),
        findings=("layer-foreign",),
    ),
)
