"""The runtimes: the images that each accepts, as data, with the source of each fact.

Each row says which engines the runtime uses and how many of its hosts have them. A refusal by an engine of all hosts is
an error; a refusal by an engine of some or of old hosts is a warning that names them. A new runtime is one row here,
and one in `confirmations`, which also says where it is known from that its hosts have these engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from ..image import media_types
from .catalog import Stage
from .engines import (
    ANY,
    CONTAINERD_1_6,
    CONTAINERD_1_7,
    CONTAINERD_2_1,
    CONTAINERD_2_2,
    CONTAINERD_2_3,
    DOCKERD_25,
    DOCKERD_28,
    DOCKERD_CONTAINERD_STORE,
    Engine,
)

# The beginning of containerd's errors from the moment on at which a container's task is created.
_TASK_ERROR: Final = "failed to create shim task: "


class Share(str, Enum):
    """How many hosts of a runtime have an engine.

    `all` also where nobody outside of AWS knows which host an image gets. `words`: its messages are quoted where
    another engine finds the same, and nothing else is known of it there.
    """

    ALL = "all"
    SOME = "some"
    OLD = "old"
    WORDS = "words"


@dataclass(frozen=True)
class HostEngine:
    """An engine on the hosts of a runtime.

    :param hosts: which hosts have it, where not all do or nobody knows: the end of a sentence.
    """

    engine: Engine
    share: Share = Share.ALL
    hosts: str = ""


@dataclass(frozen=True)
class Runtime:
    """A place that runs images.

    :param name: its name in `runs_on`.
    :param title: its name in messages.
    :param on_hosts: its engines, and how many of its hosts have each; the messages of the first are quoted.
    :param platforms: the `os/architecture` that it can run.
    :param any_platform: whether it also runs other platforms than `platforms`.
    :param error_prefixes: what it puts in front of its engine's error, by the stage that failed.
    :param not_created: what it puts in front of its engine's error instead, where the start fails before there is a
        task of containerd's; empty where that makes no difference.
    :param doubtful_platforms: those of `platforms` that it may not run, with the reason for the doubt.
    :param refused_manifests: types of an index or a manifest that it refuses, with its error.
    :param refused_layers: layer types that it refuses, with its error.
    :param doubtful_layers: layer types that it may not unpack, with the reason for the doubt.
    :param parent_error: its error for a file whose folder has no entry before it; empty where it creates the folder.
    :param max_bytes: an image whose layers are larger than this, compressed, cannot run.
    :param roomy_bytes: an image whose layers are larger than this, compressed, needs more storage than it has
        by default.
    :param etc_error: its error for an image with a link at /etc; empty where it does not make that folder itself.
    :param etc_hosts: which of its hosts make that folder: a sentence without its end.
    :param own_user: whether it runs every image as a user of its own, whatever user the config sets.
    :param pulls_by_cri: whether it pulls through CRI, as a kubelet does, and not with containerd's own client.
    """

    name: str
    title: str
    on_hosts: tuple[HostEngine, ...]
    platforms: tuple[str, ...]
    error_prefixes: Mapping[Stage, str]
    any_platform: bool = False
    not_created: str = ""
    doubtful_platforms: Mapping[str, str] = field(default_factory=dict)
    refused_manifests: Mapping[str, str] = field(default_factory=dict)
    refused_layers: Mapping[str, str] = field(default_factory=dict)
    doubtful_layers: Mapping[str, str] = field(default_factory=dict)
    parent_error: str = ""
    max_bytes: int | None = None
    roomy_bytes: int | None = None
    etc_error: str = ""
    etc_hosts: str = ""
    own_user: bool = False
    pulls_by_cri: bool = False

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engines that must be able to pull and start the image, on however many hosts."""
        return tuple(host.engine for host in self.on_hosts if host.share is not Share.WORDS)

    def error(self, stage: Stage, message: str) -> str:
        """Its error for a message of its engine; its own errors are whole.

        :param stage: the stage that failed.
        :param message: the engine's message, or an error of its own; empty where none is known.
        """
        if not message or message == self.etc_error:
            return message
        not_created = stage is Stage.START and not message.startswith(_TASK_ERROR)
        return (self.not_created if not_created and self.not_created else self.error_prefixes.get(stage, "")) + message

    def fetches_whole_index(self, engine: Engine) -> bool:
        """Whether it also fetches an index's manifests for other platforms.

        :param engine: the engine of the host that pulls.
        """
        return engine.whole_index and not self.pulls_by_cri

    def runs(self, platform: str) -> bool:
        """Whether it can run images for this platform, such as `linux/amd64`."""
        return self.any_platform or platform in self.platforms


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
# https://github.com/aws-samples/net-modernization/issues/13
_NOT_CREATED: Final = "CannotStartContainerError: ResourceInitializationError: unable to create new container: "
# Fargate makes /etc for its own hosts and resolv.conf: https://github.com/nlewo/nix2container/issues/98 of 2023-11,
# and https://github.com/Cosmian/kms/issues/633.
_FARGATES_ETC: Final = (
    "CannotStartContainerError: ResourceInitializationError: container rootfs: fail to create /etc: mkdir "
    "…/rootfs/etc: file exists"
)
_LAMBDA_INDEX_ERROR: Final = (
    "The image manifest, config or layer media type for the source image {uri} is not supported."
)
_LAMBDA_LAYER_ERROR: Final = "InvalidImage(ImageLayerFailure: UnsupportedImageLayerDetected - Layer Digest {digest})"
_ZSTD_AT_LAMBDA: Final = "no source says that Lambda unpacks zstd layers, nor that it does not"
_SAGEMAKER_ERROR: Final = (
    "Unsupported manifest media type {media_type} for image {uri}. Ensure that valid manifest media type is used "
    "for specified image."
)
# The layers that containerd before 2.0 cannot pull, where the engine is not published.
_DOCKER_ZSTD_SOMEWHERE: Final = {
    media_types.DOCKER_LAYER_ZSTD: "no source says which engine pulls it there, and containerd before 2.0 cannot"
}

# AWS does not publish the version. The errors that users report are containerd 1.x's, still before 2.0 in 2025-02, and
# 2.2's in 2026-04.
_FARGATE_HOSTS: Final = (
    HostEngine(CONTAINERD_1_6, Share.WORDS, "reported by users in 2024"),
    HostEngine(
        CONTAINERD_1_7,
        hosts="tasks that get containerd 1.7, as users last reported in 2025-02; others reported 2.2 in 2026-04",
    ),
    HostEngine(
        CONTAINERD_2_2,
        hosts="tasks that get containerd 2.2, as users reported in 2026-04; others last reported 1.7 in 2025-02",
    ),
)
# Docker 25.0.16 with the classic store, on Amazon Linux 2 and 2023, from v20260629 to at least v20260820, and another
# 25.0 before. Batch's EC2 hosts are these: https://docs.aws.amazon.com/batch/latest/userguide/compute_resource_AMIs.html
_ECS_AMI: Final = HostEngine(DOCKERD_25)
_UNKNOWN: Final = (HostEngine(ANY),)
# 20 GiB by default, of which the compressed and the unpacked image both take their share.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html
_FARGATE_ROOM: Final = 10 * 1024**3

RUNTIMES: Final[Mapping[str, Runtime]] = {
    runtime.name: runtime
    for runtime in (
        Runtime(
            name="fargate",
            title="ECS on Fargate",
            on_hosts=_FARGATE_HOSTS,
            platforms=_BOTH,
            error_prefixes=_ON_FARGATE,
            not_created=_NOT_CREATED,
            roomy_bytes=_FARGATE_ROOM,
            etc_error=_FARGATES_ETC,
            etc_hosts="Fargate creates a folder there",
        ),
        Runtime(
            name="ecs-ec2",
            title="ECS on EC2",
            on_hosts=(
                _ECS_AMI,
                HostEngine(
                    DOCKERD_CONTAINERD_STORE,
                    Share.SOME,
                    "Bottlerocket (aws-ecs-3), whose Docker uses the containerd image store",
                ),
            ),
            platforms=_BOTH,
            error_prefixes=_ON_EC2,
        ),
        Runtime(
            name="ecs-managed-instances",
            title="ECS Managed Instances",
            on_hosts=(HostEngine(DOCKERD_CONTAINERD_STORE),),
            platforms=_BOTH,
            error_prefixes=_ON_EC2,
        ),
        Runtime(
            name="ecs-anywhere",
            title="ECS Anywhere",
            on_hosts=(
                HostEngine(DOCKERD_25),
                HostEngine(
                    DOCKERD_28,
                    Share.SOME,
                    "hosts whose Docker is newer than 25.0 and uses its classic image store",
                ),
                HostEngine(
                    DOCKERD_CONTAINERD_STORE,
                    Share.SOME,
                    "hosts whose Docker uses the containerd image store, the default of new installations of Docker 29",
                ),
            ),
            platforms=_BOTH,
            any_platform=True,
            error_prefixes=_ON_EC2,
        ),
        Runtime(
            name="lambda",
            title="Lambda",
            on_hosts=_UNKNOWN,
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
        ),
        Runtime(
            name="eks",
            title="EKS",
            on_hosts=(
                HostEngine(CONTAINERD_2_1),
                HostEngine(CONTAINERD_2_2),
                HostEngine(CONTAINERD_2_3),
                HostEngine(
                    CONTAINERD_1_7,
                    Share.OLD,
                    "nodes with containerd 1.7: AL2023 AMIs before v20251209 (Kubernetes 1.33: before v20251016), and "
                    "Bottlerocket up to 1.62",
                ),
            ),
            platforms=_BOTH,
            error_prefixes={},
            # It asks for the node's platform alone, and then needs no other manifest of an index: measured 2026-11-28
            # with containerd 2.1.9, 2.2.7 and 2.3.4, of which `ctr image pull` refuses the same index.
            # https://github.com/containerd/containerd/blob/v2.2.7/internal/cri/server/images/image_pull.go
            pulls_by_cri=True,
        ),
        Runtime(
            name="batch",
            title="Batch",
            on_hosts=(*_FARGATE_HOSTS, replace(_ECS_AMI, hosts="jobs whose compute environment is EC2")),
            platforms=_BOTH,
            error_prefixes={Stage.PULL: _ON_FARGATE[Stage.PULL]},
            roomy_bytes=_FARGATE_ROOM,
            etc_error=_FARGATES_ETC,
            etc_hosts="a job whose compute environment is Fargate creates a folder there",
        ),
        Runtime(
            name="app-runner",
            title="App Runner",
            on_hosts=_UNKNOWN,
            platforms=_BOTH,
            error_prefixes={},
            doubtful_platforms={
                "linux/arm64": "users report `exec format error`, about ten minutes after the deploy began; no source "
                "says that App Runner supports it"
            },
            doubtful_layers=_DOCKER_ZSTD_SOMEWHERE,
        ),
        Runtime(
            name="sagemaker",
            title="SageMaker",
            on_hosts=_UNKNOWN,
            platforms=_BOTH,
            error_prefixes={},
            refused_manifests=dict.fromkeys((*sorted(media_types.INDEXES), media_types.OCI_MANIFEST), _SAGEMAKER_ERROR),
            doubtful_layers=_DOCKER_ZSTD_SOMEWHERE,
        ),
        Runtime(
            name="agentcore",
            title="Bedrock AgentCore",
            on_hosts=_UNKNOWN,
            platforms=("linux/arm64", "linux/amd64"),
            error_prefixes={},
            doubtful_platforms={
                "linux/amd64": "its micro-VMs are arm64, and only the compute type Instances, through a capacity "
                "provider, runs amd64"
            },
            doubtful_layers=_DOCKER_ZSTD_SOMEWHERE,
        ),
    )
}
