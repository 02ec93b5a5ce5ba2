"""The container engines that runtimes use, and the facts in which they differ: data, with the source of each fact.

A new engine is one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from ..image import media_types, schemas


@dataclass(frozen=True)
class Engine:
    """A container engine, and the facts in which engines differ.

    :param name: its name and version, as shown in messages.
    :param family: the engines that share its error messages.
    :param known_layers_only: whether it counts only the layers whose type it knows, and needs a config whose
        type it knows; the others look at the beginning of a type's name alone.
    :param docker_zstd: whether it knows Docker's `rootfs.diff.tar.zstd` as a layer.
    :param extracts_unknown: whether it extracts an image of which it knows no layer all the same; this only
        decides its error message.
    :param plain_tar_raw: whether it reads an OCI layer of the plain tar type as one, whatever its bytes are.
    :param schema_1: whether it still accepts Docker schema 1 manifests.
    :param exact_sizes: whether a descriptor's size must be the document's or blob's, and not zero.
    :param exact_media_type: whether the `mediaType` in a document must be the one that the registry reports.
    :param counts_history: whether it refuses a config whose history lists more layers than there are.
    :param checks_os: whether it refuses a config for another operating system when it pulls.
    :param decoders: the compressions that it detects by their first bytes; it reads everything else as it is.
    :param ignores_end: whether it ignores what follows the tar in a layer's stream, such as a wrong checksum:
        https://github.com/moby/moby/blob/master/daemon/internal/layer/layer_store.go, applyTar
    :param always_has_path: whether it sets PATH also where the image has other variables but not that one.
    :param layered_rootfs: whether it unpacks nothing where the config's `rootfs.type` is not `layers`.
    :param whole_index: whether it also fetches an index's manifests for other platforms.
    :param max_layers: the most layers that its storage holds; None is no bound.
    :param mountable_layers: the most layers that any host mounts for a container; None where `max_layers` is less.
    :param surely_mountable_layers: the most layers that every host mounts; None is no bound.
    """

    name: str
    family: Literal["containerd", "dockerd", "any"]
    known_layers_only: bool = False
    docker_zstd: bool = True
    extracts_unknown: bool = False
    plain_tar_raw: bool = False
    schema_1: bool = False
    exact_sizes: bool = False
    exact_media_type: bool = False
    counts_history: bool = False
    checks_os: bool = False
    decoders: frozenset[str] = frozenset(("gzip", "zstd"))
    ignores_end: bool = False
    always_has_path: bool = False
    layered_rootfs: bool = False
    whole_index: bool = False
    max_layers: int | None = None
    mountable_layers: int | None = None
    surely_mountable_layers: int | None = None

    def counts(self, media_type: str) -> bool:
        """Whether a descriptor of this type is one of the image's layers to this engine."""
        return not self.known_layers_only or media_types.is_containerd_layer(media_type, docker_zstd=self.docker_zstd)

    def reads(self, media_type: str) -> str | None:
        """How it reads a layer of this type: `sniffed`, `raw`, or None when it refuses to."""
        if self.plain_tar_raw:
            return media_types.containerd_reads(media_type)
        return "sniffed" if media_types.is_docker_or_oci(media_type) else None

    def cannot_read(self, problems: Mapping[str, str]) -> str:
        """Its error for a document that it cannot read; empty where it can.

        The engine of the family `any` is not known, and refuses only what every family refuses.

        :param problems: the errors of the families that cannot read the document.
        """
        if self.family == "any":
            return next(iter(problems.values())) if len(problems) == len(schemas.CONFIG) else ""
        return problems.get(self.family, "")

    def knows_config(self, media_type: str, top_type: str) -> bool:
        """Whether it accepts a config of this type as an image's config.

        :param top_type: the type of the document that the tag points at; dockerd is stricter with a Docker manifest.
        """
        if self.known_layers_only:
            return media_type in media_types.CONFIGS
        if self.family == "dockerd" and top_type == media_types.DOCKER_MANIFEST:
            return media_type in media_types.DOCKERD_CONFIGS
        return media_types.is_docker_or_oci(media_type)


# OVL_MAX_STACK of https://github.com/torvalds/linux/blob/master/fs/overlayfs/params.h
_KERNEL_STACKS: Final = 500


def _containerd(version: str, mountable_layers: int = _KERNEL_STACKS, **facts: Any) -> Engine:
    return Engine(
        f"containerd {version}",
        "containerd",
        known_layers_only=True,
        plain_tar_raw=True,
        exact_sizes=True,
        mountable_layers=mountable_layers,
        # The mount's options must fit into a page of 4,096 bytes, with `NUMBER/fs:` for each layer and some 190 bytes
        # besides. NUMBER counts all layers that the host has unpacked so far; with six digits 390 fit.
        # https://github.com/containerd/containerd/blob/main/core/mount/mount_linux.go, compactLowerdirOption
        surely_mountable_layers=390,
        **facts,
    )


# Measured with Debian's containerd 1.6.20, 1.7.24 and 2.1.9, pulling through CRI, and with dockerd 28.5.2.
CONTAINERD_1_6: Final = _containerd("1.6", docker_zstd=False, schema_1=True, extracts_unknown=True)
# 1.7 looks up the image's user where the container's own folder lies among the layers, as one of them:
# https://github.com/containerd/containerd/blob/release/1.7/mount/mount.go, readonlyOverlay
CONTAINERD_1_7: Final = _containerd("1.7", _KERNEL_STACKS - 1, docker_zstd=False, schema_1=True)
# Pulls through its transfer service, https://github.com/containerd/containerd/blob/main/core/transfer/local/pull.go
CONTAINERD_2: Final = _containerd("2.1", layered_rootfs=True, whole_index=True)
# The graph driver store, as on the ECS-optimized AMIs (Docker 25.0.16 in 2026-08). The 125 is maxLayerDepth of
# https://github.com/moby/moby/blob/master/layer/layer_store.go
_DOCKERD_DECODERS: Final = frozenset(("gzip", "zstd", "bzip2", "xz"))
DOCKERD: Final = Engine(
    "dockerd",
    "dockerd",
    exact_media_type=True,
    counts_history=True,
    checks_os=True,
    decoders=_DOCKERD_DECODERS,
    ignores_end=True,
    always_has_path=True,
    max_layers=125,
)
# What every measured engine refuses: for runtimes whose engine is not published.
ANY: Final = Engine("any engine", "any", decoders=_DOCKERD_DECODERS, ignores_end=True, always_has_path=True)
