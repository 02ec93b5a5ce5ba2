"""One image of a Fargate service: `SafeDockerImageAsset` replaces `DockerImageAsset`, and nothing else changes."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ecs_patterns as patterns

from cdk_safe_image import SafeDockerImageAsset

app = cdk.App()
stack = cdk.Stack(app, "ReplaceOneAsset")
image = SafeDockerImageAsset(stack, "Image", directory=str(Path(__file__).parent / "service"))
patterns.ApplicationLoadBalancedFargateService(
    stack,
    "Web",
    task_image_options=patterns.ApplicationLoadBalancedTaskImageOptions(
        image=ecs.ContainerImage.from_docker_image_asset(image), container_port=8080
    ),
    min_healthy_percent=100,
    circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
)
app.synth()
