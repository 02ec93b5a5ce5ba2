"""A repository of the local ECR, and the images to push into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from local_aws import ACCOUNT, REGION, LocalAws
from tests.pushing import push
from tests.unit.images import Layout


@dataclass(frozen=True)
class Images:
    """A repository.

    :param aws: where it is.
    :param name: its name.
    """

    aws: LocalAws
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{self.name}"

    @property
    def uri(self) -> str:
        return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{self.name}"

    def good(self, tag: str) -> str:
        """Push a healthy image, another one for each tag; its digest."""
        return self.push(tag, lambda layout: layout.image(config={"author": tag}))

    def broken(self, tag: str) -> str:
        """Push the attestation of a build under an image's tag, as in incident 1; its digest."""
        return self.push(tag, lambda layout: layout.attestation())

    def push(self, tag: str, top: Callable[[Layout], dict[str, Any]]) -> str:
        """Push what a layout says; its digest."""
        with TemporaryDirectory() as folder:
            layout = Layout(Path(folder))
            layout.source(top(layout))
            return push(self.aws, layout.path, self.name, tag)

    def delete(self, tag: str) -> None:
        """Delete the image of a tag."""
        ids = [{"imageTag": tag}]
        assert not self.aws.client("ecr").batch_delete_image(repositoryName=self.name, imageIds=ids)["failures"]

    def delete_repository(self) -> None:
        """Delete the repository with all that is in it."""
        self.aws.client("ecr").delete_repository(repositoryName=self.name, force=True)
