"""The types of keyword arguments, for those that jsii and Python do not check or that would fail deep inside CDK."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import Duration, Size
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
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
            raise ValueError(f"{where}: {name} is {_shown(value)}: use {expected.use}")


def _shown(value: Any) -> str:
    """A value for a message. An object of CDK shows only its address, which nobody can read."""
    return _ADDRESS.sub(r"an object of \1", repr(value))


def _is_a(*types: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types)


def _has(attribute: str) -> Callable[[Any], bool]:
    """Python cannot check whether an object implements an interface of CDK, so its attributes are checked instead.

    The class is looked at first, since reading the attribute is a call to Node.js. The class of jsii's proxy for an
    object of several interfaces does not have it, but the proxy itself does.
    """
    return lambda value: hasattr(type(value), attribute) or (not isinstance(value, type) and hasattr(value, attribute))


def _is_list_of(*types: type) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, Collection) and not isinstance(value, str) and all(isinstance(v, types) for v in value)
    )


def _is_list_with(attribute: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Collection) and all(map(_has(attribute), value))


def _is_mapping_to_text(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(v, str) for v in (*value.keys(), *value.values()))


_ADDRESS: Final = re.compile(r"<(\S+) object at 0x[0-9a-f]+>")
_SIZE: Final = ArgumentType(_is_a(Size), "a size, such as Size.mebibytes(100)")
_DURATION: Final = ArgumentType(_is_a(Duration), "a duration, such as Duration.minutes(10)")
_TEXT: Final = ArgumentType(_is_a(str), "a string")
_TOPIC: Final = ArgumentType(_has("topic_arn"), "a topic, such as sns.Topic.from_topic_arn(self, 'Topic', 'arn:…')")
_COMMAND: Final = ArgumentType(_is_list_of(str), "a list, such as ['app.handler']")
_TYPES: Final[Mapping[str, ArgumentType]] = {
    "acknowledge": ArgumentType(
        _is_mapping_to_text,
        "each finding's id with the reason to waive it, such as {'no-command': 'the task definition sets it'}",
    ),
    "architecture": ArgumentType(_is_a(lambda_.Architecture), "an architecture, such as lambda_.Architecture.ARM_64"),
    "bucket": ArgumentType(_has("bucket_arn"), "a bucket, such as s3.Bucket.from_bucket_name(self, 'Reports', 'name')"),
    "bus": ArgumentType(
        _has("event_bus_arn"), "an event bus, such as events.EventBus.from_event_bus_name(self, 'Bus', 'name')"
    ),
    "build_args": ArgumentType(_is_mapping_to_text, "a dict of strings, such as {'VERSION': '1.4'}"),
    "cmd": _COMMAND,
    "dead_letter_queue": ArgumentType(_has("queue_arn"), "a queue, such as sqs.Queue(self, 'DeadLetters')"),
    "digest": _TEXT,
    "directory": ArgumentType(_is_a(str), "the path of a folder as a string, such as str(path)", is_required=True),
    "encryption_key": ArgumentType(_has("key_arn"), "a key, such as kms.Key.from_key_arn(self, 'Key', 'arn:…')"),
    "entrypoint": _COMMAND,
    "exclude": ArgumentType(_is_list_of(str), "a list, such as ['*.md']"),
    "extra_hash": _TEXT,
    "id": _TEXT,
    "invalidation": ArgumentType(
        _is_a(ecr_assets.DockerImageAssetInvalidationOptions, dict),
        "the options, such as ecr_assets.DockerImageAssetInvalidationOptions(build_args=False)",
    ),
    "log_group": ArgumentType(
        _has("log_group_arn"), "a log group, such as logs.LogGroup.from_log_group_name(self, 'Logs', 'name')"
    ),
    "log_retention": ArgumentType(_is_a(logs.RetentionDays), "a retention, such as logs.RetentionDays.ONE_MONTH"),
    "max_concurrency": ArgumentType(_is_a(int), "a whole number, such as 10"),
    "max_size": _SIZE,
    "memory_size": ArgumentType(_is_a(int, float), "a number of MiB, such as 512"),
    "min_size": _SIZE,
    "notify": _TOPIC,
    "outputs": ArgumentType(_is_list_of(str), "a list, such as ['type=docker,attestation-inline=false']"),
    "permissions_boundary": ArgumentType(
        _has("managed_policy_arn"),
        "a policy, such as iam.ManagedPolicy.from_managed_policy_name(self, 'Boundary', 'name')",
    ),
    "platform": ArgumentType(
        _is_a(ecr_assets.Platform), "ecr_assets.Platform.LINUX_AMD64 or ecr_assets.Platform.LINUX_ARM64"
    ),
    "repositories": ArgumentType(
        _is_list_with("repository_arn"),
        "a list of repositories, such as [ecr.Repository.from_repository_name(self, 'Repository', 'shop')]",
    ),
    "repository": ArgumentType(
        _has("repository_uri"),
        "a repository, such as ecr.Repository.from_repository_name(self, 'Repository', 'shop')",
        is_required=True,
    ),
    "require": ArgumentType(_is_list_of(str, Requirement), "a list, such as [Require.NON_ROOT_USER]"),
    "role": ArgumentType(_has("role_arn"), "a role, such as iam.Role.from_role_arn(self, 'Role', 'arn:…')"),
    "rules": ArgumentType(_is_a(Mapping), "a dict, such as {'shop/*': RegistryRule(runs_on='lambda')}"),
    "runs_on": ArgumentType(_is_a(Collection), "a runtime's name or a list of them, such as ['fargate', 'lambda']"),
    "runtime": ArgumentType(_is_a(lambda_.Runtime), "a Python runtime, such as lambda_.Runtime.PYTHON_3_13"),
    "schedule": ArgumentType(_has("expression_string"), "events.Schedule.rate(…) or events.Schedule.cron(…)"),
    "scope": ArgumentType(_has("node"), "an app, a stage, a stack or another construct", is_required=True),
    "security_groups": ArgumentType(_is_list_with("security_group_id"), "a list of security groups"),
    "service_timeout": _DURATION,
    "sweep": ArgumentType(
        _has("schedule"), "a sweep, such as RegistrySweep(schedule=events.Schedule.rate(Duration.days(1)))"
    ),
    "tag": _TEXT,
    "timeout": _DURATION,
    "topic": _TOPIC,
    "verifier": ArgumentType(lambda value: hasattr(value, "function"), "an ImageVerifier"),
    "verify_layers": ArgumentType(_is_a(bool), "True or False"),
    "vpc": ArgumentType(_has("vpc_id"), "a VPC, such as ec2.Vpc.from_lookup(self, 'Vpc', vpc_id='vpc-…')"),
}
