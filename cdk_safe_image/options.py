"""The options of an image: the enums of the public API, the defaults of a scope, and how options become a policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache, reduce
from typing import Any, ClassVar, Final, Literal, TypeVar

from aws_cdk import Size, Token
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_sns as sns
from constructs import Construct, IConstruct
from image_verifier.custom_resource.properties import OnFailure
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import FailOn
from image_verifier.rules.names import BuildOutputs
from image_verifier.rules.requirement_types import LABEL, MAX_LAYERS, NO_LATEST_BASE, NON_ROOT_USER, Requirement

from .argument_types import check_types
from .synthesis.facts import scopes_of
from .synthesis.identity import address
from .tokens import is_dummy
from .verifier import ImageVerifier


class RunsOn(str, Enum):
    """A runtime of images. Each has its own rules about the images that it can pull and start."""

    FARGATE = "fargate"
    ECS_EC2 = "ecs-ec2"
    ECS_MANAGED_INSTANCES = "ecs-managed-instances"
    ECS_ANYWHERE = "ecs-anywhere"
    LAMBDA = "lambda"
    EKS = "eks"
    BATCH = "batch"
    APP_RUNNER = "app-runner"
    SAGEMAKER = "sagemaker"
    AGENTCORE = "agentcore"


class Pin(str, Enum):
    """The reference in `image_uri`: the digest that was verified, or the tag that pointed at it."""

    DIGEST = "digest"
    TAG = "tag"


class Gate(str, Enum):
    """The resources that wait for a verification: every ECS service of the stack, or only the users of the image."""

    STACK = "stack"
    IMAGE = "image"


class Compression(str, Enum):
    """How all layers are compressed, those of the base image included; `as-built` leaves the compression unchanged."""

    GZIP = "gzip"
    ZSTD = "zstd"
    AS_BUILT = "as-built"


class Require:
    """Conditions beyond those of the runtimes. Each applies only if `require=` contains it."""

    NON_ROOT_USER: Final = Requirement(NON_ROOT_USER)
    """The image does not run as root. A user name is looked up in the image only with `verify_layers`; without, only
    the name `root` counts as root."""
    NO_LATEST_BASE: Final = Requirement(NO_LATEST_BASE)
    """The annotation or label `org.opencontainers.image.base.name` names the base image, whose tag is not `latest`."""

    @staticmethod
    def label(name: str) -> Requirement:
        """The image has this label, with a value that is not empty.

        :param name: the label's name, such as `org.opencontainers.image.source`.
        :raises ValueError: if the name is empty.
        """
        return Requirement.parse(f"{LABEL}:{name}")

    @staticmethod
    def max_layers(count: int) -> Requirement:
        """The image has at most this number of layers.

        :param count: the number, at least 1.
        :raises ValueError: if the number is less than 1.
        """
        return Requirement.parse(f"{MAX_LAYERS}:{count}")


RunsOnName = Literal[
    "fargate",
    "ecs-ec2",
    "ecs-managed-instances",
    "ecs-anywhere",
    "lambda",
    "eks",
    "batch",
    "app-runner",
    "sagemaker",
    "agentcore",
]
RunsOnValue = RunsOn | RunsOnName
PinValue = Pin | Literal["digest", "tag"]
GateValue = Gate | Literal["stack", "image"]
FailOnValue = FailOn | Literal["error", "warning", "never"]
BuildOutputsValue = BuildOutputs | Literal["default", "custom", "custom-unhashed", "unknown"]
OnFailureValue = OnFailure | Literal["keep", "untag"]
RequireValue = Requirement | str
CompressionValue = Compression | Literal["gzip", "zstd", "as-built"]

_Option = TypeVar("_Option", bound=Enum)


@dataclass(frozen=True)
class Options:
    """The keyword arguments that set an image's options, as they were passed; None for those that were not.

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

    def __post_init__(self) -> None:
        # An option from a lookup that the CLI has yet to make counts as not set.
        for name, value in self.keywords.items():
            if value is not None and is_dummy(value):
                object.__setattr__(self, name, None)

    def override(self, other: Options) -> Options:
        """The other options, replaced by these where these are set.

        :param other: the options with less priority.
        """
        own = {name: value for name, value in self.keywords.items() if value is not None}
        return replace(other, **own) if own else other

    @property
    def keywords(self) -> dict[str, Any]:
        """The arguments by name, for a constructor that accepts all of them."""
        return dict(vars(self))

    def resolve(self, where: str) -> ResolvedOptions:
        """The options with their defaults, parsed.

        :param where: construct path, for the messages.
        :raises ValueError: if an option is not valid, no image can meet it, or it contradicts another; the message
            says what to use instead.
        """
        check_types(where, **self.keywords)
        options = self.override(_default_options())
        fail_on = enum_member(where, "fail_on", FailOn, options.fail_on)
        on_failure = enum_member(where, "on_failure", OnFailure, options.on_failure)
        if fail_on is FailOn.NEVER and on_failure is OnFailure.UNTAG:
            raise ValueError(
                f"{where}: fail_on is 'never', so that no image is refused, but on_failure is 'untag', which is for "
                "refused images: use on_failure='keep', or another fail_on"
            )
        if options.notify is not None and options.notify.fifo:
            raise ValueError(f"{where}: notify is a FIFO topic, which cannot send email: use a standard topic")
        return ResolvedOptions(
            policy=_policy(where, options, fail_on),
            on_failure=on_failure,
            pin=enum_member(where, "pin", Pin, options.pin),
            gate=enum_member(where, "gate", Gate, options.gate),
        )


@dataclass(frozen=True)
class ResolvedOptions:
    """The options with their defaults, parsed."""

    policy: Policy
    on_failure: OnFailure
    pin: Pin
    gate: Gate


@cache
def linux_amd64() -> ecr_assets.Platform:
    """The default platform."""
    return ecr_assets.Platform.LINUX_AMD64


@cache
def platform_name(platform: ecr_assets.Platform) -> str:
    """The name of a platform, such as `linux/amd64`."""
    return platform.platform


@cache
def platform_of(name: str) -> ecr_assets.Platform:
    """The platform of a name, such as `linux/amd64`."""
    return ecr_assets.Platform.custom(name)


@cache
def _default_options() -> Options:
    """The default options."""
    return Options(
        runs_on=RunsOn.FARGATE,
        platform=linux_amd64(),
        verify_layers=False,
        fail_on=FailOn.ERROR,
        require=(),
        acknowledge={},
        on_failure=OnFailure.KEEP,
        pin=Pin.DIGEST,
        gate=Gate.STACK,
    )


class Defaults(Construct):
    """The default options of every image below a scope. `ImagePolicy` makes it."""

    _ID: Final = "CdkSafeImagePolicy"
    # By the address of the scope.
    _of_scopes: ClassVar[dict[str, Defaults]] = {}

    def __init__(self, scope: Construct, options: Options) -> None:
        """
        :param scope: the scope whose images have these defaults.
        :param options: the defaults.
        """
        super().__init__(scope, self._ID)
        self.options = options
        self._of_scopes[address(scope)] = self

    @classmethod
    def of(cls, scope: IConstruct) -> Defaults | None:
        """The defaults of exactly this scope; None if it has none."""
        return cls._of_scopes.get(address(scope))


def with_defaults(scope: IConstruct, options: Options) -> Options:
    """The options, completed by the defaults of the scopes above an image. The nearest scope that sets one counts.

    :param scope: the scope in which the image is made.
    :param options: the image's own options.
    """
    above = filter(None, map(Defaults.of, reversed(scopes_of(scope))))
    return reduce(lambda nearer, defaults: nearer.override(defaults.options), above, options)


def enum_member(where: str, name: str, enum: type[_Option], value: Any) -> _Option:
    """The member of an enum for an argument.

    :param where: construct path, for the message.
    :param name: the argument's name.
    :param enum: the enum.
    :param value: a member, or the value of one.
    :raises ValueError: if it is neither; the message lists the values.
    """
    try:
        return enum(value)
    except ValueError:
        known = " or ".join(repr(member.value) for member in enum)
        raise ValueError(f"{where}: {name} is {value!r}: use {known}") from None


def runtime_names(runs_on: RunsOnValue | Sequence[RunsOnValue] | None) -> tuple[str, ...]:
    """The names of runtimes, each once.

    :param runs_on: one runtime or several; None for no runtime.
    """
    runtimes = (runs_on,) if isinstance(runs_on, str) else runs_on or ()
    return tuple(dict.fromkeys(str(getattr(name, "value", name)) for name in runtimes))


def _policy(where: str, options: Options, fail_on: FailOn) -> Policy:
    assert options.platform
    platform = platform_name(options.platform)
    try:
        return Policy(
            runs_on=runtime_names(options.runs_on),
            platform=Platform.parse("linux/amd64" if is_dummy(platform) else platform),
            min_size=_bytes("min_size", options.min_size),
            max_size=_bytes("max_size", options.max_size),
            verify_layers=options.verify_layers or False,
            acknowledge=options.acknowledge or {},
            fail_on=fail_on,
            require=_requirements(options.require or ()),
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _bytes(name: str, size: Size | None) -> int | None:
    if size is not None and size.is_unresolved():
        raise ValueError(f"{name} is only known at deploy: use a number")
    return None if size is None else int(size.to_bytes())


def _requirements(values: Sequence[RequireValue]) -> tuple[Requirement, ...]:
    if any(isinstance(value, str) and Token.is_unresolved(value) for value in values):
        raise ValueError("require contains a value that is only known at deploy: use a literal string")
    parsed = (value if isinstance(value, Requirement) else Requirement.parse(value) for value in values)
    return tuple(sorted(dict.fromkeys(parsed), key=str))
