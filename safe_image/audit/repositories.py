"""The ECR repositories of the command line: by name, URI or ARN, or all of a registry."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from image_verifier.audit.repository import Repository
from image_verifier.image.ecr_hosts import ECR_HOST
from image_verifier.image.references import Reference

from ..errors import UsageError
from ..sources.aws_sessions import AwsSessions

REPOSITORIES: Final = "a repository's name, its URI (ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME) or its ARN"

_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):ecr:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):repository/(?P<name>.+)"
)
_ACCOUNT: Final = re.compile(r"\d{12}", re.ASCII)


def whole_registry(sessions: AwsSessions, registry_id: str | None) -> Repository:
    """All repositories of a registry, as a repository with the name `*`.

    :param sessions: the AWS sessions.
    :param registry_id: its account as it was written; None for the account of the credentials.
    :raises UsageError: if it is not an account.
    :raises Fault: if there is no region, or there are no credentials.
    """
    if registry_id is not None and not _ACCOUNT.fullmatch(registry_id):
        raise UsageError(f"--registry-id {registry_id!r} is not an account: use its 12 digits")
    place = sessions.environment()
    return Repository(place.partition, place.region, registry_id or place.account, "*")


def parse_repository(text: str, sessions: AwsSessions, registry_id: str | None) -> Repository:
    """The repository of a name, a URI or an ARN.

    :param text: the argument as it was written.
    :param sessions: the AWS sessions.
    :param registry_id: the account of a bare name; None for the account of the credentials.
    :raises UsageError: if it is not a repository; the message says what to use instead.
    """
    if text.startswith("arn:"):
        arn = _ARN.fullmatch(text)
        if not arn:
            raise UsageError(f"{text!r} is not an ECR repository's ARN: use arn:aws:ecr:REGION:ACCOUNT:repository/NAME")
        return Repository(arn["partition"], arn["region"], arn["account"], _name(text, arn["name"]))
    try:
        reference = Reference.parse(text)
    except ValueError as e:
        raise UsageError(f"{e}: use {REPOSITORIES}") from e
    if reference.digest or text.endswith(f":{reference.tag}"):
        name = text.partition("@")[0].removesuffix(f":{reference.tag}")
        raise UsageError(f"{text!r} is one image: use safe-image check {text}, or audit {name} for all of its images")
    host = ECR_HOST.fullmatch(reference.registry)
    if host:
        region = host["region"]
        return Repository(sessions.partition(region), region, host["account"], reference.repository)
    if "." in text.partition("/")[0] or ":" in text:
        raise UsageError(f"{text!r} is not in ECR: use {REPOSITORIES}")
    return replace(whole_registry(sessions, registry_id), name=_name(text, text))


def _name(text: str, name: str) -> str:
    try:
        # Parsed with a host: a bare name would be one of Docker Hub's.
        parsed = Reference.parse(f"registry.example/{name}")
    except ValueError as e:
        raise UsageError(f"{text!r} is not the name of a repository: {e}") from e
    if parsed.repository != name:
        raise UsageError(f"{text!r} is one image: use the repository's name alone")
    return name
