"""What each place that runs images accepts: data, with the source of each fact.

A runtime is held to the engines that it is known or believed to use, and must be pulled and started by all of
them. A new runtime is one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from . import media_types


@dataclass(frozen=True)
class Engine:
    """A container engine, and in what the ones that matter here differ.

    :param name: with its version, as messages name it.
    :param family: which engine's rules hold.
    :param docker_zstd: whether `rootfs.diff.tar.zstd` is a layer to it.
    :param extracts_unknown: whether it tries to extract layers that it does not know, or leaves them out; this
        only decides what its error says.
    :param schema_1: whether it still takes Docker schema 1 manifests.
    :param checks_sizes: whether a descriptor's size must be exact.
    :param max_layers: more layers than this do not fit its storage; None is no bound.
    """

    name: str
    family: Literal["containerd", "dockerd"]
    docker_zstd: bool
    extracts_unknown: bool = False
    schema_1: bool = False
    checks_sizes: bool = True
    max_layers: int | None = None


# Measured with Debian's containerd 1.6.20, 1.7.24 and 2.1.9, pulling through CRI, and with dockerd 28.5.2.
CONTAINERD_1_6: Final = Engine(
    "containerd 1.6", "containerd", docker_zstd=False, extracts_unknown=True, schema_1=True
)
CONTAINERD_1_7: Final = Engine("containerd 1.7", "containerd", docker_zstd=False, schema_1=True)
# The graph driver store of ECS-optimized AMIs (Docker 25.0.16 in 2026-08). 125 layers is moby's
# layer/layer_store.go, maxLayerDepth.
DOCKERD: Final = Engine("dockerd", "dockerd", docker_zstd=True, checks_sizes=False, max_layers=125)


@dataclass(frozen=True)
class Runtime:
    """A place that runs images.

    :param name: as `runs_on` names it.
    :param title: as messages name it.
    :param engines: the engines that must be able to pull and start the image; empty where none is known.
    :param platforms: the `os/architecture` that it can run.
    :param error_prefix: what it writes in front of its engine's error.
    :param takes_index: whether a tag may point at an index.
    :param index_error: what it says of one otherwise.
    :param refused_layers: layer types that it refuses, with what it says.
    :param doubtful_layers: layer types of which nothing certain is known, with what is.
    :param max_bytes: the largest image that it takes, as `max_bytes_of` counts.
    :param sources: where these facts come from.
    """

    name: str
    title: str
    engines: tuple[Engine, ...]
    platforms: tuple[str, ...]
    error_prefix: str
    takes_index: bool = True
    index_error: str = ""
    refused_layers: Mapping[str, str] = field(default_factory=dict)
    doubtful_layers: Mapping[str, str] = field(default_factory=dict)
    max_bytes: int | None = None
    sources: tuple[str, ...] = ()


_BOTH: Final = ("linux/amd64", "linux/arm64")
_LAMBDA_LAYER_ERROR: Final = "InvalidImage(ImageLayerFailure: UnsupportedImageLayerDetected - Layer Digest {digest})"
_ZSTD_AT_LAMBDA: Final = "no source says that Lambda unpacks zstd layers, nor that it does not"

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
            error_prefix="CannotPullContainerError: ",
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
            error_prefix="CannotPullContainerError: ",
            sources=("https://github.com/aws/amazon-ecs-ami", "https://github.com/aws/aws-cdk/issues/30680"),
        ),
        Runtime(
            name="lambda",
            title="Lambda",
            engines=(),
            platforms=_BOTH,
            error_prefix="",
            takes_index=False,
            index_error="The image manifest, config or layer media type for the source image {uri} is not supported.",
            refused_layers={
                media_types.IN_TOTO: _LAMBDA_LAYER_ERROR,
                # https://github.com/bazel-contrib/rules_oci/issues/777
                media_types.DOCKER_LAYER: _LAMBDA_LAYER_ERROR,
            },
            doubtful_layers={
                media_types.DOCKER_LAYER_ZSTD: _ZSTD_AT_LAMBDA,
                media_types.OCI_LAYER + "+zstd": _ZSTD_AT_LAMBDA,
            },
            # 10 GB uncompressed; what is known without the bytes is the compressed size, which is smaller.
            max_bytes=10 * 1024**3,
            sources=("https://docs.aws.amazon.com/lambda/latest/dg/images-create.html",),
        ),
    )
}
