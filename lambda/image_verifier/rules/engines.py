"""The container engines that runtimes use, and the facts in which they differ: data, with the source of each fact.

A new engine is one row here, and one in `confirmations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from ..image import media_types, schemas
from ..image.choices import BY_CONTAINERD, BY_CONTAINERD_2_3, BY_DOCKERD, Choice

Family = Literal["containerd", "dockerd", "any"]


@dataclass(frozen=True)
class Engine:
    """A container engine, and the facts in which engines differ.

    :param name: its name and version, as shown in messages.
    :param family: the engines that pull as it does and share its error messages.
    :param words: whose messages it has when it pulls, as keys of `engine_messages` name them.
    :param starter: the family whose way to start a container it shares.
    :param choices: how it chooses a manifest from an index. An unknown engine has several: it refuses only what all
        of them refuse.
    :param known_layers_only: whether it counts only the layers whose type it knows, and needs a config whose
        type it knows; the others look at the beginning of a type's name alone.
    :param docker_zstd: whether it knows Docker's `rootfs.diff.tar.zstd` as a layer.
    :param erofs: whether it knows EROFS layers as layers; without a snapshotter for them it cannot unpack them.
    :param config_decoder: the decoder that reads its configs, a name in `schemas.CONFIG`; empty for its family's.
    :param extracts_unknown: whether it extracts an image without any layer that it knows; this only
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
    :param in_root: whether it unpacks a layer within Go's os.Root, which refuses names and targets that lead out of it.
    :param always_has_path: whether it sets PATH also where the image has other variables but not that one.
    :param layered_rootfs: whether it unpacks nothing where the config's `rootfs.type` is not `layers`.
    :param whole_index: whether its own client also fetches an index's manifests for other platforms. A runtime that
        pulls through CRI does not: `Runtime.fetches_whole_index`.
    :param max_layers: the most layers that its storage holds; None where there is no bound.
    :param mountable_layers: the most layers that any host mounts for a container; None where `max_layers` is less.
    :param surely_mountable_layers: the most layers that every host mounts; None where there is no bound.
    :param follow_no_link: its releases that follow no link out of the image's root, as every absolute link is, on the
        way to /etc/passwd and /etc/group; empty where there are none.
    :param follow_one_link: these and the releases that follow such a link only if /etc/passwd or /etc/group itself is
        one, and no second one.
    """

    name: str
    family: Family
    words: str
    starter: Family
    choices: tuple[Choice, ...]
    config_decoder: str = ""
    known_layers_only: bool = False
    docker_zstd: bool = True
    erofs: bool = False
    extracts_unknown: bool = False
    plain_tar_raw: bool = False
    schema_1: bool = False
    exact_sizes: bool = False
    exact_media_type: bool = False
    counts_history: bool = False
    checks_os: bool = False
    decoders: frozenset[str] = frozenset(("gzip", "zstd"))
    ignores_end: bool = False
    in_root: bool = False
    always_has_path: bool = False
    layered_rootfs: bool = False
    whole_index: bool = False
    max_layers: int | None = None
    mountable_layers: int | None = None
    surely_mountable_layers: int | None = None
    follow_no_link: str = ""
    follow_one_link: str = ""

    @property
    def start_words(self) -> str:
        """Whose messages it has when it starts a container."""
        return self.words if self.starter == self.family else self.starter

    @property
    def unpacker(self) -> str:
        """Whose way to unpack a layer it has, as `UnpackError` names them."""
        return f"{self.family} in root" if self.in_root else self.family

    def counts(self, media_type: str) -> bool:
        """Whether a descriptor of this type is one of the image's layers to this engine."""
        if self.erofs and media_type == media_types.EROFS_LAYER:
            return True
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
            refused = problems.keys() >= schemas.FAMILIES
            return next(iter(problems.values())) if refused else ""
        return problems.get(self.family, "")

    def cannot_read_config(self, problems: Mapping[str, str]) -> str:
        """Its error for a config that it cannot read; empty where it can.

        :param problems: the errors of the decoders that cannot read the config.
        """
        return problems.get(self.config_decoder, "") if self.config_decoder else self.cannot_read(problems)

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


# The mount's options must fit into a page of 4,096 bytes, with `NUMBER/fs:` for each layer and some 190 bytes besides.
# NUMBER counts all layers that the host has unpacked so far; with six digits 390 fit.
# https://github.com/containerd/containerd/blob/main/core/mount/mount_linux.go, compactLowerdirOption
_SURELY_MOUNTABLE: Final = 390


# From 1.7 on, containerd looks up the image's user where the container's own folder lies among the layers, as one of
# them: https://github.com/containerd/containerd/blob/release/2.1/core/mount/mount.go, readonlyOverlay
_BESIDES_A_FOLDER: Final = _KERNEL_STACKS - 1


def _containerd(name: str, **facts: Any) -> Engine:
    settings = {
        "words": "containerd",
        "starter": "containerd",
        "choices": (BY_CONTAINERD,),
        "mountable_layers": _BESIDES_A_FOLDER,
        **facts,
    }
    return Engine(
        name,
        "containerd",
        known_layers_only=True,
        plain_tar_raw=True,
        exact_sizes=True,
        surely_mountable_layers=_SURELY_MOUNTABLE,
        **settings,
    )


CONTAINERD_1_6: Final = _containerd(
    "containerd 1.6",
    docker_zstd=False,
    schema_1=True,
    extracts_unknown=True,
    mountable_layers=_KERNEL_STACKS,
)
CONTAINERD_1_7: Final = _containerd("containerd 1.7", docker_zstd=False, schema_1=True)
_AS_2_1: Final[Mapping[str, Any]] = {
    "words": "containerd 2",
    "config_decoder": schemas.CONTAINERD_2,
    "layered_rootfs": True,
    "whole_index": True,
}
# Debian builds the measured one with a package `platforms` that compares `os.features`; its own, v1.0.0-rc.2, does not.
# Pulls through its transfer service, https://github.com/containerd/containerd/blob/main/core/transfer/local/pull.go
CONTAINERD_2_1: Final = _containerd(
    "containerd 2.1",
    **_AS_2_1,
)
# They open /etc/passwd within Go's os.Root, which follows no link out of the root; measured with 2.2.2 and 2.2.7. Later
# releases resolve links themselves: https://github.com/containerd/containerd/pull/13015 and
# https://github.com/containerd/containerd/pull/14005
CONTAINERD_2_2: Final = _containerd(
    "containerd 2.2",
    follow_no_link="containerd 2.2.0 to 2.2.2",
    follow_one_link="containerd 2.2.0 to 2.2.7",
    **_AS_2_1,
)
# Knows EROFS layers, and compares a platform's `os.features`: its vendored platforms package is v1.0.0-rc.4. It looks
# up the image's user without a mount, so links are followed and one more layer fits:
# https://github.com/containerd/containerd/blob/v2.3.4/pkg/oci/spec_opts.go, withReadonlyFS
CONTAINERD_2_3: Final = _containerd(
    "containerd 2.3",
    choices=(BY_CONTAINERD_2_3,),
    erofs=True,
    mountable_layers=_KERNEL_STACKS,
    **_AS_2_1,
)
# The 125 is maxLayerDepth of https://github.com/moby/moby/blob/master/layer/layer_store.go
_DOCKERD_DECODERS: Final = frozenset(("gzip", "zstd", "bzip2", "xz"))


def _dockerd(name: str, **facts: Any) -> Engine:
    """dockerd with its own image store, the one of graph drivers."""
    return Engine(
        name,
        "dockerd",
        words="dockerd",
        starter="dockerd",
        exact_media_type=True,
        counts_history=True,
        checks_os=True,
        decoders=_DOCKERD_DECODERS,
        ignores_end=True,
        always_has_path=True,
        max_layers=125,
        **facts,
    )


# As on the ECS-optimized AMIs.
DOCKERD_25: Final = _dockerd(
    "dockerd 25.0, classic store",
    choices=(BY_DOCKERD,),
    schema_1=True,
)
# Docker accepts schema 1 only if told so from 26.0, and never from 28.2. It compares `os.features` from 29.6, with
# `platforms` v1.0.0-rc.4, and unpacks within os.Root from 29.7, with `go-archive` v0.3. Debian builds 28.5.2 with both.
DOCKERD_28: Final = _dockerd(
    "dockerd 28.5, classic store",
    choices=(replace(BY_DOCKERD, skips_os_features=True),),
    in_root=True,
)
# The default of new installations of Docker 29, and of Bottlerocket's. It pulls with containerd's client, without the
# transfer service, and starts containers as dockerd does:
# https://github.com/moby/moby/blob/v28.5.2/daemon/containerd/image_pull.go
DOCKERD_CONTAINERD_STORE: Final = _containerd(
    "dockerd, containerd store",
    words=schemas.DOCKERD_CONTAINERD_STORE,
    starter="dockerd",
    config_decoder=schemas.DOCKERD_CONTAINERD_STORE,
    # Measured; Docker 29 also has the platforms package that compares them.
    choices=(BY_CONTAINERD_2_3,),
    always_has_path=True,
    mountable_layers=_KERNEL_STACKS,
)
# Refuses the images that every measured engine refuses: for runtimes whose engine is not published.
ANY: Final = Engine(
    "any engine",
    "any",
    words="any",
    starter="any",
    choices=(BY_CONTAINERD, BY_DOCKERD),
    decoders=_DOCKERD_DECODERS,
    ignores_end=True,
    always_has_path=True,
)
