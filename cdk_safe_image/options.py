"""What can be asked of an image: the enums of the public API, and how they become a policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Literal, TypeVar

from aws_cdk import Size
from aws_cdk import aws_ecr_assets as ecr_assets
from image_verifier.image import Platform
from image_verifier.policy import Policy


class RunsOn(str, Enum):
    """A place that runs images. Each has its own idea of which images it can pull and start."""

    FARGATE = "fargate"
    ECS_EC2 = "ecs-ec2"
    LAMBDA = "lambda"
    EKS = "eks"
    BATCH = "batch"
    APP_RUNNER = "app-runner"
    SAGEMAKER = "sagemaker"
    AGENTCORE = "agentcore"


class Pin(str, Enum):
    """What `image_uri` names: the bytes that were verified, or the tag under which they were found."""

    DIGEST = "digest"
    TAG = "tag"


class Gate(str, Enum):
    """What waits for a verification: every ECS service of the stack, or only what uses the image."""

    STACK = "stack"
    IMAGE = "image"


RunsOnName = Literal["fargate", "ecs-ec2", "lambda", "eks", "batch", "app-runner", "sagemaker", "agentcore"]
RunsOnValue = RunsOn | RunsOnName
PinValue = Pin | Literal["digest", "tag"]
GateValue = Gate | Literal["stack", "image"]

_Option = TypeVar("_Option", Pin, Gate)


def choice(where: str, name: str, kind: type[_Option], value: str) -> _Option:
    """The member of an enum that a keyword names.

    :param where: construct path, for the message.
    :param name: the keyword.
    :param kind: the enum.
    :param value: a member or its value.
    :raises ValueError: if there is no such member.
    """
    try:
        return kind(value)
    except ValueError:
        known = " or ".join(repr(member.value) for member in kind)
        raise ValueError(f"{where}: {name} is {value!r}: write {known}") from None


def policy(
    where: str,
    *,
    runs_on: RunsOnValue | Sequence[RunsOnValue] | None,
    platform: ecr_assets.Platform | None,
    min_size: Size | None,
    max_size: Size | None,
    verify_layers: bool,
    acknowledge: Mapping[str, str] | None,
) -> Policy:
    """The policy of a construct's keywords.

    :param where: construct path, for the messages.
    :param runs_on: one or several runtimes; None is Fargate.
    :param platform: None is linux/amd64.
    :param min_size: least compressed size; None is no bound.
    :param max_size: largest compressed size; None is no bound.
    :param verify_layers: whether every layer's bytes are read.
    :param acknowledge: reasons for which findings are waived, by their id; None is none.
    :raises ValueError: for a policy that no image can meet; the message says what to write instead.
    """
    named = (runs_on,) if isinstance(runs_on, str) else (RunsOn.FARGATE,) if runs_on is None else tuple(runs_on)
    try:
        return Policy(
            runs_on=tuple(dict.fromkeys(str(getattr(name, "value", name)) for name in named)),
            platform=Platform.parse((platform or ecr_assets.Platform.LINUX_AMD64).platform),
            min_size=None if min_size is None else int(min_size.to_bytes()),
            max_size=None if max_size is None else int(max_size.to_bytes()),
            verify_layers=verify_layers,
            acknowledge=acknowledge or {},
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
