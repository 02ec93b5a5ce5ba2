"""The names of media types, and the properties of a type that engines distinguish.

Engines compare these names exactly, case included, and so does everything here:
https://github.com/containerd/containerd/blob/main/core/images/mediatypes.go
"""

from __future__ import annotations

from typing import Final

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"
OCI_LAYER_PREFIX: Final = "application/vnd.oci.image.layer."
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_NONDISTRIBUTABLE: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"

DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_1: Final = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_MANIFEST_1_SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_PLUGIN: Final = "application/vnd.docker.plugin.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_ZSTD: Final = "application/vnd.docker.image.rootfs.diff.tar.zstd"
DOCKER_FOREIGN_LAYER: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar"
DOCKER_FOREIGN_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

EROFS_LAYER: Final = "application/vnd.erofs.layer.v1"

IN_TOTO: Final = "application/vnd.in-toto+json"

INDEXES: Final = frozenset({OCI_INDEX, DOCKER_INDEX})
# Types in a descriptor and of its document that registries treat as different, though both are of one kind.
OCI_BEHIND_DOCKER: Final = frozenset({(DOCKER_MANIFEST, OCI_MANIFEST), (DOCKER_INDEX, OCI_INDEX)})
MANIFESTS: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
SCHEMA_1: Final = frozenset({DOCKER_MANIFEST_1, DOCKER_MANIFEST_1_SIGNED})
CONFIGS: Final = frozenset({OCI_CONFIG, DOCKER_CONFIG})
# Types that registries once served for such blobs.
_DEFAULTED: Final = frozenset({"application/octet-stream", "application/json", "text/html", ""})
# The types that dockerd accepts as the config of a Docker manifest.
DOCKERD_CONFIGS: Final = CONFIGS | _DEFAULTED

# The types that a client accepts. ECR converts a *tag* between OCI and schema 2 when the stored type is not
# among them, so all five are always sent, and ECR returns the document that was pushed.
ACCEPTED: Final = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST_1_SIGNED)

_DOCKER_LAYERS = frozenset({DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_FOREIGN_LAYER, DOCKER_FOREIGN_LAYER_GZIP})


def is_index(media_type: str) -> bool:
    """Whether this names an OCI index or a Docker manifest list."""
    return media_type in INDEXES


def is_manifest(media_type: str) -> bool:
    """Whether this names an image manifest, OCI or Docker schema 2."""
    return media_type in MANIFESTS


def is_containerd_layer(media_type: str, *, docker_zstd: bool) -> bool:
    """Whether containerd counts a descriptor of this type as a layer of the image.

    :param docker_zstd: containerd knows `rootfs.diff.tar.zstd` only from 2.0,
        https://github.com/containerd/containerd/commit/d651cb743
    """
    if media_type.startswith(OCI_LAYER_PREFIX):
        return True
    base = media_type.split("+", 1)[0]
    return base in _DOCKER_LAYERS or (docker_zstd and base == DOCKER_LAYER_ZSTD)


def is_encrypted(media_type: str) -> bool:
    """Whether this names an encrypted layer, as ocicrypt writes them."""
    return "encrypted" in media_type.split("+")[1:]


def containerd_reads(media_type: str) -> str | None:
    """How containerd reads a layer of this type: `sniffed`, `raw`, or None when it has no processor for it.

    `sniffed` means by the blob's magic bytes, whatever the type says of its compression. `raw` means as a tar.
    The suffixes are sorted and the last one counts, as in containerd's DiffCompression.
    """
    base, *suffixes = media_type.split("+")
    if is_encrypted(media_type):
        # containerd's default configuration hands these to a decoder that no runtime here carries.
        return None
    if base in _DOCKER_LAYERS or base == DOCKER_LAYER_ZSTD:
        return "raw" if suffixes else "sniffed"
    if base in (OCI_LAYER, OCI_LAYER_NONDISTRIBUTABLE):
        return "sniffed" if suffixes and max(suffixes) in ("gzip", "zstd") else "raw"
    return None


def is_docker_or_oci(media_type: str) -> bool:
    """Whether dockerd accepts a config or a layer of this type: it compares only the beginning of the name.

    https://github.com/moby/moby/blob/master/daemon/internal/distribution/registry.go
    """
    lower = media_type.lower()
    return lower.startswith(("application/vnd.oci.image.", "application/vnd.docker.")) or lower in _DEFAULTED


def declared_compression(media_type: str) -> str:
    """The compression in a layer's type: `gzip`, `zstd`, or `none`."""
    for name in ("gzip", "zstd"):
        if media_type.endswith((f"+{name}", f".tar.{name}")):
            return name
    return "none"
