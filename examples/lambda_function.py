"""An image for a Lambda function: no index, gzip layers, the function's own architecture."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_lambda as lambda_

from cdk_safe_image import SafeDockerImageAsset

app = cdk.App()
stack = cdk.Stack(app, "LambdaFunction")
image = SafeDockerImageAsset(
    stack,
    "Image",
    directory=str(Path(__file__).parent / "function"),
    runs_on="lambda",
    platform=ecr_assets.Platform.LINUX_ARM64,
    max_size=cdk.Size.gibibytes(1),
)
lambda_.DockerImageFunction(stack, "Function", code=image.docker_image_code(), architecture=lambda_.Architecture.ARM_64)
app.synth()
