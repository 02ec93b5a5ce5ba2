"""The arguments of an image's constructs: each check raises a ValueError that says what to use instead."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from aws_cdk import Duration, Stack, Token
from image_verifier.custom_resource.properties import OnFailure

from .options import Pin, ResolvedOptions
from .synthesis.facts import path_of, stack_of, stage_of
from .synthesis.identity import is_same
from .tokens import is_dummy, is_known_at_synth, is_literal
from .verifier import ImageVerifier

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
# The distribution specification's syntax of a tag.
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
# ECR's rule allows the host of a registry, which no repository has as a part of its name.
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
_NOT_A_REPOSITORY: Final = re.compile(r"[A-Z:@\s]|\.dkr\.ecr\.")
# The Lambda responds before its own timeout. This is for its start, and for the response's way back.
_SERVICE_TIMEOUT_MARGIN: Final = 60
_MAX_SERVICE_TIMEOUT: Final = 3600


def check_reference(path: str, repository_arn: str, tag: str | None, digest: str | None) -> None:
    """Check that an image is given by a repository and exactly one of tag and digest, and that these are valid.

    :param path: construct path, for the message.
    :param repository_arn: the ARN of the image's repository, which may contain tokens.
    :param tag: the image's tag.
    :param digest: the image's digest.
    :raises ValueError: if not.
    """
    _check_repository(path, repository_arn)
    if is_dummy([tag or "", digest or ""]):
        return
    if (tag is None) == (digest is None):
        both = "neither a tag nor a digest" if tag is None else "both a tag and a digest"
        raise ValueError(f"{path} has {both}: pass exactly one of tag= and digest=")
    if digest is not None and is_known_at_synth(digest) and not _DIGEST.fullmatch(digest):
        raise ValueError(f"{path}: digest is {digest!r}: use sha256: and 64 digits of 0-9 and a-f")
    if tag is not None and is_known_at_synth(tag) and not _TAG.fullmatch(tag):
        raise ValueError(f"{path}: tag is {tag!r}, which is not a valid tag: {_tag_hint(tag)}")


def _tag_hint(text: str) -> str:
    if text.startswith("sha256:"):
        return "pass it as digest="
    tag, at, _ = text.partition("@")
    return (
        f"pass {tag} as tag=, or the digest as digest=" if tag and at else "use the part after the colon of the image"
    )


def _check_repository(path: str, arn: str) -> None:
    # CDK accepts any name, and the deploy would find no such repository.
    name = arn.partition(":repository/")[2]
    is_known = is_literal(name) and is_known_at_synth(name)
    if is_known and not is_dummy(name) and _NOT_A_REPOSITORY.search(name):
        raise ValueError(
            f"{path}: repository has the name {name!r}, which is not valid: use the name without registry, tag and "
            "digest, in lower case, such as 'shop'"
        )


def check_tag_options(path: str, tag: str | None, options: ResolvedOptions) -> None:
    """Check that an image has a tag if its options need one.

    :param path: construct path, for the message.
    :param tag: the image's tag; None if it is given by its digest.
    :param options: the image's options.
    :raises ValueError: if not.
    """
    if options.pin is Pin.TAG and tag is None:
        raise ValueError(f"{path}: pin is 'tag', but the image is given by its digest: use pin='digest'")
    if options.on_failure is not OnFailure.UNTAG or is_dummy(tag):
        return
    if tag is None:
        raise ValueError(
            f"{path}: on_failure is 'untag', but the image is given by its digest, and there is no tag to remove. Use "
            "on_failure='keep', or pass the image's tag="
        )
    if not is_known_at_synth(tag):
        raise ValueError(
            f"{path}: on_failure is 'untag', but the tag is only known at deploy: a new tag is an update, and an "
            "update never removes a tag. Use on_failure='keep', or a tag that is known at synth"
        )


def check_environment(path: str, stack: Stack, verifier: ImageVerifier) -> None:
    """Check that CloudFormation can call a verifier from a stack.

    :param path: path of the verification, for the message.
    :param stack: the stack of the verification.
    :param verifier: the verifier.
    :raises ValueError: if the verifier is in another stage, account or region.
    """
    other = stack_of(verifier)
    if is_same(other, stack):
        return
    if not is_same(stage_of(other), stage_of(stack)):
        raise ValueError(
            f"{path} and its verifier {path_of(verifier)} are in different stages, and CDK allows no references "
            "between stages: make an ImageVerifier in each, or leave out verifier="
        )
    for name in ("region", "account"):
        here, there = (_environment_name(getattr(scope, name)) for scope in (stack, other))
        if here != there:
            raise ValueError(
                f"{path} is in {name} {here}, but its verifier {path_of(verifier)} is in {there}: CloudFormation "
                f"only calls a Lambda of its own {name}. Make an ImageVerifier in each, or leave out verifier="
            )


def service_timeout_for(path: str, requested: Duration | None, needed: int) -> int:
    """How long CloudFormation waits for a verification, in seconds.

    :param path: construct path, for the message.
    :param requested: the user's argument; None for the default.
    :param needed: how many seconds the verification may take.
    :raises ValueError: if the argument is shorter than the verification, or longer than CloudFormation accepts.
    """
    if requested is None:
        return needed + _SERVICE_TIMEOUT_MARGIN
    seconds = int(requested.to_seconds())
    if not needed < seconds <= _MAX_SERVICE_TIMEOUT:
        raise ValueError(
            f"{path}: service_timeout is {seconds} s: use more than the {needed} s that the verification "
            f"may take, and at most {_MAX_SERVICE_TIMEOUT} s"
        )
    return seconds


def dockerfile_problem(path: str, directory: str, file: str | None) -> str | None:
    """Why CDK finds no Dockerfile; None if there is one.

    :param path: construct path, for the message.
    :param directory: the build's context. A relative path begins at the working directory of Python, which may have
        changed since Node.js was started.
    :param file: the Dockerfile's path in the context; None for Dockerfile.
    """
    folder, name = Path(directory), file or "Dockerfile"
    if not folder.is_dir():
        where = "" if folder.is_absolute() else f" in {Path.cwd()}"
        return f"{path}: directory is {directory!r}, which is not a folder{where}: use the folder of the Dockerfile"
    # CDK looks in the directory also for a path that begins with a slash.
    if not (folder / name.lstrip("/")).is_file():
        return (
            f"{path}: {directory!r} does not contain {name}: set directory= to the folder that contains it, or file= "
            "to its path in that folder"
        )
    return None


def _environment_name(account_or_region: str) -> str:
    return "one that is only known at deploy" if Token.is_unresolved(account_or_region) else account_or_region
