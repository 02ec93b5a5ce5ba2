"""One small image in three stacks: built by `DockerImageAsset`, by `SafeDockerImageAsset`, and verified afterwards.

Context: `base`, the base image of the Dockerfile; `round`, which gives each round an image of its own.
"""

from __future__ import annotations

from pathlib import Path

from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs

from cdk_safe_image import ImageVerification, SafeDockerImageAsset

_DIRECTORY = str(Path(__file__).parent / "image")


def _task(stack: Stack, image: ecs.ContainerImage) -> None:
    ecs.FargateTaskDefinition(stack, "Task").add_container("app", image=image)


def main() -> None:
    """Synthesize the three stacks."""
    app = App()
    build_args = {name.upper(): app.node.get_context(name) for name in ("base", "round")}

    plain = Stack(app, "Plain")
    asset = ecr_assets.DockerImageAsset(plain, "Image", directory=_DIRECTORY, build_args=build_args)
    _task(plain, ecs.ContainerImage.from_docker_image_asset(asset))
    CfnOutput(plain, "Tag", value=asset.image_tag)

    safe = Stack(app, "Safe")
    ours = SafeDockerImageAsset(safe, "Image", directory=_DIRECTORY, build_args=build_args)
    _task(safe, ecs.ContainerImage.from_docker_image_asset(ours))
    CfnOutput(safe, "Uri", value=ours.image_uri)

    verified = Stack(app, "Verified")
    same = ecr_assets.DockerImageAsset(verified, "Image", directory=_DIRECTORY, build_args=build_args)
    verification = ImageVerification(verified, "Verification", repository=same.repository, tag=same.image_tag)
    _task(verified, verification.container_image())

    app.synth()


if __name__ == "__main__":
    main()
