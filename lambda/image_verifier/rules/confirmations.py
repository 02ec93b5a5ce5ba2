"""Where the facts in `engines` and `runtimes` come from: no Lambda imports it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

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


@dataclass(frozen=True)
class Confirmation:
    """The witness for the facts about an engine.

    :param how: images were pulled and started with it, or its source was read, or nobody outside of AWS knows it.
    :param version: the version that was run or read; for an unknown engine, what stands for it.
    :param date: the day, as `YYYY-MM-DD`.
    :param sources: the addresses of the package or of the files.
    :param remark: which fact has another witness: the end of a sentence.
    """

    how: Literal["measured", "read in source", "not published"]
    version: str
    date: str
    sources: tuple[str, ...] = ()
    remark: str = ""


@dataclass(frozen=True)
class Evidence:
    """Where the facts about a runtime come from, a row for each runtime of `runtimes`.

    :param sources: the addresses about the images that it accepts and refuses.
    :param engines: the addresses that say that its hosts have an engine.
    :param remark: what else a user must know of it: a sentence.
    """

    sources: Sequence[str]
    engines: Mapping[Engine, Sequence[str]] = field(default_factory=dict)
    remark: str = ""


# When the corpus was recorded: each of its images was pulled and started with these engines, from Debian's packages.
_RECORDED: Final = "2026-11-22"
_UPSTREAM: Final = {
    "containerd": "https://github.com/containerd/containerd",
    "docker.io": "https://github.com/moby/moby",
}


def _measured(version: str, remark: str = "") -> Confirmation:
    return Confirmation("measured", version, _RECORDED, (_UPSTREAM[version.split()[0]],), remark)


def _built(name: str, version: str, source: str, what: str) -> Confirmation:
    """A release that was built from its source, since Debian does not have it.

    :param what: what was measured.
    """
    return Confirmation("measured", f"{name} {version}", "2026-11-28", (source,), f"built from source; {what}")


def _built_containerd(version: str, what: str) -> Confirmation:
    """:param what: what was measured, besides which it is like containerd 2.1."""
    return _built("containerd", version, f"{_UPSTREAM['containerd']}/tree/v{version}", what)


CONFIRMATIONS: Final[Mapping[Engine, Confirmation]] = {
    CONTAINERD_1_6: _measured("containerd 1.6.20"),
    CONTAINERD_1_7: _measured("containerd 1.7.24"),
    CONTAINERD_2_1: _measured(
        "containerd 2.1.9",
        "`os.features` by its source; CRI accepts an index that lacks another platform's manifest, `ctr` refuses it",
    ),
    CONTAINERD_2_2: _built_containerd("2.2.7", "pulls, and starts of images with links in /etc and with many layers"),
    CONTAINERD_2_3: _built_containerd(
        "2.3.4", "pulls, and starts of images with links in /etc and with many layers; EROFS by its source"
    ),
    DOCKERD_25: _built("Docker", "25.0.16", f"{_UPSTREAM['docker.io']}/tree/v25.0.16", "the whole corpus"),
    DOCKERD_28: _measured(
        "docker.io 28.5.2", "with Docker 29.7's `platforms` and `go-archive`, which Debian builds it with"
    ),
    DOCKERD_CONTAINERD_STORE: _measured(
        "docker.io 28.5.2", "Bottlerocket's own Docker 29 pulls through containerd's transfer service, not measured"
    ),
    ANY: Confirmation("not published", "the refusals that all other engines have in common", _RECORDED),
}

# The AMIs' containerd by date, of the changelog: 2.1 from v20251016 (Kubernetes 1.33) to v20251209 (1.30), 2.2 in all
# from v20260318.
_EKS_AMI: Final = ("https://github.com/awslabs/amazon-eks-ami/blob/main/CHANGELOG.md",)
_BOTTLEROCKET: Final = ("https://github.com/bottlerocket-os/bottlerocket/blob/develop/CHANGELOG.md",)
_ON_FARGATE: Final[Mapping[Engine, Sequence[str]]] = {
    CONTAINERD_1_6: ("https://github.com/aws/aws-cdk/issues/30258",),
    CONTAINERD_1_7: ("https://vrnithinkumar.github.io/2025/02/17/aws-ecs-docker-pull-error",),
    CONTAINERD_2_2: ("https://github.com/flox/flox/issues/4178",),
}
_ECS_AMI: Final[Mapping[Engine, Sequence[str]]] = {
    DOCKERD_25: (
        "https://github.com/aws/amazon-ecs-ami/blob/main/release-al2023.auto.pkrvars.hcl",
        "https://github.com/aws/amazon-ecs-ami/pull/720",
    ),
}

EVIDENCE: Final[Mapping[str, Evidence]] = {
    "fargate": Evidence(
        (
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html",
            "https://github.com/aws/aws-cdk/issues/30258",
        ),
        _ON_FARGATE,
        "AWS does not publish which containerd a task gets. An image with a link at /etc fails.",
    ),
    "ecs-ec2": Evidence(
        ("https://github.com/aws/amazon-ecs-ami", "https://github.com/aws/aws-cdk/issues/30680"),
        {
            **_ECS_AMI,
            DOCKERD_CONTAINERD_STORE: ("https://github.com/bottlerocket-os/bottlerocket-core-kit/pull/730",),
        },
    ),
    "ecs-managed-instances": Evidence(
        ("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ManagedInstances.html",),
        {DOCKERD_CONTAINERD_STORE: ("https://github.com/bottlerocket-os/bottlerocket-core-kit/pull/743",)},
        "Its hosts run Bottlerocket.",
    ),
    "ecs-anywhere": Evidence(
        ("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-anywhere.html",),
        {
            DOCKERD_28: ("https://github.com/moby/moby/releases",),
            DOCKERD_CONTAINERD_STORE: ("https://docs.docker.com/engine/storage/containerd/",),
        },
        "A task runs on your own host, with that host's Docker and for that host's platform.",
    ),
    "lambda": Evidence(("https://docs.aws.amazon.com/lambda/latest/dg/images-create.html",)),
    "eks": Evidence(
        (
            "https://github.com/awslabs/amazon-eks-ami",
            "https://github.com/containerd/containerd/blob/main/core/images/mediatypes.go",
        ),
        {
            CONTAINERD_2_1: _EKS_AMI,
            CONTAINERD_2_2: _EKS_AMI,
            CONTAINERD_2_3: _BOTTLEROCKET,
            CONTAINERD_1_7: (*_EKS_AMI, *_BOTTLEROCKET),
        },
    ),
    "batch": Evidence(
        ("https://docs.aws.amazon.com/batch/latest/userguide/compute_environments.html",),
        {**_ON_FARGATE, **_ECS_AMI},
        "A job runs on Fargate or on EC2 wholly, as its compute environment says.",
    ),
    "app-runner": Evidence(
        (
            "https://docs.aws.amazon.com/apprunner/latest/dg/apprunner-availability-change.html",
            "https://github.com/aws/apprunner-roadmap/issues/79",
            "https://github.com/aws/copilot-cli/issues/2640",
        ),
        remark="It accepts no new customers since 2026-04-30; ECS Express Mode, on Fargate, succeeds it.",
    ),
    "sagemaker": Evidence(
        (
            "https://github.com/aws/amazon-sagemaker-feedback/issues/180",
            "https://github.com/mlflow/mlflow/issues/13834",
        )
    ),
    "agentcore": Evidence(
        (
            "https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/getting-started-custom.html",
            "https://github.com/awslabs/agentcore-samples/issues/70",
        )
    ),
}
