"""The images of an app: plain, or as `SafeDockerImageAsset` where the app is the swapped one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk_safe_image import SafeDockerImageAsset

ARM64 = ecr_assets.Platform.LINUX_ARM64


class Images:
    """Makes the images of an app. Each has a name, and a Dockerfile of its own."""

    def __init__(self, folder: Path, *, is_swapped: bool) -> None:
        """
        :param folder: gets a folder for each image.
        :param is_swapped: whether images are made by `SafeDockerImageAsset`, as its documentation says.
        """
        self._folder = folder
        self._is_swapped = is_swapped

    def context(self, name: str) -> str:
        """The build context of an image, made on first use."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text(f"FROM scratch\nLABEL name={name}\n")
        return str(folder)

    def asset(self, scope: Construct, name: str, runs_on: str = "fargate", **build: Any) -> Any:
        """An image as an asset.

        :param scope: the construct that makes it.
        :param name: the image's name.
        :param runs_on: the runtime, which the swapped image says.
        :param build: options of the build.
        """
        if self._is_swapped:
            runtimes: Any = runs_on
            return SafeDockerImageAsset(scope, name, directory=self.context(name), runs_on=runtimes, **build)
        return ecr_assets.DockerImageAsset(scope, name, directory=self.context(name), **build)

    def container(self, scope: Construct, name: str, runs_on: str = "fargate", **build: Any) -> ecs.ContainerImage:
        """An image for a container, made the way that most apps make it: inside of the container.

        :param scope: the construct that makes it, if it is swapped.
        :param name: the image's name.
        :param runs_on: the runtime, which the swapped image says.
        :param build: options of the build.
        """
        if self._is_swapped:
            return ecs.ContainerImage.from_docker_image_asset(self.asset(scope, name, runs_on, **build))
        return ecs.ContainerImage.from_asset(self.context(name), **build)

    def code(self, scope: Construct, name: str) -> lambda_.DockerImageCode:
        """An image for a function.

        :param scope: the construct that makes it, if it is swapped.
        :param name: the image's name.
        """
        if self._is_swapped:
            code: lambda_.DockerImageCode = self.asset(scope, name, "lambda").docker_image_code()
            return code
        return lambda_.DockerImageCode.from_image_asset(self.context(name))
