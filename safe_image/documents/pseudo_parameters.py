"""The pseudo parameters of CloudFormation: those of `--set`, or of the caller's environment."""

from __future__ import annotations

import re
from typing import Any, Final

from image_verifier.faults import Fault
from image_verifier.image.ecr_hosts import ecr_host
from image_verifier.text import in_sentences

from ..sources.aws_sessions import AwsSessions
from .settings import Settings
from .unknown import Unknown

_OF_ENVIRONMENT: Final = frozenset({"AWS::AccountId", "AWS::Region", "AWS::Partition", "AWS::URLSuffix"})
_HOST: Final = re.compile(r"^\.dkr\.ecr\.[^.]+\.")


class PseudoParameters:
    """The values of pseudo parameters. The environment is asked only where a template needs it."""

    def __init__(self, settings: Settings, sessions: AwsSessions) -> None:
        """
        :param settings: the values of `--set`.
        :param sessions: the AWS sessions.
        """
        self._settings, self._sessions = settings, sessions

    def __call__(self, name: str) -> Any:
        """The value of a pseudo parameter, or `Unknown`.

        :param name: such as `AWS::Region`.
        """
        value = self._settings.get(name)
        if value is not None:
            return value
        advice = f"Pass --set {name}=VALUE"
        if name not in _OF_ENVIRONMENT:
            return Unknown(f"${{{name}}}", f"the value of {name}", advice)
        try:
            return self._of_environment(name)
        except Fault as e:
            # The reason is the same for all of them, and is shown once.
            return Unknown(f"${{{name}}}", f"the value of {name}", f"{in_sentences(e.message, e.advice)} {advice}")

    def _of_environment(self, name: str) -> str:
        if name == "AWS::AccountId":
            return self._sessions.environment().account
        region = self._settings.get("AWS::Region") or self._sessions.environment().region
        if name == "AWS::Region":
            return region
        partition = self._sessions.partition(region)
        return partition if name == "AWS::Partition" else _HOST.sub("", ecr_host("", region, partition))
