"""RegistryRule: the policy of the images in some repositories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Size
from aws_cdk import aws_ecr_assets as ecr_assets
from image_verifier.policy import Policy

from ..options import FailOnValue, Options, RequireValue, RunsOnValue


class RegistryRule:
    """The policy of the images in some repositories, for `RegistryGuard`."""

    def __init__(
        self,
        *,
        acknowledge: Mapping[str, str] | None = None,
        fail_on: FailOnValue | None = None,
        max_size: Size | None = None,
        min_size: Size | None = None,
        platform: ecr_assets.Platform | None = None,
        require: Sequence[RequireValue] | None = None,
        runs_on: RunsOnValue | Sequence[RunsOnValue] | None = None,
        verify_layers: bool | None = None,
    ) -> None:
        """
        :param acknowledge: findings that do not refuse an image, by their ID, each with the reason. Default: none
        :param fail_on: the lowest severity that refuses an image: error, warning or never. Default: error
        :param max_size: the largest compressed size. Default: no bound
        :param min_size: the smallest compressed size. Default: no bound
        :param platform: the platform that each image must be for. Default: linux/amd64
        :param require: conditions beyond those of the runtimes. Default: none
        :param runs_on: one runtime or several that must be able to run each image. Default: fargate
        :param verify_layers: whether every layer is downloaded and read. Default: False
        """
        self._options = Options(
            acknowledge=acknowledge,
            fail_on=fail_on,
            max_size=max_size,
            min_size=min_size,
            platform=platform,
            require=require,
            runs_on=runs_on,
            verify_layers=verify_layers,
        )

    def policy(self, where: str) -> Policy:
        """The policy of the rule.

        :param where: the guard's path and the rule's pattern, for messages.
        :raises ValueError: if a value is wrong; the message says what to use instead.
        """
        return self._options.resolve(where).policy
