"""The settings of a RegistryGuard: the construct writes them into the Lambda's environment, the handler parses them."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from ..custom_resource.properties import policy_of, policy_properties
from ..policy import Policy

VARIABLE: Final = "REGISTRY_GUARD"
"""The environment variable that contains the settings."""


class OnRefused(str, Enum):
    """The handling of a refused image's tag, besides the report."""

    REPORT = "report"
    """The tag is left alone."""
    TAG = "tag"
    """The image gets a second tag, `cdk-safe-image-rejected-` and 12 digits of its digest."""
    UNTAG = "untag"
    """The tag is removed, if no runtime at all can pull the image."""


@dataclass(frozen=True)
class RepositoryRule:
    """The policy of the images in some repositories.

    :param pattern: the names of the repositories, with the wildcards `*`, `?` and `[…]`.
    :param policy: the conditions that each image must meet.
    """

    pattern: str
    policy: Policy


@dataclass(frozen=True)
class Settings:
    """The settings of one guard.

    :param guard: its name, in metrics and keys.
    :param partition: the partition of its account, such as `aws`.
    :param url_suffix: the domain of the partition's registries, such as `amazonaws.com`.
    :param bucket: the bucket that gets the reports.
    :param bus: the name or the ARN of the event bus.
    :param topic: ARN of the SNS topic that gets the refusals; empty for none.
    :param on_refused: the handling of a refused image's tag.
    :param rules: the policies by repository; the first rule whose pattern matches counts.
    :param verify_layers: whether every layer of an image without a rule is read.
    :param inventory: the table with the images in use, whose consumers decide where no rule does; empty for none.
    """

    guard: str
    partition: str
    url_suffix: str
    bucket: str
    bus: str = "default"
    topic: str = ""
    on_refused: OnRefused = OnRefused.REPORT
    rules: tuple[RepositoryRule, ...] = ()
    verify_layers: bool = False
    inventory: str = ""

    def rule_for(self, repository: str) -> RepositoryRule | None:
        """The rule of a repository; None where no pattern matches its name."""
        return next((rule for rule in self.rules if fnmatch.fnmatchcase(repository, rule.pattern)), None)

    def as_json(self) -> dict[str, Any]:
        """The settings as the environment variable contains them. Strings may be CDK tokens."""
        return {
            "guard": self.guard,
            "partition": self.partition,
            "urlSuffix": self.url_suffix,
            "bucket": self.bucket,
            "bus": self.bus,
            "topic": self.topic,
            "onRefused": self.on_refused.value,
            "rules": [{"pattern": rule.pattern, **policy_properties(rule.policy)} for rule in self.rules],
            "verifyLayers": self.verify_layers,
            "inventory": self.inventory,
        }

    @classmethod
    def parse(cls, text: str) -> Settings:
        """Parse the environment variable.

        :raises ValueError: if the construct cannot have written it.
        """
        value: Mapping[str, Any] = json.loads(text)
        try:
            return cls(
                guard=value["guard"],
                partition=value["partition"],
                url_suffix=value["urlSuffix"],
                bucket=value["bucket"],
                bus=value["bus"],
                topic=value["topic"],
                on_refused=OnRefused(value["onRefused"]),
                rules=tuple(RepositoryRule(rule["pattern"], policy_of(rule)) for rule in value["rules"]),
                verify_layers=bool(value["verifyLayers"]),
                inventory=value["inventory"],
            )
        except KeyError as e:
            raise ValueError(f"{VARIABLE} lacks {e}") from None
