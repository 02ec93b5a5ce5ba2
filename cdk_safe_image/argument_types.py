"""The types of keyword arguments, for those that jsii and Python do not check or that would fail deep inside CDK."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import Duration, Size
from aws_cdk import aws_ecr_assets as ecr_assets
from image_verifier.rules.requirement_types import Requirement


@dataclass(frozen=True)
class ArgumentType:
    """The type of an argument.

    :param accepts: whether a value has the type.
    :param use: what to use instead of a value that does not.
    :param is_required: whether None is refused too.
    """

    accepts: Callable[[Any], bool]
    use: str
    is_required: bool = False


def check_types(where: str, **values: Any) -> None:
    """Check the types of keyword arguments.

    :param where: construct path, for the message.
    :param values: the arguments by name.
    :raises ValueError: if one has another type; the message says what to use instead.
    """
    for name, value in values.items():
        expected = _TYPES.get(name)
        if expected and (value is not None or expected.is_required) and not expected.accepts(value):
            raise ValueError(f"{where}: {name} is {value!r}: use {expected.use}")


def _is_a(*types: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types)


def _has(attribute: str) -> Callable[[Any], bool]:
    """Python cannot check whether an object implements an interface of CDK, so its attributes are checked instead."""
    return lambda value: hasattr(type(value), attribute)


def _is_list_of(*types: type) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, Collection) and not isinstance(value, str) and all(isinstance(v, types) for v in value)
    )


_SIZE: Final = ArgumentType(_is_a(Size), "a size, such as Size.mebibytes(100)")
_DURATION: Final = ArgumentType(_is_a(Duration), "a duration, such as Duration.minutes(10)")
_TEXT: Final = ArgumentType(_is_a(str), "a string")
_TYPES: Final[Mapping[str, ArgumentType]] = {
    "acknowledge": ArgumentType(
        lambda value: isinstance(value, Mapping) and all(isinstance(reason, str) for reason in value.values()),
        "each finding's id with the reason to waive it, such as {'no-command': 'the task definition sets it'}",
    ),
    "digest": _TEXT,
    "directory": ArgumentType(_is_a(str), "the path of a folder as a string, such as str(path)", is_required=True),
    "max_size": _SIZE,
    "memory_size": ArgumentType(_is_a(int, float), "a number of MiB, such as 512"),
    "min_size": _SIZE,
    "notify": ArgumentType(_has("topic_arn"), "a topic, such as sns.Topic.from_topic_arn(self, 'Topic', 'arn:…')"),
    "outputs": ArgumentType(_is_list_of(str), "a list, such as ['type=docker,attestation-inline=false']"),
    "platform": ArgumentType(_is_a(ecr_assets.Platform), "a platform, such as ecr_assets.Platform.LINUX_ARM64"),
    "repository": ArgumentType(
        _has("repository_uri"),
        "a repository, such as ecr.Repository.from_repository_name(self, 'Repository', 'shop')",
        is_required=True,
    ),
    "require": ArgumentType(_is_list_of(str, Requirement), "a list, such as [Require.NON_ROOT_USER]"),
    "runs_on": ArgumentType(_is_a(Collection), "a runtime's name or a list of them, such as ['fargate', 'lambda']"),
    "service_timeout": _DURATION,
    "tag": _TEXT,
    "timeout": _DURATION,
    "verifier": ArgumentType(lambda value: hasattr(value, "function"), "an ImageVerifier"),
    "verify_layers": ArgumentType(_is_a(bool), "True or False"),
}
