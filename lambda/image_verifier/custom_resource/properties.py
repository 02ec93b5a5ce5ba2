"""The properties of a Custom::ImageVerification as a type: the construct writes them, the handler parses them."""

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
from ..rules.names import BuildOutputs, Names
from ..rules.requirement_types import Requirement
from .schema import Property

_ARN: Final = re.compile(r"arn:[a-z-]+:ecr:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):repository/(?P<name>\S+)")


class OnFailure(str, Enum):
    """The handling of a refused image's tag: it is kept, or removed if none of the runtimes can pull the image."""

    KEEP = "keep"
    UNTAG = "untag"


@dataclass(frozen=True)
class Properties:
    """One image, and the policy that it must meet.

    :param repository_arn: ARN of the ECR repository.
    :param repository_uri: URI of the repository; the image's URI begins with it.
    :param tag: the image's tag; empty if the image is given by its digest.
    :param digest: the image's digest; empty if the image is given by its tag.
    :param pin: whether `ImageUri` contains the verified digest or the tag.
    :param policy: the conditions that the image must meet.
    :param on_failure: whether the tag of a refused image is kept or removed.
    :param notify: ARN of the SNS topic that gets the reports; empty for none.
    :param local_image: CDK's name for the built image on the machine that built it; the remedies use it.
    :param construct_path: path of the construct in the app; the messages use it.
    :param build_outputs: who set the outputs of the build, as the code of the app says; the remedies use it.
    :param stack_name: name of the top-level stack; empty where the verification is in that stack itself.
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
    build_outputs: BuildOutputs = BuildOutputs.UNKNOWN
    stack_name: str = ""

    @classmethod
    def parse(cls, properties: Mapping[str, Any]) -> Properties:
        """Parse the properties as CloudFormation sends them: every scalar is a string.

        :param properties: of a Custom::ImageVerification.
        :raises ValueError: if the construct cannot have written them; the message names the property.
        """
        tag, digest = _text(properties, Property.IMAGE_TAG), _text(properties, Property.IMAGE_DIGEST)
        if bool(tag) == bool(digest):
            raise ValueError("set either ImageTag or ImageDigest")
        if digest and not is_digest(digest):
            raise ValueError(f"ImageDigest is {digest!r}: use sha256: and 64 hexadecimal digits")
        pin = _text(properties, Property.PIN) or "digest"
        if pin not in ("digest", "tag"):
            raise ValueError(f"Pin is {pin!r}: use digest or tag")
        if pin == "tag" and not tag:
            raise ValueError("Pin is 'tag', but the image is given by its digest: use digest")
        arn = _text(properties, Property.REPOSITORY_ARN)
        if not _ARN.fullmatch(arn):
            raise ValueError(f"RepositoryArn is {arn!r}: use the ARN of an ECR repository")
        on_failure = _choice(properties, Property.ON_FAILURE, OnFailure, OnFailure.KEEP)
        if on_failure is OnFailure.UNTAG and not tag:
            raise ValueError("OnFailure is 'untag', but the image is given by its digest: use keep")
        return cls(
            repository_arn=arn,
            repository_uri=_text(properties, Property.REPOSITORY_URI),
            tag=tag,
            digest=digest,
            pin="tag" if pin == "tag" else "digest",
            policy=policy_of(properties),
            on_failure=on_failure,
            notify=_text(properties, Property.NOTIFY_TOPIC_ARN),
            local_image=_text(properties, Property.LOCAL_IMAGE),
            construct_path=_text(properties, Property.CONSTRUCT_PATH),
            build_outputs=build_outputs_of(properties),
            stack_name=_text(properties, Property.STACK_NAME),
        )

    def to_template(self) -> dict[str, Any]:
        """The properties as a template holds them, without those that have their default value.

        Strings may be CDK tokens.
        """
        written: dict[str, Any] = {
            Property.REPOSITORY_ARN: self.repository_arn,
            Property.REPOSITORY_URI: self.repository_uri,
            Property.IMAGE_TAG: self.tag,
            Property.IMAGE_DIGEST: self.digest,
            **policy_properties(self.policy),
            Property.PIN: self.pin,
            Property.ON_FAILURE: "" if self.on_failure is OnFailure.KEEP else self.on_failure.value,
            Property.NOTIFY_TOPIC_ARN: self.notify,
            Property.CONSTRUCT_PATH: self.construct_path,
            Property.LOCAL_IMAGE: self.local_image,
            Property.BUILD_OUTPUTS: "" if self.build_outputs is BuildOutputs.UNKNOWN else self.build_outputs.value,
            Property.STACK_NAME: self.stack_name,
        }
        return {name: value for name, value in written.items() if value}

    @property
    def names(self) -> Names:
        """The names that fill in the commands of the remedies."""
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
            outputs=self.build_outputs,
            construct=self.construct_path,
        )

    @property
    def fingerprint(self) -> str:
        """A hash of the image and the policy, which differs between successive properties of one resource."""
        policy = self.policy
        identity = [
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
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]

    def uri(self, digest: str) -> str:
        """The value of the attribute `ImageUri`: the URI that runtimes pull.

        :param digest: the verified digest; empty if there is none, and the URI can only contain the tag.
        """
        pinned = self.pin == "digest" and digest
        return f"{self.repository_uri}@{digest}" if pinned else f"{self.repository_uri}:{self.tag}"


def build_outputs_of(properties: Mapping[str, Any]) -> BuildOutputs:
    """The one who set the outputs of the image's build.

    :param properties: as CloudFormation sends them, or as a template has them.
    :raises ValueError: if the property has another value than this release knows.
    """
    return _choice(properties, Property.BUILD_OUTPUTS, BuildOutputs, BuildOutputs.UNKNOWN)


def policy_properties(policy: Policy) -> dict[str, Any]:
    """The properties of a policy, without those that have their default value; `policy_of` parses them.

    :param policy: the policy.
    """
    written: dict[str, Any] = {
        Property.RUNS_ON: list(policy.runs_on),
        Property.PLATFORM: str(policy.platform),
        Property.MIN_SIZE: _written(policy.min_size),
        Property.MAX_SIZE: _written(policy.max_size),
        Property.VERIFY_LAYERS: "true" if policy.verify_layers else "",
        Property.FAIL_ON: "" if policy.fail_on is FailOn.ERROR else policy.fail_on.value,
        Property.REQUIRE: [str(requirement) for requirement in policy.require],
        Property.ACKNOWLEDGE: dict(policy.acknowledge),
    }
    return {name: value for name, value in written.items() if value}


def policy_of(properties: Mapping[str, Any]) -> Policy:
    """Parse the policy alone, whatever the properties say about where the image is.

    :param properties: of a Custom::ImageVerification, as CloudFormation sends them or as a template has them.
    :raises ValueError: if the construct cannot have written them; the message names the property.
    """
    runs_on = properties.get(Property.RUNS_ON) or []
    acknowledge = properties.get(Property.ACKNOWLEDGE) or {}
    require = properties.get(Property.REQUIRE) or []
    if not isinstance(runs_on, list) or not isinstance(require, list) or not isinstance(acknowledge, dict):
        raise ValueError("use a list for RunsOn and for Require, and a map for Acknowledge")
    return Policy(
        runs_on=tuple(map(str, runs_on)),
        platform=Platform.parse(_text(properties, Property.PLATFORM) or "linux/amd64"),
        min_size=_bytes(properties, Property.MIN_SIZE),
        max_size=_bytes(properties, Property.MAX_SIZE),
        verify_layers=_flag(properties, Property.VERIFY_LAYERS),
        acknowledge=acknowledge,
        fail_on=_choice(properties, Property.FAIL_ON, FailOn, FailOn.ERROR),
        require=tuple(Requirement.parse(str(text)) for text in require),
    )


def _written(number: int | None) -> str:
    return "" if number is None else str(number)


def _text(properties: Mapping[str, Any], name: str) -> str:
    value = properties.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}: use a string")
    return value


def _flag(properties: Mapping[str, Any], name: str) -> bool:
    text = _text(properties, name) or "false"
    if text not in ("true", "false"):
        raise ValueError(f"{name} is {text!r}: use true or false")
    return text == "true"


_Choice = TypeVar("_Choice", FailOn, OnFailure, BuildOutputs)


def _choice(properties: Mapping[str, Any], name: str, kind: type[_Choice], default: _Choice) -> _Choice:
    text = _text(properties, name)
    try:
        return kind(text) if text else default
    except ValueError:
        known = " or ".join(member.value for member in kind)
        raise ValueError(f"{name} is {text!r}: use {known}") from None


def _bytes(properties: Mapping[str, Any], name: str) -> int | None:
    text = _text(properties, name)
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{name} is {text!r}: use a number of bytes")
    return int(text)
