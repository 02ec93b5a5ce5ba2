"""What can be asked of an image: the enums of the public API, their defaults by scope, and how they become a policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeVar, cast

from aws_cdk import Size, Token
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_sns as sns
from constructs import Construct, IConstruct
from image_verifier.custom_resource.properties import OnFailure
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import FailOn
from image_verifier.rules.requirement_types import LABEL, MAX_LAYERS, NO_LATEST_BASE, NON_ROOT_USER, Requirement

from .argument_types import check_types

if TYPE_CHECKING:
    from .verifier import ImageVerifier


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


class Compression(str, Enum):
    """How an image's layers are compressed: those of its base image too, or as the builder and the base have them."""

    GZIP = "gzip"
    ZSTD = "zstd"
    AS_BUILT = "as-built"


class Require:
    """Conditions beyond what the runtimes ask for, each off until it is named in `require=`."""

    NON_ROOT_USER: Final = Requirement(NON_ROOT_USER)
    """The image runs as another user than root. A user that is named, and not by its number, is looked up in the
    image only with `verify_layers`; without, every name but `root` counts as another."""
    NO_LATEST_BASE: Final = Requirement(NO_LATEST_BASE)
    """The image says in `org.opencontainers.image.base.name`, as an annotation or a label, on which base it is built,
    and the base's tag is not `latest`."""

    @staticmethod
    def label(name: str) -> Requirement:
        """The image has this label, and something in it.

        :param name: the label's name, such as `org.opencontainers.image.source`.
        :raises ValueError: if it is empty.
        """
        return Requirement.parse(f"{LABEL}:{name}")

    @staticmethod
    def max_layers(count: int) -> Requirement:
        """The image has at most so many layers.

        :param count: from 1 on.
        :raises ValueError: if it is less.
        """
        return Requirement.parse(f"{MAX_LAYERS}:{count}")


RunsOnName = Literal["fargate", "ecs-ec2", "lambda", "eks", "batch", "app-runner", "sagemaker", "agentcore"]
RunsOnValue = RunsOn | RunsOnName
PinValue = Pin | Literal["digest", "tag"]
GateValue = Gate | Literal["stack", "image"]
FailOnValue = FailOn | Literal["error", "warning", "never"]
OnFailureValue = OnFailure | Literal["keep", "untag"]
RequireValue = Requirement | str
CompressionValue = Compression | Literal["gzip", "zstd", "as-built"]

_Option = TypeVar("_Option", bound=Enum)


@dataclass(frozen=True)
class Options:
    """The keywords that say what is asked of an image, as they were written; None where nothing was.

    `ImageVerification` documents each of them.
    """

    runs_on: RunsOnValue | Sequence[RunsOnValue] | None = None
    platform: ecr_assets.Platform | None = None
    min_size: Size | None = None
    max_size: Size | None = None
    verify_layers: bool | None = None
    fail_on: FailOnValue | None = None
    require: Sequence[RequireValue] | None = None
    acknowledge: Mapping[str, str] | None = None
    on_failure: OnFailureValue | None = None
    notify: sns.ITopic | None = None
    pin: PinValue | None = None
    gate: GateValue | None = None
    verifier: ImageVerifier | None = None

    def over(self, other: Options) -> Options:
        """These, and the other ones' where nothing was written."""
        return replace(other, **{name: value for name, value in self.keywords.items() if value is not None})

    @property
    def keywords(self) -> dict[str, Any]:
        """The keywords, by name, for a constructor that takes them all."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def settled(self, where: str) -> Settled:
        """What they come to.

        :param where: construct path, for the messages.
        :raises ValueError: for what cannot be met, or does not go together; the message says what to write instead.
        """
        check_types(where, **self.keywords)
        asked = self.over(_unwritten())
        fail_on = enum_member(where, "fail_on", FailOn, asked.fail_on)
        on_failure = enum_member(where, "on_failure", OnFailure, asked.on_failure)
        if fail_on is FailOn.NEVER and on_failure is OnFailure.UNTAG:
            raise ValueError(
                f"{where}: fail_on is 'never', so no image is refused, and on_failure is 'untag', which is for those "
                "that are: write on_failure='keep', or another fail_on"
            )
        if asked.notify is not None and asked.notify.fifo:
            raise ValueError(f"{where}: notify is a FIFO topic, which takes no email: write a standard topic")
        return Settled(
            policy=_policy(where, asked, fail_on),
            on_failure=on_failure,
            pin=enum_member(where, "pin", Pin, asked.pin),
            gate=enum_member(where, "gate", Gate, asked.gate),
        )


@dataclass(frozen=True)
class Settled:
    """What the keywords come to, defaults included."""

    policy: Policy
    on_failure: OnFailure
    pin: Pin
    gate: Gate


def _unwritten() -> Options:
    """What is asked where nobody has written anything."""
    return Options(
        runs_on=RunsOn.FARGATE,
        platform=ecr_assets.Platform.LINUX_AMD64,
        verify_layers=False,
        fail_on=FailOn.ERROR,
        require=(),
        acknowledge={},
        on_failure=OnFailure.KEEP,
        pin=Pin.DIGEST,
        gate=Gate.STACK,
    )


class Defaults(Construct):
    """Options for every image below a scope; `ImagePolicy` makes it."""

    _ID: Final = "CdkSafeImagePolicy"
    # To look for one above each image costs more than most apps have to ask, which have none.
    exist: ClassVar = False

    def __init__(self, scope: Construct, options: Options) -> None:
        """
        :param scope: of which images.
        :param options: the defaults.
        """
        super().__init__(scope, self._ID)
        self.options = options
        Defaults.exist = True

    @classmethod
    def of(cls, scope: IConstruct) -> Defaults | None:
        """Those of this very scope."""
        return cast("Defaults | None", scope.node.try_find_child(cls._ID))


def with_defaults(scope: IConstruct, options: Options) -> Options:
    """The keywords, and for what they do not say the defaults of the nearest scope that says it.

    :param scope: where the image is made.
    """
    if not Defaults.exist:
        return options
    above = filter(None, map(Defaults.of, reversed(scope.node.scopes)))
    return reduce(lambda nearer, defaults: nearer.over(defaults.options), above, options)


def enum_member(where: str, name: str, kind: type[_Option], value: Any) -> _Option:
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


def runtime_names(runs_on: RunsOnValue | Sequence[RunsOnValue] | None) -> tuple[str, ...]:
    """The names of runtimes, each once.

    :param runs_on: one or several; None is none.
    """
    several = (runs_on,) if isinstance(runs_on, str) else runs_on or ()
    return tuple(dict.fromkeys(str(getattr(name, "value", name)) for name in several))


def _policy(where: str, asked: Options, fail_on: FailOn) -> Policy:
    assert asked.platform
    try:
        return Policy(
            runs_on=runtime_names(asked.runs_on),
            platform=Platform.parse(asked.platform.platform),
            min_size=_bytes("min_size", asked.min_size),
            max_size=_bytes("max_size", asked.max_size),
            verify_layers=asked.verify_layers or False,
            acknowledge=asked.acknowledge or {},
            fail_on=fail_on,
            require=_requirements(asked.require or ()),
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _bytes(name: str, size: Size | None) -> int | None:
    if size is not None and size.is_unresolved():
        raise ValueError(f"{name} is only known at deploy: write a number")
    return None if size is None else int(size.to_bytes())


def _requirements(asked: Sequence[RequireValue]) -> tuple[Requirement, ...]:
    unknown = next((text for text in asked if isinstance(text, str) and Token.is_unresolved(text)), None)
    if unknown is not None:
        raise ValueError("require names something that is only known at deploy: write its name")
    parsed = (r if isinstance(r, Requirement) else Requirement.parse(r) for r in asked)
    return tuple(sorted(dict.fromkeys(parsed), key=str))
