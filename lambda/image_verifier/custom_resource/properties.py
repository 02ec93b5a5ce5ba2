"""The wire contract: what a Custom::ImageVerification resource says, typed once for the construct and the handler."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, TypeVar

from ..image.model import Platform, is_digest
from ..policy import Policy
from ..report import FailOn
from ..rules.remedies import Names
from ..rules.requirement_types import Requirement

_ARN: Final = re.compile(r"arn:[a-z-]+:ecr:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):repository/(?P<name>\S+)")


class OnFailure(str, Enum):
    """What becomes of a rejected tag: it is kept, or removed where nobody can pull its image."""

    KEEP = "keep"
    UNTAG = "untag"


@dataclass(frozen=True)
class Properties:
    """One image, and what is asked of it.

    :param repository_arn: the ECR repository.
    :param repository_uri: its URI, of which the image's URI is made.
    :param tag: the image's tag; empty where it is named by its digest.
    :param digest: the image's digest; empty where it is named by its tag.
    :param pin: whether `ImageUri` names the verified digest or the tag.
    :param policy: what is asked of the image.
    :param on_failure: what becomes of a rejected tag.
    :param notify: ARN of the SNS topic that is told of refusals and doubts; empty where none is.
    :param local_image: CDK's name for the built image on the machine that built it; for the commands.
    :param construct_path: the construct's path in the app; for the message.
    """

    repository_arn: str
    repository_uri: str
    tag: str
    digest: str
    pin: Literal["digest", "tag"]
    policy: Policy
    on_failure: OnFailure = OnFailure.KEEP
    notify: str = ""
    local_image: str = ""
    construct_path: str = ""

    @classmethod
    def parse(cls, properties: Mapping[str, Any]) -> Properties:
        """The properties as CloudFormation sends them: every scalar a string.

        :raises ValueError: if they are not what the construct writes; the message names the property.
        """
        tag, digest = _text(properties, "ImageTag"), _text(properties, "ImageDigest")
        if bool(tag) == bool(digest):
            raise ValueError("write either ImageTag or ImageDigest")
        if digest and not is_digest(digest):
            raise ValueError(f"ImageDigest is {digest!r}: write sha256: and 64 hexadecimal digits")
        pin = _text(properties, "Pin") or "digest"
        if pin not in ("digest", "tag"):
            raise ValueError(f"Pin is {pin!r}: write digest or tag")
        if pin == "tag" and not tag:
            raise ValueError("Pin is 'tag', and the image is named by its digest: write digest")
        arn = _text(properties, "RepositoryArn")
        if not _ARN.fullmatch(arn):
            raise ValueError(f"RepositoryArn is {arn!r}: write the ARN of an ECR repository")
        on_failure = _choice(properties, "OnFailure", OnFailure, OnFailure.KEEP)
        if on_failure is OnFailure.UNTAG and not tag:
            raise ValueError("OnFailure is 'untag', and the image is named by its digest: write keep")
        return cls(
            repository_arn=arn,
            repository_uri=_text(properties, "RepositoryUri"),
            tag=tag,
            digest=digest,
            pin="tag" if pin == "tag" else "digest",
            policy=policy_of(properties),
            on_failure=on_failure,
            notify=_text(properties, "NotifyTopicArn"),
            local_image=_text(properties, "LocalImage"),
            construct_path=_text(properties, "ConstructPath"),
        )

    @property
    def names(self) -> Names:
        """The names with which a finding's commands are filled in."""
        match = _ARN.fullmatch(self.repository_arn)
        assert match
        return Names(
            reference=f"{self.repository_uri}:{self.tag}" if self.tag else f"{self.repository_uri}@{self.digest}",
            region=match["region"],
            registry_id=match["account"],
            repository=match["name"],
            tag=self.tag,
            digest=self.digest,
            local_image=self.local_image,
            platform=str(self.policy.platform),
        )

    @property
    def fingerprint(self) -> str:
        """What tells these properties from others of the same resource: the image and the policy."""
        policy = self.policy
        said = [
            self.repository_arn,
            self.tag,
            self.digest,
            policy.runs_on,
            str(policy.platform),
            policy.min_size,
            policy.max_size,
            policy.verify_layers,
            sorted(policy.acknowledge.items()),
            policy.fail_on.value,
            sorted(map(str, policy.require)),
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]

    def uri(self, digest: str) -> str:
        """The URI under which the verified image is to be run.

        :param digest: the verified digest; empty where there is none, and only the tag can be named.
        """
        pinned = self.pin == "digest" and digest
        return f"{self.repository_uri}@{digest}" if pinned else f"{self.repository_uri}:{self.tag}"


def policy_of(properties: Mapping[str, Any]) -> Policy:
    """What properties ask of the image, whatever they say of where it is.

    :param properties: of a Custom::ImageVerification, as CloudFormation sends them or as a template has them.
    :raises ValueError: if they are not what the construct writes; the message names the property.
    """
    runs_on = properties.get("RunsOn") or []
    acknowledge = properties.get("Acknowledge") or {}
    require = properties.get("Require") or []
    if not isinstance(runs_on, list) or not isinstance(require, list) or not isinstance(acknowledge, dict):
        raise ValueError("write a list in RunsOn and in Require, and a map in Acknowledge")
    return Policy(
        runs_on=tuple(map(str, runs_on)),
        platform=Platform.parse(_text(properties, "Platform") or "linux/amd64"),
        min_size=_bytes(properties, "MinSize"),
        max_size=_bytes(properties, "MaxSize"),
        verify_layers=_flag(properties, "VerifyLayers"),
        acknowledge=acknowledge,
        fail_on=_choice(properties, "FailOn", FailOn, FailOn.ERROR),
        require=tuple(Requirement.parse(str(text)) for text in require),
    )


def _text(properties: Mapping[str, Any], name: str) -> str:
    value = properties.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}: write a string")
    return value


def _flag(properties: Mapping[str, Any], name: str) -> bool:
    text = _text(properties, name) or "false"
    if text not in ("true", "false"):
        raise ValueError(f"{name} is {text!r}: write true or false")
    return text == "true"


_Choice = TypeVar("_Choice", FailOn, OnFailure)


def _choice(properties: Mapping[str, Any], name: str, kind: type[_Choice], default: _Choice) -> _Choice:
    text = _text(properties, name)
    try:
        return kind(text) if text else default
    except ValueError:
        known = " or ".join(member.value for member in kind)
        raise ValueError(f"{name} is {text!r}: write {known}") from None


def _bytes(properties: Mapping[str, Any], name: str) -> int | None:
    text = _text(properties, name)
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{name} is {text!r}: write a number of bytes")
    return int(text)
