"""RegistrySweep: what a `RegistryGuard` sweeps, how often, and how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Size, Token
from aws_cdk import aws_events as events
from image_verifier.sweep.settings import SweepSettings

from ..argument_types import check_types


class RegistrySweep:
    """Scheduled verification of the images that are in a registry, for `RegistryGuard`."""

    def __init__(
        self,
        *,
        schedule: events.Schedule,
        everything: bool = False,
        max_concurrency: int = 20,
        max_images: int = 1_000_000,
        max_size: Size | None = None,
        repositories: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        verify_layers: bool = False,
    ) -> None:
        """
        :param schedule: when a sweep starts.
        :param everything: whether images are verified again that passed in the sweep before. Default: False
        :param max_concurrency: the largest number of batches that are verified at once, 1 to 1000. A batch downloads up
            to 50 configs a second, each with one GetDownloadUrlForLayer; ECR's default quota is 3,000 a second, which
            deploys share. Default: 20
        :param max_images: the largest number of images in one sweep that have no earlier verdict; the next sweep
            verifies the others. Default: 1,000,000
        :param max_size: the largest sum of their compressed sizes, where layers are read. Default: 1 TiB
        :param repositories: the names of the repositories; they may have the wildcards `*` and `?`. Default: all
        :param tags: the AWS tags that a repository must have; an empty value accepts each value. Default: none
        :param verify_layers: whether every layer is downloaded and read, one image in a Lambda. Default: False
        """
        self.schedule = schedule
        self.max_concurrency = max_concurrency
        self._repositories = repositories
        self._settings = SweepSettings(
            repositories=tuple(repositories),
            tags=dict(tags or {}),
            everything=everything,
            verify_layers=verify_layers,
            max_images=max_images,
            max_bytes=1 << 40 if max_size is None else int(max_size.to_bytes()),
        )

    def settings(self, where: str) -> SweepSettings:
        """The settings for the Lambdas.

        :param where: the guard's path, for messages.
        :raises ValueError: if a value is wrong; the message says what to use instead.
        """
        check_types(f"{where}: sweep", schedule=self.schedule, max_concurrency=self.max_concurrency)
        if not 1 <= self.max_concurrency <= 1000:
            raise ValueError(f"{where}: sweep's max_concurrency is {self.max_concurrency}: use 1 to 1000")
        if self._settings.max_images < 1:
            raise ValueError(f"{where}: sweep's max_images is {self._settings.max_images}: use 1 or more")
        if self._settings.max_bytes < 1:
            raise ValueError(f"{where}: sweep's max_size is 0 bytes: no image fits")
        if isinstance(self._repositories, str):
            raise ValueError(f"{where}: sweep's repositories is {self._repositories!r}: use a list of names")
        names = (*self._settings.repositories, *self._settings.tags)
        if any(not name or Token.is_unresolved(name) for name in names):
            raise ValueError(f"{where}: sweep has a name that is empty or only known at deploy: use a literal name")
        return self._settings
