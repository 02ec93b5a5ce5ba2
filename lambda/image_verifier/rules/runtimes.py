"""What each place that runs images accepts: data, with the source of each fact.

An image must be pulled and started by every engine that the runtime is known or believed to use. A new runtime is one
row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ..image import media_types
from .catalog import Stage
from .engines import ANY, CONTAINERD_1_6, CONTAINERD_1_7, CONTAINERD_2, DOCKERD, Engine


@dataclass(frozen=True)
class Runtime:
    """A place that runs images.

    :param name: its name in `runs_on`.
    :param title: its name in messages.
    :param engines: the engines that must be able to pull and start the image.
    :param platforms: the `os/architecture` that it can run.
    :param error_prefixes: what it puts in front of its engine's error, by the stage that failed.
    :param doubtful_platforms: those of `platforms` that it may not run, with the reason for the doubt.
    :param refused_manifests: types of an index or a manifest that it refuses, with its error.
    :param refused_layers: layer types that it refuses, with its error.
    :param doubtful_layers: layer types that it may not unpack, with the reason for the doubt.
    :param parent_error: its error for a file whose folder has no entry before it; empty where it creates the folder.
    :param max_bytes: an image whose layers are larger than this, compressed, cannot run.
    :param roomy_bytes: an image whose layers are larger than this, compressed, needs more storage than it has
        by default.
    :param own_user: whether it runs every image as a user of its own, whatever user the config sets.
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
# What containerd before 2.0 cannot pull, where the engine is not published.
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
                "says that App Runner supports it"
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
            # Its micro-VMs are arm64.
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
