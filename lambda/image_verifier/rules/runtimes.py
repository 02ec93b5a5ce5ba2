"""What each place that runs images accepts: data, with the source of each fact.

A runtime is held to the engines that it is known or believed to use, and must be pulled and started by all of
them. A new runtime is one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..image import media_types, schemas
from .catalog import Stage


@dataclass(frozen=True)
class Engine:
    """A container engine, and in what the ones that matter here differ.

    :param name: with its version, as messages name it.
    :param family: whose words its errors speak.
    :param known_layers_only: whether it counts only the layers whose type it knows, and needs a config whose
        type it knows; the others look at the beginning of a type's name alone.
    :param docker_zstd: whether `rootfs.diff.tar.zstd` is a layer to it.
    :param extracts_unknown: whether an image without any layer that it knows is extracted all the same; this
        only decides what its error says.
    :param plain_tar_raw: whether an OCI layer typed as a plain tar is read as one, whatever its bytes are.
    :param schema_1: whether it still takes Docker schema 1 manifests.
    :param exact_sizes: whether a descriptor's size must be the document's or blob's, and not zero.
    :param exact_media_type: whether the `mediaType` inside a document must be the one that the registry says.
    :param counts_history: whether it refuses a config whose history names more layers than there are.
    :param checks_os: whether it refuses a config for another operating system when it pulls.
    :param decoders: the compressions that it tells by their first bytes; what it does not know, it reads as it is.
    :param ignores_end: whether it takes no notice of what a layer's stream has behind the end of the tar, such as a
        wrong checksum. https://github.com/moby/moby/blob/master/daemon/internal/layer/layer_store.go, applyTar
    :param always_has_path: whether it sets PATH also where the image has other variables but not that one.
    :param layered_rootfs: whether it unpacks nothing of a config whose `rootfs.type` is not `layers`.
    :param whole_index: whether it fetches an index's manifests for other platforms, too.
    :param max_layers: more layers than this do not fit its storage; None is no bound.
    :param mountable_layers: more layers than this no host mounts for a container; None where `max_layers` is less.
    :param surely_mountable_layers: more layers than this some hosts do not mount; None is no bound.
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
        """What it says of a document that it cannot read; empty where it can.

        An engine of a family that nobody outside knows is held to what every family refuses.

        :param problems: what the families that cannot read the document say.
        """
        if self.family == "any":
            return next(iter(problems.values())) if len(problems) == len(schemas.CONFIG) else ""
        return problems.get(self.family, "")

    def knows_config(self, media_type: str, top_type: str) -> bool:
        """Whether it takes a config of this type for the config of an image.

        :param top_type: what the tag points at; dockerd is stricter with a Docker manifest there.
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
# What every engine that was measured refuses: for runtimes whose engine nobody outside knows.
ANY: Final = Engine("any engine", "any", decoders=_DOCKERD_DECODERS, ignores_end=True, always_has_path=True)


@dataclass(frozen=True)
class Runtime:
    """A place that runs images.

    :param name: as `runs_on` names it.
    :param title: as messages name it.
    :param engines: the engines that must be able to pull and start the image.
    :param platforms: the `os/architecture` that it can run.
    :param error_prefixes: what it writes in front of its engine's error, by the stage that failed.
    :param doubtful_platforms: those of `platforms` of which nothing certain is known, with what is.
    :param refused_manifests: types of an index or a manifest that it refuses, with what it says.
    :param refused_layers: layer types that it refuses, with what it says.
    :param doubtful_layers: layer types of which nothing certain is known, with what is.
    :param parent_error: what it says of a file whose folder no entry made before it; empty where it makes the folder.
    :param max_bytes: an image whose layers are larger than this, compressed, cannot run.
    :param roomy_bytes: an image whose layers are larger than this, compressed, needs more storage than it has
        by default.
    :param own_user: whether it runs every image as a user of its own, whomever the config names.
    :param sources: where these facts come from.
    """

    name: str
    title: str
    engines: tuple[Engine, ...]
    platforms: tuple[str, ...]
    error_prefixes: Mapping[Stage, str]
    doubtful_platforms: Mapping[str, str] = field(default_factory=dict)
    refused_manifests: Mapping[str, str] = field(default_factory=dict)
    refused_layers: Mapping[str, str] = field(default_factory=dict)
    doubtful_layers: Mapping[str, str] = field(default_factory=dict)
    parent_error: str = ""
    max_bytes: int | None = None
    roomy_bytes: int | None = None
    own_user: bool = False
    sources: tuple[str, ...] = ()


_BOTH: Final = ("linux/amd64", "linux/arm64")
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html and, for what Fargate
# adds, https://github.com/aws/amazon-ecs-agent/issues/3526
_ON_FARGATE: Final = {
    Stage.PULL: "CannotPullContainerError: ",
    Stage.START: "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime "
    "task: ",
}
_ON_EC2: Final = {
    Stage.PULL: "CannotPullContainerError: ",
    Stage.START: "CannotStartContainerError: Error response from daemon: ",
}
_LAMBDA_INDEX_ERROR: Final = (
    "The image manifest, config or layer media type for the source image {uri} is not supported."
)
_LAMBDA_LAYER_ERROR: Final = "InvalidImage(ImageLayerFailure: UnsupportedImageLayerDetected - Layer Digest {digest})"
_ZSTD_AT_LAMBDA: Final = "no source says that Lambda unpacks zstd layers, nor that it does not"
_SAGEMAKER_ERROR: Final = (
    "Unsupported manifest media type {media_type} for image {uri}. Ensure that valid manifest media type is used "
    "for specified image."
)
# What containerd before 2.0 cannot pull, where nobody outside knows which engine there is.
_DOCKER_ZSTD_SOMEWHERE: Final = {
    media_types.DOCKER_LAYER_ZSTD: "no source says which engine pulls it there, and containerd before 2.0 cannot"
}

RUNTIMES: Final[Mapping[str, Runtime]] = {
    runtime.name: runtime
    for runtime in (
        Runtime(
            name="fargate",
            title="ECS on Fargate",
            # AWS does not publish the version. The errors that users report are containerd 1.x's, and still
            # before 2.0 in 2025: https://vrnithinkumar.github.io/2025/02/17/aws-ecs-docker-pull-error
            engines=(CONTAINERD_1_6, CONTAINERD_1_7),
            platforms=_BOTH,
            error_prefixes=_ON_FARGATE,
            # 20 GiB by default, of which the compressed and the unpacked image both take their share.
            # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html
            roomy_bytes=10 * 1024**3,
            sources=(
                "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html",
                "https://github.com/aws/aws-cdk/issues/30258",
            ),
        ),
        Runtime(
            name="ecs-ec2",
            title="ECS on EC2",
            engines=(DOCKERD,),
            platforms=_BOTH,
            error_prefixes=_ON_EC2,
            sources=("https://github.com/aws/amazon-ecs-ami", "https://github.com/aws/aws-cdk/issues/30680"),
        ),
        Runtime(
            name="lambda",
            title="Lambda",
            engines=(ANY,),
            platforms=_BOTH,
            error_prefixes={},
            refused_manifests=dict.fromkeys(sorted(media_types.INDEXES), _LAMBDA_INDEX_ERROR),
            refused_layers={
                media_types.IN_TOTO: _LAMBDA_LAYER_ERROR,
                # https://github.com/bazel-contrib/rules_oci/issues/777
                media_types.DOCKER_LAYER: _LAMBDA_LAYER_ERROR,
            },
            doubtful_layers={
                media_types.DOCKER_LAYER_ZSTD: _ZSTD_AT_LAMBDA,
                media_types.OCI_LAYER + "+zstd": _ZSTD_AT_LAMBDA,
            },
            # https://github.com/aws/aws-lambda-web-adapter/issues/236
            parent_error="InvalidImage(MissingParentDirectory: Parent directory does not exist for file: {file})",
            # 10 GB uncompressed: what is larger than that compressed is larger still.
            max_bytes=10 * 1024**3,
            # https://simonko.dev/posts/aws/non-root-lambda-image tried it.
            own_user=True,
            sources=("https://docs.aws.amazon.com/lambda/latest/dg/images-create.html",),
        ),
        Runtime(
            name="eks",
            title="EKS",
            # AL2023 AMIs carry containerd 2.x from Kubernetes 1.34 on, and 1.7 before.
            engines=(CONTAINERD_1_7, CONTAINERD_2),
            platforms=_BOTH,
            error_prefixes={},
            sources=(
                "https://github.com/awslabs/amazon-eks-ami",
                "https://github.com/containerd/containerd/blob/main/core/images/mediatypes.go",
            ),
        ),
        Runtime(
            name="batch",
            title="Batch",
            # A compute environment is Fargate's or EC2's.
            engines=(CONTAINERD_1_6, CONTAINERD_1_7, DOCKERD),
            platforms=_BOTH,
            error_prefixes={Stage.PULL: _ON_FARGATE[Stage.PULL]},
            roomy_bytes=10 * 1024**3,
            sources=("https://docs.aws.amazon.com/batch/latest/userguide/compute_environments.html",),
        ),
        Runtime(
            name="app-runner",
            title="App Runner",
            engines=(ANY,),
            platforms=_BOTH,
            error_prefixes={},
            doubtful_platforms={
                "linux/arm64": "users report `exec format error`, about ten minutes after the deploy began; no source "
                "says that App Runner takes it"
            },
            doubtful_layers=_DOCKER_ZSTD_SOMEWHERE,
            sources=(
                "https://github.com/aws/apprunner-roadmap/issues/79",
                "https://github.com/aws/copilot-cli/issues/2640",
            ),
        ),
        Runtime(
            name="sagemaker",
            title="SageMaker",
            engines=(ANY,),
            platforms=_BOTH,
            error_prefixes={},
            refused_manifests=dict.fromkeys((*sorted(media_types.INDEXES), media_types.OCI_MANIFEST), _SAGEMAKER_ERROR),
            doubtful_layers=_DOCKER_ZSTD_SOMEWHERE,
            sources=(
                "https://github.com/aws/amazon-sagemaker-feedback/issues/180",
                "https://github.com/mlflow/mlflow/issues/13834",
            ),
        ),
        Runtime(
            name="agentcore",
            title="Bedrock AgentCore",
            engines=(ANY,),
            # Of its micro-VMs.
            platforms=("linux/arm64",),
            error_prefixes={},
            doubtful_layers=_DOCKER_ZSTD_SOMEWHERE,
            sources=(
                "https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/getting-started-custom.html",
                "https://github.com/awslabs/agentcore-samples/issues/70",
            ),
        ),
    )
}
