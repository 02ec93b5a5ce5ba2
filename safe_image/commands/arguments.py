"""The arguments that commands share: the policy that images are checked by, sizes, growth, waivers."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import FailOn
from image_verifier.rules.requirement_types import Requirement
from image_verifier.rules.usual_platform import usual_platform

from ..configuration.configuration import Configuration, load
from ..configuration.sizes import parse_size
from ..errors import UsageError

_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?) ?%", re.ASCII)
# The policy's names of the command's options, for messages.
_FIELDS: Final = re.compile(r"\b(runs_on|min_size|max_size|require|acknowledge)\b")

DEFAULT_POLICY: Final = Policy(("fargate",), Platform("linux", "amd64"))


def add_policy_options(parser: ArgumentParser, default: str = "fargate") -> None:
    """Add the options that say what an image must meet.

    :param parser: the parser of a command that checks images.
    :param default: the default of `--runs-on`, in words.
    """
    parser.add_argument(
        "--runs-on",
        action="extend",
        type=runtime_names,
        metavar="NAME",
        help="a runtime that must run the image, or several with commas, may be repeated: fargate, ecs-ec2, "
        "ecs-managed-instances, ecs-anywhere, lambda, eks, batch, app-runner, sagemaker, agentcore; "
        f"default: {default}",
    )
    parser.add_argument(
        "--platform",
        metavar="OS/ARCH",
        help=f"the image's platform; default: {DEFAULT_POLICY.platform}, and linux/arm64 for agentcore",
    )
    parser.add_argument("--layers", action="store_true", help="also download and read every layer")
    parser.add_argument(
        "--min-size", metavar="SIZE", help="refuse an image whose compressed size is smaller; such as 50MiB"
    )
    parser.add_argument(
        "--max-size", metavar="SIZE", help="refuse an image whose compressed size is larger; such as 2GiB"
    )
    parser.add_argument(
        "--fail-on",
        choices=[severity.value for severity in FailOn],
        help="refuse an image for errors, for warnings too, or never; default: error",
    )
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="CONDITION",
        help="refuse an image that does not meet this, may be repeated: non-root-user, no-latest-base, label:NAME, "
        "max-layers:NUMBER",
    )
    parser.add_argument(
        "--acknowledge",
        action="append",
        default=[],
        metavar="ID=REASON",
        help="accept a finding, for a reason that the report shows; may be repeated",
    )
    add_configuration_options(parser)


def runtime_names(text: str) -> list[str]:
    """The runtimes of one `--runs-on`.

    :param text: such as `lambda` or `fargate,ecs-ec2`.
    """
    return [name.strip() for name in text.split(",")]


def add_configuration_options(parser: ArgumentParser) -> None:
    """Add the options that choose the configuration file.

    :param parser: the parser of a command that checks images.
    """
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration file; default: the nearest safe-image.toml, or pyproject.toml with [tool.safe-image], "
        "in the working folder or above",
    )
    parser.add_argument("--isolated", action="store_true", help="ignore every configuration file")


def configuration_of(arguments: Namespace) -> Configuration:
    """The configuration of a run, which is read once.

    :param arguments: the command line's options.
    :raises UsageError: if the file is wrong.
    """
    if not hasattr(arguments, "configuration"):
        arguments.configuration = load(arguments.config, isolated=arguments.isolated)
    configuration: Configuration = arguments.configuration
    return configuration


def add_growth_options(parser: ArgumentParser) -> None:
    """Add the options that say how much an image may grow.

    :param parser: the parser of a command that checks images.
    """
    parser.add_argument("--against", metavar="REFERENCE", help="an image to compare the compressed size with")
    parser.add_argument(
        "--max-growth",
        metavar="GROWTH",
        help="refuse an image that is larger than --against by more than this, such as 20%% or 50MiB; default: 0%%",
    )


def parse_growth(text: str | None) -> Callable[[int], int]:
    """The function that gives the largest size in bytes that is accepted after another size.

    :param text: such as `20%` or `50MiB`; None accepts no growth.
    :raises UsageError: if the text has another form.
    """
    share = _SHARE.fullmatch(text or "0%")
    if share:
        return lambda size: int(size * (100 + float(share[1])) / 100)
    try:
        more = parse_size("--max-growth", text) or 0
    except UsageError:
        raise UsageError(f"--max-growth {text!r} is not a valid growth: use 20% or 50MiB") from None
    return lambda size: size + more


def parse_acknowledgements(texts: Iterable[str]) -> dict[str, str]:
    """The reasons for accepting findings, by the finding's id.

    :param texts: such as `layer-foreign=the licence forbids to push it`.
    :raises UsageError: if a reason is missing.
    """
    reasons = {}
    for text in texts:
        finding, _, reason = text.partition("=")
        if not finding.strip() or not reason.strip():
            raise UsageError(f"--acknowledge {text!r}: use ID=REASON, a finding's id and the reason to accept it")
        reasons[finding.strip()] = reason.strip()
    return reasons


def default_policy(platform: str) -> Policy:
    """The default policy for an image of a platform.

    :param platform: such as `linux/arm64`; where it is not a platform of Fargate, the default one is used.
    """
    try:
        return replace(DEFAULT_POLICY, platform=Platform.parse(platform))
    except ValueError:
        return DEFAULT_POLICY


def parse_policy(
    arguments: Namespace,
    default: Policy = DEFAULT_POLICY,
    *,
    own: Policy | None = None,
    names: Iterable[str] = (),
) -> Policy:
    """The policy that an image is checked by: the options, else the image's own policy or the file's, else the default.

    :param arguments: the command line's options. They override what the others set, or add to its lists.
    :param default: the policy where neither the options nor the configuration file set anything.
    :param own: the image's own policy, such as that of its verification; the file only adds to its lists.
    :param names: the image's names, for the sections of the file.
    :raises UsageError: if an option is invalid, or no image can meet them all.
    """
    configuration = configuration_of(arguments)
    try:
        base = configuration.added(own, names) if own else configuration.policy(default, names)
        platform = arguments.platform
        if platform is None:
            platform = usual_platform(arguments.runs_on or (), str(base.platform))
        options: dict[str, Any] = {
            "runs_on": arguments.runs_on and tuple(arguments.runs_on),
            "platform": Platform.parse(platform),
            "min_size": parse_size("--min-size", arguments.min_size),
            "max_size": parse_size("--max-size", arguments.max_size),
            "fail_on": arguments.fail_on and FailOn(arguments.fail_on),
        }
        return replace(
            base,
            **{name: value for name, value in options.items() if value is not None},
            verify_layers=base.verify_layers or arguments.layers,
            acknowledge={**base.acknowledge, **parse_acknowledgements(arguments.acknowledge)},
            require=(*base.require, *map(Requirement.parse, arguments.require)),
        )
    except ValueError as e:
        raise UsageError(_FIELDS.sub(lambda m: "--" + m[0].replace("_", "-"), str(e))) from e
