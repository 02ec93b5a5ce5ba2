"""What the arguments that commands share are, and what they mean: sizes, platforms, waivers, a policy."""

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

from ..errors import UsageError

_UNITS: Final = {
    "": 1,
    "B": 1,
    "KB": 1000,
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", start=1)},
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", start=1)},
}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?) ?([a-zA-Z]*)", re.ASCII)
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?) ?%", re.ASCII)
# The policy's own words for what the command's options say.
_FIELDS: Final = re.compile(r"\b(runs_on|min_size|max_size|require|acknowledge)\b")

# What is asked of an image where nobody says otherwise.
DEFAULT: Final = Policy(("fargate",), Platform("linux", "amd64"))


def add_policy(parser: ArgumentParser, default: str = "fargate") -> None:
    """Tell a parser what says what is asked of an image.

    :param parser: the one of a command that judges images.
    :param default: where an image must run if nothing is said, in words.
    """
    parser.add_argument(
        "--runs-on",
        action="append",
        metavar="NAME",
        help="where it must run, may be repeated: fargate, ecs-ec2, lambda, eks, batch, app-runner, sagemaker, "
        f"agentcore; default: {default}",
    )
    parser.add_argument("--platform", metavar="OS/ARCH", help=f"default: {DEFAULT.platform}")
    parser.add_argument("--layers", action="store_true", help="read every layer's bytes too")
    parser.add_argument("--min-size", metavar="SIZE", help="refuse a smaller image, compressed; such as 50MiB")
    parser.add_argument("--max-size", metavar="SIZE", help="refuse a larger image, compressed; such as 2GiB")
    parser.add_argument(
        "--fail-on",
        choices=[severity.value for severity in FailOn],
        help="refuse an image for its errors, for its warnings too, or never; default: error",
    )
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="CONDITION",
        help="refuse an image that does not meet it, may be repeated: non-root-user, no-latest-base, label:NAME, "
        "max-layers:NUMBER",
    )
    parser.add_argument(
        "--acknowledge",
        action="append",
        default=[],
        metavar="ID=REASON",
        help="let a finding pass, with the reason that the report then shows; may be repeated",
    )


def add_growth(parser: ArgumentParser) -> None:
    """Tell a parser what says how much an image may grow.

    :param parser: the one of a command that judges images.
    """
    parser.add_argument("--against", metavar="REFERENCE", help="compare the size with this image's")
    parser.add_argument(
        "--max-growth",
        metavar="GROWTH",
        help="refuse an image that is larger than --against by more than this, such as 20%% or 50MiB; default: 0%%",
    )


def growth(text: str | None) -> Callable[[int], int]:
    """What makes of a size in bytes the largest one that may come after it.

    :param text: such as `20%` or `50MiB`; None lets nothing grow.
    :raises UsageError: if it is not of that form.
    """
    share = _SHARE.fullmatch(text or "0%")
    if share:
        return lambda size: int(size * (100 + float(share[1])) / 100)
    try:
        more = size("--max-growth", text) or 0
    except UsageError:
        raise UsageError(f"--max-growth {text!r} is no growth: write such as 20% or 50MiB") from None
    return lambda size: size + more


def size(option: str, text: str | None) -> int | None:
    """A number of bytes.

    :param option: the option's name, for the message.
    :param text: such as `50MiB`, `1.5GB` or `52428800`; None stays None.
    :raises UsageError: if it is not of that form.
    """
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    if not match or match[2] not in _UNITS:
        raise UsageError(f"{option} {text!r} is not a size: write a number and a unit, such as 50MiB, 2GiB or 500MB")
    return int(float(match[1]) * _UNITS[match[2]])


def acknowledged(texts: Iterable[str]) -> dict[str, str]:
    """The reasons by finding's id.

    :param texts: such as `layer-foreign=the licence forbids to push it`.
    :raises UsageError: if one has no reason.
    """
    reasons = {}
    for text in texts:
        finding, _, reason = text.partition("=")
        if not finding.strip() or not reason.strip():
            raise UsageError(f"--acknowledge {text!r}: write a finding's id, = and the reason for which it may pass")
        reasons[finding.strip()] = reason.strip()
    return reasons


def default_on(platform: str) -> Policy:
    """What is asked of an image where nobody says more than what it is for.

    :param platform: such as `linux/arm64`; one that is none, or that Fargate does not have, is passed by.
    """
    try:
        return replace(DEFAULT, platform=Platform.parse(platform))
    except ValueError:
        return DEFAULT


def policy(arguments: Namespace, known: Policy = DEFAULT) -> Policy:
    """What is asked of an image.

    :param arguments: what was said on the command line, which goes before the rest or comes to it.
    :param known: what is asked already, such as by the image's own verification in a cloud assembly.
    :raises UsageError: for what no image can meet, or what nobody knows.
    """
    try:
        said: dict[str, Any] = {
            "runs_on": arguments.runs_on and tuple(arguments.runs_on),
            "platform": arguments.platform and Platform.parse(arguments.platform),
            "min_size": size("--min-size", arguments.min_size),
            "max_size": size("--max-size", arguments.max_size),
            "fail_on": arguments.fail_on and FailOn(arguments.fail_on),
        }
        return replace(
            known,
            **{name: value for name, value in said.items() if value is not None},
            verify_layers=known.verify_layers or arguments.layers,
            acknowledge={**known.acknowledge, **acknowledged(arguments.acknowledge)},
            require=(*known.require, *map(Requirement.parse, arguments.require)),
        )
    except ValueError as e:
        raise UsageError(_FIELDS.sub(lambda m: "--" + m[0].replace("_", "-"), str(e))) from e
